import math
import re
from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from polyspan.cards import ENCODER, CardDataset, CardFacts, CardResult, CardTraining, model_card
from polyspan.errors import InputError
from polyspan.metrics import score_squad2, signature_text
from polyspan.types import GoldAnswer, QAExample, Report

EXAMPLES = [QAExample("1", "?", "cat", (GoldAnswer("cat", 0),)), QAExample("2", "?", "cat", is_impossible=True)]
REPORT = score_squad2(EXAMPLES, {"1": "a big cat", "2": ""}, {"1": 0.5, "2": 0.75}, source={"dataset": "dev_v2.json"})
FACTS = CardFacts(
    name="org/reader",
    licence="mit",
    languages=("no", "en"),
    base_model="intfloat/multilingual-e5-small",
    teachers=("org/teacher-large", "org/teacher_de"),
    tags=("extractive-question-answering", "onnx"),
    datasets=(
        CardDataset("rajpurkar/squad_v2", "en", "CC BY-SA 4.0", "https://rajpurkar.github.io/", 130_319, 0.5),
        CardDataset("our letters (2024)", "no", "in house | private", questions=12),
    ),
    training=CardTraining({"learning_rate": 3e-05, "freeze": ("word_embeddings",)}, "2 cores", 119.5, 13_300_000),
    results=(CardResult("SQuAD 2.0, dev", REPORT, "rajpurkar/squad_v2"), CardResult("Briefe: März", REPORT)),
    limits=("It quotes what a text says,\ntrue or not.", "See [the paper](https://arxiv.org/abs/1806.03822)."),
)


def front_matter(card: str) -> dict[str, Any]:
    """The metadata as the hub's own library reads it."""
    data: Any = ModelCard(card).data
    return dict(data.to_dict())


def test_card_front_matter_is_what_the_hub_reads() -> None:
    found = front_matter(model_card(FACTS))
    index = found.pop("model-index")
    assert found == {
        "license": "mit",
        "library_name": "polyspan",
        "pipeline_tag": "question-answering",
        "base_model": "intfloat/multilingual-e5-small",
        "language": ["no", "en"],
        "datasets": ["rajpurkar/squad_v2"],
        "tags": ["extractive-question-answering", "onnx"],
    }
    (model,) = index
    assert model["name"] == "org/reader"
    assert [result["dataset"] for result in model["results"]] == [
        {"type": "rajpurkar/squad_v2", "name": "SQuAD 2.0, dev"},
        {"type": "Briefe-M-rz", "name": "Briefe: März"},
    ]
    for result in model["results"]:
        assert result["task"]["type"] == "question-answering"
        values = {metric["type"]: metric["value"] for metric in result["metrics"]}
        assert values == pytest.approx(dict(REPORT.scores), abs=5e-5)
        assert {"exact", "f1", "HasAns_f1", "NoAns_exact", "best_f1_thresh"} <= set(values)
        assert [metric["name"] for metric in result["metrics"]][:2] == ["Exact match", "F1"]


def test_card_sections_say_how_it_was_made_and_how_good_it_is() -> None:
    card = model_card(FACTS)
    headings = re.findall(r"^#+ (.+)", card, re.MULTILINE)
    making = ["How it was made", "Hyperparameters", "Training data"]
    assert headings == ["org/reader", "Use", *making, "Scores", "SQuAD 2.0, dev", "Briefe: März", "Limits"]
    for line in (
        "- base model: intfloat/multilingual-e5-small",
        "- distilled from: org/teacher-large, org/teacher\\_de",
        "- machine: 2 cores",
        "- minutes: 119.5",
        "- tokens: 13,300,000",
        "| learning\\_rate | 3e-05 |",
        "| rajpurkar/squad\\_v2 | en | 130,319 | 0.5 | CC BY-SA 4.0 | https://rajpurkar.github.io/ |",
        "| our letters (2024) | no | 12 |  | in house \\| private |  |",
        "| exact | 50.00 | 0.00 to 100.00 |",
        "| total | 2 |  |",
        f"    {signature_text(REPORT)}",
        "- It quotes what a text says, true or not.",
        "- See [the paper](https://arxiv.org/abs/1806.03822).",
    ):
        assert f"\n{line}\n" in card


