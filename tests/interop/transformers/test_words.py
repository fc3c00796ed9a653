import pytest

from polyspan.interop.transformers.words import whole_words
from polyspan.types import Span


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("She lives in Antwerp, they say.", "twer", "Antwerp"),
        ("She lives in Antwerp, they say.", "in Ant", "in Antwerp"),
        ("It cost 1,250 guilders.", "25", "250"),
        ("Die Brücke über den Fluß", "rück", "Brücke"),
        ("naïvete\u0301s", "te", "naïvete\u0301s"),
        ("Он живёт в Москве.", "Моск", "Москве"),
        ("the co-founder of it", "found", "founder"),
        ("全学年にわたって小学校の国語の教科書", "教科書", "教科書"),
        ("서울에 산다", "서울", "서울"),
        ("กรุงเทพมหานคร", "เทพ", "เทพ"),
        ("在Python里", "yth", "Python"),
        ("a", "a", "a"),
        ("no change here.", "change here.", "change here."),
    ],
)
def test_words_widens_to_letters_only(text: str, part: str, whole: str) -> None:
    start = text.index(part)
    span = whole_words(text, Span(start, start + len(part)))
    assert text[span.start : span.end] == whole


def test_words_leaves_an_empty_span() -> None:
    assert whole_words("word", Span(2, 2)) == Span(2, 2)
