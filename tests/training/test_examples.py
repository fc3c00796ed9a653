import json
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyspan.errors import DatasetError, InputError, MissingExtraError
from polyspan.features import NULL_TARGET, PairTokenizer
from tiny import make_tokenizer

pytest.importorskip("polyspan.training", exc_type=MissingExtraError)

from polyspan.training import Recipe, parse_recipe
from polyspan.training.examples import TrainingSet, make_training_set, read_examples

TOKENIZER = PairTokenizer(make_tokenizer("wordpiece"))
CONTEXT = "The bridge was opened in 1874. The letter was written by Ada Lovelace. Who wrote the option to the user?"


def dataset(path: Path, *questions: tuple[str, str, int] | tuple[str, None, None], context: str = CONTEXT) -> Path:
    """A file of one paragraph; each question with its answer's text and start."""
    qas: list[dict[str, Any]] = [
        {
            "id": str(number),
            "question": question,
            "answers": [] if text is None else [{"text": text, "answer_start": start}],
        }
        for number, (question, text, start) in enumerate(questions)
    ]
    path.write_text(json.dumps({"data": [{"title": "", "paragraphs": [{"context": context, "qas": qas}]}]}))
    return path


def recipe_of(*files: dict[str, Any], **more: Any) -> Recipe:
    content = {"model": "student", "data": list(files), "windows": {"max_seq_len": 64, "doc_stride": 8}, **more}
    return parse_recipe(content)