def test_card_use_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    card = model_card(CardFacts("default", "mit"))
    (code,) = re.findall(r"^```python\n(.*?)^```", card, re.DOTALL | re.MULTILINE)
    assert len(code.splitlines()) <= 8
    exec(compile(code, "README.md", "exec"), {"__name__": "card"})  # noqa: S102 -- the card is what is tested
    quote, verdict = capsys.readouterr().out.splitlines()
    assert quote.startswith("May 1931 51 59 0.")
    assert verdict.startswith("no answer: False 0.")


def test_card_leaves_out_what_nobody_knows() -> None:
    card = model_card(CardFacts("model", "apache-2.0"))
    assert front_matter(card) == {
        "license": "apache-2.0",
        "library_name": "polyspan",
        "pipeline_tag": "question-answering",
    }
    assert re.findall(r"^#+ (.+)", card, re.MULTILINE) == ["model", "Use"]
    data = model_card(CardFacts("model", "mit", datasets=(CardDataset("a", weight=0.125), CardDataset("b"))))
    assert "| a |  |  | 0.125 |  |  |\n| b |  |  |  |  |  |" in data


def test_card_keeps_files_from_the_hub() -> None:
    facts = CardFacts("model", "mit", datasets=(CardDataset("train.json.gz"), CardDataset("org/facts")))
    assert front_matter(model_card(facts))["datasets"] == ["org/facts"]


@pytest.mark.parametrize("folder", ["/data/models/base", "../base", "C:\\base", "a/b/c"])
def test_card_keeps_local_names_from_the_hub(folder: str) -> None:
    facts = CardFacts("model", "mit", base_model=folder, datasets=(CardDataset(folder),))
    found = front_matter(model_card(facts))
    assert "base_model" not in found
    assert "datasets" not in found


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_card_refuses_scores_that_are_no_numbers(value: float) -> None:
    result = CardResult("dev", Report({"exact": 1.0, "f1": value}, {}))
    with pytest.raises(InputError, match=r"dev: f1 is (nan|inf), expected a finite number"):
        model_card(CardFacts("model", "mit", results=(result,)))


# a model's name and its tags may be empty of everything but not of characters, or they are not written at all
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(texts, texts, texts, st.floats(-1e9, 1e9))
def test_card_front_matter_survives_any_text(name: str, tag: str, dataset: str, value: float) -> None:
    report = Report({"f1": value}, {tag: name, "n": 1})
    facts = CardFacts(name, tag, (tag,), name, (tag,), (tag,), results=(CardResult(dataset, report),))
    found = front_matter(model_card(facts))
    assert (found["license"], found["language"], found["tags"]) == (tag, [tag], [tag])
    (model,) = found["model-index"]
    (result,) = model["results"]
    assert (model["name"], result["dataset"]["name"]) == (name, dataset)
    assert re.fullmatch(r"([\w-]+/)?[\w.-]+", result["dataset"]["type"], re.ASCII)
    assert result["metrics"][0]["value"] == pytest.approx(value, abs=5e-5)


def test_card_can_be_stored_whatever_names_hold() -> None:
    card = model_card(CardFacts("half \ud83d", "mit", datasets=(CardDataset("\udcff.json"),)))
    assert front_matter(card)["license"] == "mit"
    assert card.encode("utf-8")


def test_card_of_an_encoder_is_an_encoders() -> None:
    report = Report({"gold_recall_at_10": 81.25, "total": 16}, {"metric": "retrieval"})
    card = model_card(replace(FACTS, results=(CardResult("dev.json", report),), kind=ENCODER))
    found = front_matter(card)
    assert (found["library_name"], found["pipeline_tag"]) == ("sentence-transformers", "sentence-similarity")
    assert found["model-index"][0]["results"][0]["task"] == {"type": "sentence-similarity", "name": "Retrieval"}
    assert 'open_encoder("org/reader")' in card
    assert "Reader" not in card
    assert "| gold\\_recall\\_at\\_10 | 81.25 |" in card
