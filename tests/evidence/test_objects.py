import json

import jsonschema
import pytest

from polyspan import Answer, Document, NoAnswer, Reader, Reading
from polyspan.evidence import EVIDENCE_SCHEMA, cite, gather


def answer(text: str, document: str, score: float, page: int | None = None) -> Answer:
    return Answer(text, 7, 7 + len(text), score, 1.0, -1.0, document, page, f"It was {text}.", 0)


def reading(*answers: Answer, conflicts: tuple[int, ...] = ()) -> Reading:
    return Reading("Who?", answers, NoAnswer(0.1, chosen=False, null_margin=-1.0), conflicts=conflicts)


ALL = reading(
    answer("Anna", "a.pdf", 0.5, 3),
    answer("Otto", "b.txt", 0.3),
    answer("Ida", "a.pdf", 0.15),
    answer("Bo", "c", 0.05),
    conflicts=(1,),
)


def test_gather_tells_the_best_the_others_and_what_differs() -> None:
    evidence = gather(ALL)
    assert evidence.best is not None
    assert (evidence.best.quote, evidence.best.page, evidence.probability) == ("Anna", 3, 0.5)
    assert [one.quote for one in evidence.conflicts] == ["Otto"]
    assert [one.quote for one in evidence.alternatives] == ["Ida", "Bo"]


def test_gather_of_no_answer_has_no_best() -> None:
    nothing = Reading("Who?", (), NoAnswer(0.8, chosen=True, null_margin=2.0), (answer("Anna", "a", 0.1),))
    evidence = gather(nothing)
    assert (evidence.best, evidence.probability, evidence.conflicts) == (None, 0.8, ())
    assert [one.quote for one in evidence.alternatives] == ["Anna"]
    assert cite(evidence).text == str(cite(evidence)) == "No answer in these documents."


def test_evidence_of_a_real_reading_follows_its_schema(shipped: Reader) -> None:
    jsonschema.Draft202012Validator.check_schema(EVIDENCE_SCHEMA)
    document = Document("Notes.\fThe bridge was opened in 1931 by Anna Berg.", "notes", page_starts=(0, 7))
    for question in ("When was the bridge opened?", "What does a ticket cost?"):
        evidence = gather(shipped.read(question, document))
        content = json.loads(json.dumps(evidence.to_json()))
        jsonschema.validate(content, EVIDENCE_SCHEMA)
        if evidence.best is not None:
            best = evidence.best
            assert document.text[best.start : best.end] == best.quote == "1931"
            assert document.text[best.sentence_start :].startswith(best.sentence)
            assert best.page == 2
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "best": {"quote": ""}}, EVIDENCE_SCHEMA)


def test_cite_quotes_and_numbers() -> None:
    cited = cite(gather(ALL))
    assert cited.text == "“Anna” [1]. Elsewhere: “Otto” [2]. Also: “Ida” [3]."
    assert [one.quote for one in cited.citations] == ["Anna", "Otto", "Ida"]
    assert str(cited).splitlines()[1] == "[1] a.pdf, page 3, characters 7 to 11: “It was Anna.”"
    assert cite(gather(ALL), least=0.0).text.endswith("Also: “Ida” [3]; “Bo” [4].")
    assert cited.to_json()["citations"][1] == cited.citations[1].to_json()