def shown(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    found = list(items)
    assert (len(found), what.endswith(".json")) == (total, True)
    return found


def training_set(*files: dict[str, Any], **more: Any) -> TrainingSet:
    return make_training_set(recipe_of(*files, **more), TOKENIZER, shown)


def ids_of(recipe: Recipe) -> tuple[list[str], list[str]]:
    own, made = read_examples(recipe.data[0], recipe)
    return [one.id for one in own], [one.id for one in made]


TEACHER = {"distillation": {"teachers": [{"model": "teacher"}]}}


def test_examples_become_windows_with_targets(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.json", ("When?", "1874", 25), ("Who flew?", None, None), context=CONTEXT[:70])
    found = training_set({"path": str(path), "language": "en"})
    first, second = found.windows
    assert first.targets is not None
    ((start, end),) = first.targets.tolist()
    places = first.window.offsets[[start - first.window.context_start, end - first.window.context_start]]
    assert CONTEXT[places[0, 0] : places[1, 1]] == "1874"
    assert second.targets is not None
    assert second.targets.tolist() == [list(NULL_TARGET)]
    assert (first.question, first.context, first.language) == ("When?", CONTEXT[:70], "en")
    assert found.lengths.tolist() == [len(one.window.input_ids) for one in found.windows]


def test_examples_leave_out_windows_that_cut_the_answer(tmp_path: Path) -> None:
    whole = dataset(tmp_path / "a.json", ("When?", "1874", 25), context=CONTEXT * 2)
    cut = dataset(tmp_path / "b.json", ("When?", CONTEXT * 2, 0), context=CONTEXT * 2)
    found = training_set({"path": str(whole)})
    assert all(one.targets is not None and len(one.targets) for one in found.windows)
    with pytest.raises(InputError, match="give no window to learn from"):
        training_set({"path": str(cut)})


def test_examples_weights_stand_at_the_windows_of_their_files(tmp_path: Path) -> None:
    full = dataset(tmp_path / "a.json", ("When?", "1874", 25), ("Who?", "Ada Lovelace", 57))
    nothing = dataset(tmp_path / "b.json", ("When?", CONTEXT * 2, 0), context=CONTEXT * 2)
    other = dataset(tmp_path / "c.json", ("Who?", "Ada", 57))
    found = training_set(
        {"path": str(full), "weight": 2, "language": "a"},
        {"path": str(nothing), "weight": 9, "language": "b"},
        {"path": str(other), "weight": 0.5, "language": "c"},
    )
    weights = {"a": 2.0, "c": 0.5}
    assert found.weights.tolist() == [weights[one.language] for one in found.windows]
    assert {one.language for one in found.windows} == {"a", "c"}


def test_examples_weigh_more_that_the_file_itself_calls_unanswerable(tmp_path: Path) -> None:
    path = dataset(
        tmp_path / "a.json", ("When?", "1874", 25), ("Who flew?", None, None), context=f"{CONTEXT} {CONTEXT}"
    )
    file = {"path": str(path), "weight": 0.5, "unanswerable_weight": 6}
    found = training_set(file, unanswerable={"other_paragraph": 1.0, "removed_sentence": 1.0})
    assert {one.question: weight for one, weight in zip(found.windows, found.weights, strict=True)} == {
        "When?": 0.5,
        "Who flew?": 3.0,
    }
    assert any(one.question == "When?" and one.is_unanswerable for one in found.windows)


def test_examples_may_have_the_questions_of_a_parallel_file(tmp_path: Path) -> None:
    context = "Ada ran in 1888. Boats came in 1901."
    english = dataset(tmp_path / "en.json", ("Who ran in 1888?", "Ada", 0), ("When?", "1888", 11), context=context)
    french = dataset(tmp_path / "fr.json", ("Qui courut en 1888?", "Ada", 0), context="Ada courut en 1888.")
    alone = recipe_of({"path": str(english)}, unanswerable={"misplaced_entity": 1.0})
    assert [one.question for one in read_examples(alone.data[0], alone)[1]] == ["Who ran in 1901?"]
    own, made = read_examples(replace(alone.data[0], questions_from=str(french)), alone)
    assert [(one.question, one.context, one.answers[0].text) for one in own] == [
        ("Qui courut en 1888?", context, "Ada")
    ]
    assert made == []  # nothing tells that no sentence says who "courut" in 1901


def test_examples_of_a_parallel_file_may_have_its_name_in_their_ids(tmp_path: Path) -> None:
    english = dataset(tmp_path / "en.json", ("When?", "1874", 25))
    french = dataset(tmp_path / "fr.train.json", ("Quand?", "1874", 7), context="Ada, en 1874.")
    french.write_text(french.read_text().replace('"id": "0"', '"id": "fr-0"'))
    recipe = recipe_of({"path": str(english), "questions_from": str(french)})
    assert [one.question for one in read_examples(recipe.data[0], recipe)[0]] == ["Quand?"]
    strange = dataset(tmp_path / "y.json", ("Quand?", "Ada", 4))
    strange.write_text(strange.read_text().replace('"id": "0"', '"id": "z"'))
    with pytest.raises(InputError, match="share no id"):
        read_examples(replace(recipe.data[0], questions_from=str(strange)), recipe)


def test_examples_may_have_detached_questions(tmp_path: Path) -> None:
    path = dataset(tmp_path / "en.json", ("When?", "1874", 25))
    questions = tmp_path / "detached.jsonl"
    key = sha256(CONTEXT.encode()).hexdigest()[:16]
    asked = [("Who wrote the letter?", [[57, 69]]), ("Who wrote the bridge?", [])]
    lines = [{"context": key, "question": question, "answers": spans} for question, spans in asked]
    questions.write_text("\n".join(map(json.dumps, lines)))
    recipe = recipe_of({"path": str(path), "questions_from": str(questions)})
    own, _ = read_examples(recipe.data[0], recipe)
    assert [(one.question, one.context, [answer.text for answer in one.answers]) for one in own] == [
        ("Who wrote the letter?", CONTEXT, ["Ada Lovelace"]),
        ("Who wrote the bridge?", CONTEXT, []),
    ]
    questions.write_text(json.dumps({**lines[0], "context": "0" * 16}))
    with pytest.raises(InputError, match="no question about the texts"):
        read_examples(recipe.data[0], recipe)


def test_examples_of_unlabelled_files_have_no_targets_and_no_checks(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.json", ("When?", "nonsense", 3), ("Who?", None, None))
    recipe = {"path": str(path), "labelled": False}
    found = training_set(recipe, **TEACHER, unanswerable={"removed_sentence": 1.0})
    assert {one.question for one in found.windows} == {"When?", "Who?"}
    assert all(one.targets is None for one in found.windows)


def test_examples_made_unanswerable_teach_null(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.json", ("When?", "1874", 25))
    recipe = recipe_of({"path": str(path)}, unanswerable={"removed_sentence": 1.0}, seed=3)
    assert ids_of(recipe) == (["0"], [])  # what is left is too short
    path = dataset(tmp_path / "a.json", ("When?", "1874", 25), context=f"{CONTEXT} {CONTEXT[31:]}")
    assert ids_of(recipe) == (["0"], ["0#removed-sentence"])
    found = make_training_set(recipe, TOKENIZER, shown).windows
    assert {one.context for one in found} == {f"{CONTEXT} {CONTEXT[31:]}", f"{CONTEXT[31:]} {CONTEXT[31:]}"}
    for one in found:
        assert one.targets is not None
        assert ("1874" in one.context) or one.targets.tolist() == [list(NULL_TARGET)]


@pytest.mark.parametrize(("text", "start"), [("1874", 24), ("1875", 25), ("", 25), (" ", 24), ("Lovelace" * 9, 61)])
def test_examples_refuse_answers_that_do_not_stand_in_their_context(tmp_path: Path, text: str, start: int) -> None:
    path = dataset(tmp_path / "a.json", ("When?", "1874", 25), ("Who?", text, start))
    with pytest.raises(
        DatasetError, match=rf"a\.json: question '1': its answer .* does not stand at character {start} "
    ):
        training_set({"path": str(path)})


def test_examples_of_every_file_are_checked_before_any_is_cut(tmp_path: Path) -> None:
    good = dataset(tmp_path / "a.json", ("When?", "1874", 25))

    def never(*_: Any) -> Any:
        raise AssertionError("windows were made")

    for broken, message in (("{", "not JSON"), ('{"data": []}', "holds no questions")):
        (tmp_path / "b.json").write_text(broken)
        recipe = recipe_of({"path": str(good)}, {"path": str(tmp_path / "b.json")})
        with pytest.raises(DatasetError, match=message):
            make_training_set(recipe, TOKENIZER, never)


def test_examples_of_empty_contexts_give_nothing(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.json", ("When?", None, None), context="")
    with pytest.raises(InputError, match="give no window to learn from; are their contexts empty"):
        training_set({"path": str(path)})


def test_examples_of_nothing_but_whitespace_tokens(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.json", ("When?", None, None), context="\n \n")
    tokenizer = PairTokenizer(make_tokenizer("bpe"))
    found = make_training_set(recipe_of({"path": str(path)}), tokenizer, shown)
    (one,) = found.windows
    assert one.targets is not None
    assert one.targets.tolist() == [list(NULL_TARGET)]
    assert not np.any(one.window.offsets[:, 0] < one.window.offsets[:, 1])


def test_examples_share_the_text_of_their_paragraph(tmp_path: Path) -> None:
    path = dataset(tmp_path / "a.json", ("When?", "1874", 25), ("Who?", "Ada", 57))
    windows = training_set({"path": str(path)}).windows
    assert len({id(one.context) for one in windows}) == 1
