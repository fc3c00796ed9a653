from dataclasses import replace

from polyspan import Answer, Document, NoAnswer, Passage, Reading, Span
from polyspan.folding import fold_answers, rivals
from polyspan.types import Source


def answer(text: str, document: str, score: float = 0.5, start: int = 0) -> Answer:
    return Answer(text, start, start + len(text), score, 1.0, -1.0, document, None, text, start)


def reading(*answers: Answer) -> Reading:
    return Reading("question?", answers, NoAnswer(0.1, chosen=False, null_margin=-1.0))


def test_folding_keeps_the_first_of_equal_answers_with_all_places() -> None:
    given = reading(
        answer("Rome", "a"), answer("Oslo", "a", 0.2, 9), answer("rome", "b", 0.1, 3), answer("ROME ", "c", 0.1)
    )
    folded = fold_answers(given, [], 5)
    assert [(one.text, one.document) for one in folded.answers] == [("Rome", "a"), ("Oslo", "a")]
    assert folded.answers[0].also == (Source("b", 3, 7, None), Source("c", 0, 5, None))
    assert folded.answers[1].also == ()
    assert [one.text for one in fold_answers(given, [], 1).answers] == ["Rome"]


def test_folding_keeps_the_same_text_twice_in_one_document() -> None:
    given = reading(answer("Rome", "a"), answer("Rome", "a", 0.4, 50), answer("Rome", "b", 0.3))
    folded = fold_answers(given, [], 5)
    assert [(one.document, one.start) for one in folded.answers] == [("a", 0), ("a", 50)]
    assert folded.answers[0].also == (Source("b", 0, 4, None),)


def test_folding_names_the_places_in_copies_of_the_passage() -> None:
    text = "Rome is old. Anna lives in Rome."
    copy = Document("So Rome is old! Anna lives in Rome.", "copy", (0, 12), part_start=100)
    passage = Passage(
        Document(text, "a"), Span(0, len(text)), (Passage(replace(copy, page_starts=(100, 112)), Span(100, 135)),)
    )
    place = text.rindex("Rome")
    folded = fold_answers(reading(answer("Rome", "a", 0.5, place)), [passage], 5)
    (source,) = folded.answers[0].also
    assert (source.document, source.start, source.page) == ("copy", 100 + copy.text.rindex("Rome"), 2)
    other = fold_answers(reading(answer("Oslo", "a", 0.5, 0)), [passage], 5)
    assert other.answers[0].also == ()


def test_folding_folds_candidates_too() -> None:
    given = replace(reading(), candidates=(answer("Rome", "a"), answer("Rome", "b")))
    assert [one.document for one in fold_answers(given, [], 5).candidates] == ["a"]


def test_rivals_are_probable_answers_of_other_documents_that_differ() -> None:
    best = answer("May 1931", "a")
    others = [
        answer("1929", "b", 0.3),
        answer("in May 1931", "c", 0.3),
        answer("1930", "d", 0.2),
        answer("1928", "a", 0.4),
    ]
    assert rivals([best, *others]) == [1]
    assert rivals([]) == rivals([best]) == []
    assert fold_answers(reading(best, *others), [], 5).conflicts == (1,)
