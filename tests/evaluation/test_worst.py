from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from polyspan.evaluation import Answered, grade_predictions
from polyspan.evaluation.worst import (
    Piece,
    WorstError,
    context_pieces,
    gold_spans,
    predicted_span,
    wrong_abstentions,
    wrong_answers,
)
from polyspan.types import GoldAnswer, QAExample, Span

LONG = " ".join(f"Sentence {number} says little." for number in range(200))


@st.composite
def places(draw: st.DrawFn) -> tuple[str, dict[str, list[Span]]]:
    """A context, short or long, in which no character but "." and " " stands twice, and spans of two roles in it."""
    separator = draw(st.sampled_from(["", " ", ". "]))
    context = "".join(f"{chr(0x4E00 + i)}{'' if i % 7 else separator}" for i in range(draw(st.sampled_from([9, 3000]))))
    ends = st.integers(0, len(context) - 1).flatmap(
        lambda start: st.builds(Span, st.just(start), st.integers(start + 1, min(len(context), start + 40)))
    )
    return context, draw(st.fixed_dictionaries({role: st.lists(ends, max_size=3) for role in ("gold", "predicted")}))


@given(places())
def test_worst_pieces_are_in_order_and_mark_the_spans(given_places: tuple[str, dict[str, list[Span]]]) -> None:
    context, spans = given_places
    pieces = context_pieces(context, spans)
    kept = "".join(piece.text for piece in pieces)
    letters = [character for character in kept if character not in ". "]
    assert letters == sorted(set(letters))
    assert set(kept) <= set(context)
    assert len(kept) == len(context) or len(context) > 600 > len(kept) / 6
    for role, own in spans.items():
        marked = {character for piece in pieces if role in piece.roles for character in piece.text}
        assert marked == {character for span in own for character in context[span.start : span.end]}


@given(places())
def test_worst_pieces_begin_each_role_once_a_run(given_places: tuple[str, dict[str, list[Span]]]) -> None:
    before: tuple[str, ...] = ()
    for piece in context_pieces(*given_places):
        assert set(piece.beginning) <= set(piece.roles)
        assert set(piece.roles) - set(before) <= set(piece.beginning)
        before = piece.roles


def test_worst_pieces_of_spans_that_overlap() -> None:
    pieces = context_pieces("in Oslo, Norway", {"gold": [Span(3, 7), Span(0, 7)], "predicted": [Span(3, 15)]})
    assert pieces == [
        Piece("in ", ("gold",), ("gold",)),
        Piece("Oslo", ("gold", "predicted"), ("predicted",)),
        Piece(", Norway", ("predicted",)),
    ]


def test_worst_pieces_cut_long_contexts_around_the_spans() -> None:
    start = LONG.index("Sentence 50")
    pieces = context_pieces(
        LONG, {"gold": [Span(start, start + 11)], "predicted": [Span(len(LONG) - 7, len(LONG) - 1)]}
    )
    assert [piece.text for piece in pieces if not piece.text or piece.roles] == ["", "Sentence 50", "", "little"]
    assert sum(len(piece.text) for piece in pieces) < 1200
    whole = "".join(piece.text or "…" for piece in pieces)
    assert whole.startswith("…Sentence ")
    assert whole.endswith("says little.")
    beginning = context_pieces(LONG, {"gold": []})
    assert (beginning[0].text[:10], beginning[-1]) == ("Sentence 0", Piece(""))
    assert context_pieces("short", {"gold": []}) == [Piece("short")]
    assert context_pieces("", {}) == []


def test_worst_errors_are_the_most_confident_first(answered: Answered) -> None:
    graded = grade_predictions(answered)
    answers, abstentions = wrong_answers([graded]), wrong_abstentions([graded])
    assert [error.example.id for error in answers] == ["sure", "false", "unsure"]
    assert [error.example.id for error in abstentions] == ["quiet", "silent"]
    assert all(error.example.answers for error in abstentions)
    wrong = {row.id for row, right in zip(graded.rows, graded.right, strict=True) if not right}
    assert {error.row.id for error in (*answers, *abstentions)} == wrong
    source = {**answered.questions.source, "dataset": "other.json"}
    other = grade_predictions(replace(answered, questions=replace(answered.questions, source=source)))
    both = wrong_answers([graded, other])
    assert [(error.dataset, error.example.id) for error in both[:3]] == [
        ("boats.json", "sure"),
        ("other.json", "sure"),
        ("boats.json", "false"),
    ]


def test_worst_spans_hold_their_texts_or_are_left_out(answered: Answered) -> None:
    for error in wrong_answers([grade_predictions(answered)]):
        for spans, texts in (
            (gold_spans(error.example), [answer.text for answer in error.example.answers]),
            (predicted_span(error), [error.row.text]),
        ):
            assert [error.example.context[span.start : span.end] for span in spans] == texts
    bad = (GoldAnswer("boat", 3), GoldAnswer("boat", 1), GoldAnswer("bo", -5), GoldAnswer("", 0))
    example = QAExample("x", "?", "a boat", (*bad, GoldAnswer("boat", 2)))
    assert gold_spans(example) == [Span(2, 6)]
    row = answered.predictions["right"]
    for changed in (replace(row, text="", start=-1, end=-1), replace(row, start=row.start + 1)):
        assert predicted_span(WorstError("", "", example, changed)) == []
