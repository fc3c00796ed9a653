from hypothesis import given
from hypothesis import strategies as st

from polyspan.metrics import space_characters, token_f1


def test_segmentation_counts_characters_only_where_words_are_not_spaced() -> None:
    assert space_characters("東京 Tower").split() == ["東", "京", "Tower"]
    assert space_characters("Grüße из Москвы") == "Grüße из Москвы"
    assert token_f1([space_characters("東京都")], space_characters("東京")) == 0.8
    assert token_f1(["東京都"], "東京") == 0


@given(st.text())
def test_segmentation_adds_nothing_but_spaces(text: str) -> None:
    assert space_characters(text).replace(" ", "") == text.replace(" ", "")
