import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers

import polyspan.features.tokens as module
from polyspan import Reader, Span
from polyspan.decoding import whole_characters
from polyspan.errors import ModelError
from polyspan.features import PairTokenizer, TextTokenizer, Tokens, with_blocks
from tiny import make_tokenizer

KINDS = ("wordpiece", "bpe", "unigram")
SPECIAL_TEXT = ("[SEP]", "[CLS]", "</s>", "<s>", "<pad>", "[PAD]", "<unk>", "<mask>", "＜/s＞")
AWKWARD = (
    "👩‍👩‍👧‍👦 family 🇩🇪 flag 👍🏽",
    "cafe\u0301 e\u0301\u0323\u0300 n\u0303o",
    "one\r\ntwo\r\n\r\nthree\x0cfour\x0bfive",
    "10\u00a0000\u202f€\u3000全角",
    "مرحبا بالعالم، كيف الحال؟ שָׁלוֹם עוֹלָם",
    "ประเทศไทยมีกรุงเทพมหานครเป็นเมืองหลวง",
    "橋は1874年に開通しました。北京是中国的首都。서울은 수도이다.",
    "nul\x00 bell\x07 escape\x1b[0m delete\x7f \x1c\x1d\x85 \u200b\ufeff",
    "lone \ud800 surrogates \udfff\udc00 here",
    "x" * 3000 + " " + "é" * 3000,
    "ﷺ ﬁ ½ ① ㎏ Ⅷ ß İ ſ",
    "   outer   \n\n",
    " ".join(SPECIAL_TEXT) + "".join(SPECIAL_TEXT) + "a</s>b",
    "▁ under▁lined ▁▁",
    "",
    " ",
)

texts = st.lists(
    st.text(st.characters(), max_size=20)
    | st.text(st.sampled_from("aé\u0301\u0323 \t\r\n\u00a0\u3000橋ไทย👩\u200d🏽\x00\x1f\ud800﷽▁<>/s[]"), max_size=20)
    | st.sampled_from(AWKWARD + SPECIAL_TEXT),
    max_size=6,
).map("".join)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tokenizer(kind: str) -> PairTokenizer:
    return PairTokenizer(make_tokenizer(kind), pad_id=1)


@pytest.fixture
def encode_whole(tokenizer: PairTokenizer, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Tokens]:
    """Encodes a text as one chunk."""

    def encode(text: str) -> Tokens:
        with monkeypatch.context() as patch:
            patch.setattr(module, "CHUNK_CHARS", 10**9)
            return tokenizer.encode(text)

    return encode


def assert_right_offsets(text: str, tokens: Tokens) -> None:
    assert tokens.ids.dtype == tokens.offsets.dtype == np.int32
    assert tokens.offsets.shape == (len(tokens), 2)
    start, end = tokens.offsets.T
    assert ((start >= 0) & (start <= end) & (end <= len(text))).all()
    assert (np.diff(start) >= 0).all()
    for piece in {text[first:last] for first, last in tokens.offsets.tolist()}:
        assert piece == piece.strip()


def uncovered(text: str, tokens: Tokens) -> set[str]:
    """The characters other than whitespace that no token covers."""
    covered = np.zeros(len(text), bool)
    for first, last in tokens.offsets.tolist():
        covered[first:last] = True
    return {character for character, found in zip(text, covered, strict=True) if not found and not character.isspace()}


def is_dropped(kind: str, character: str) -> bool:
    """BERT drops control characters, the replacement character and accents; others melt marks into letters."""
    group = unicodedata.category(character)[0]
    melted = group == "M" or "\u1160" <= character <= "\u11ff" or character in "\uff9e\uff9f"
    if kind == "wordpiece":
        return melted or group == "C" or character == "\ufffd"
    return melted


@cache
def special_ids(kind: str) -> list[int]:
    added = make_tokenizer(kind).get_added_tokens_decoder()
    return [number for number, token in added.items() if token.special and "unk" not in token.content.lower()]


def assert_no_special_ids(kind: str, tokens: Tokens) -> None:
    assert len(special_ids(kind)) == 4
    assert not np.isin(tokens.ids, special_ids(kind)).any()


@pytest.mark.parametrize("text", AWKWARD, ids=range(len(AWKWARD)))
def test_tokens_of_awkward_texts(kind: str, tokenizer: PairTokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert_right_offsets(text, tokens)
    assert_no_special_ids(kind, tokens)
    assert all(is_dropped(kind, character) for character in uncovered(text, tokens))


@settings(max_examples=50)
@given(text=st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3) | st.sampled_from("éệờñ が plain 橋.")))
def test_tokens_of_decomposed_text_are_those_of_composed_text(
    tokenizer: PairTokenizer, shipped: Reader, text: str
) -> None:
    parts = [unicodedata.normalize("NFD", letter) for letter in text]
    decomposed, places = "".join(parts), np.cumsum([0, *map(len, parts)])
    for each in (tokenizer, shipped.scorer.tokenizer):
        expected, found = each.encode(text), each.encode(decomposed)
        np.testing.assert_array_equal(found.ids, expected.ids)
        for (start, end), span in zip(expected.offsets.tolist(), found.offsets.tolist(), strict=True):
            if start < end:
                assert whole_characters(decomposed, Span(*span)) == Span(places[start], places[end])


@pytest.mark.parametrize("strips", [True, False])
def test_tokens_leave_a_normaliser_that_reads_both_forms_alike(strips: bool) -> None:
    tokenizer = make_tokenizer("wordpiece")
    own = tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=strips)
    PairTokenizer(tokenizer)
    assert (str(tokenizer.normalizer) == str(own)) == strips


@settings(max_examples=150)
@given(text=texts)
def test_tokens_of_any_text(kind: str, tokenizer: PairTokenizer, text: str) -> None:
    tokens = tokenizer.encode(text)
    assert_right_offsets(text, tokens)
    assert_no_special_ids(kind, tokens)
    # Old and new versions of Unicode disagree on the astral planes.
    assert all(is_dropped(kind, character) or character > "\uffff" for character in uncovered(text, tokens))


@pytest.mark.parametrize(
    "unit", [*AWKWARD[:9], "nospace", "橋は1874年に開通しました。", "。", " ", "\n", "\u00a0", "e\u0301"]
)
def test_tokens_of_long_texts(kind: str, tokenizer: PairTokenizer, unit: str) -> None:
    text = unit * (3 * module.CHUNK_CHARS // len(unit)) + unit
    tokens = tokenizer.encode(text)
    assert_right_offsets(text, tokens)
    assert all(is_dropped(kind, character) for character in uncovered(text, tokens))


def test_tokens_stand_at_the_very_end(tokenizer: PairTokenizer) -> None:
    text = "The bridge was opened in 1874. " * 2000 + "Ada"
    tokens = tokenizer.encode(text)
    assert tokens.offsets[-1, 1] == len(text)
    assert text[tokens.offsets[-1, 0] :].strip() in {"a", "da", "Ada"}


@pytest.mark.parametrize("special", SPECIAL_TEXT)
def test_tokens_read_special_tokens_as_text(kind: str, tokenizer: PairTokenizer, special: str) -> None:
    text = f"a {special} b {special}{special} x{special}y"
    tokens = tokenizer.encode(text)
    assert_no_special_ids(kind, tokens)
    assert_right_offsets(text, tokens)
    assert uncovered(text, tokens) == set()
    assert "b" in [text[start:end] for start, end in tokens.offsets.tolist()]


words = st.text(st.characters(), min_size=1).filter(lambda word: not any(c.isspace() for c in word)) | st.sampled_from(
    ["橋は", "a</s>", "e\u0301", "\u0301", "👩‍👧", "don't", "1,000", "\x00", "ไทย", "¨", "▁"]
)
blocks = st.tuples(
    words.map(lambda word: word[:10]),
    st.sampled_from([" ", "\n", "\r\n", "  ", "\t", "\u00a0", "\u3000", " \n ", "\x1f"]),
    words.map(lambda word: word[:10]),
    st.just(" "),
).map("".join)


@settings(max_examples=50)
@given(parts=st.lists(blocks, min_size=10, max_size=20))
def test_tokens_of_chunks_equal_those_of_the_whole(tokenizer: PairTokenizer, parts: list[str]) -> None:
    text = "".join(parts * 8)
    tokens = []
    for size in (10**9, 200):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "CHUNK_CHARS", size)
            patch.setattr(module, "PARALLEL", 2)
            tokens.append(tokenizer.encode(text))
    np.testing.assert_array_equal(tokens[0].ids, tokens[1].ids)
    np.testing.assert_array_equal(tokens[0].offsets, tokens[1].offsets)


def test_tokens_of_a_long_text_equal_those_of_the_whole(
    tokenizer: PairTokenizer, encode_whole: Callable[[str], Tokens]
) -> None:
    text = "The bridge  was opened\nin 1874;\r\n\r\nthe letter was written. " * 1000
    assert len(text) > 4 * module.CHUNK_CHARS
    np.testing.assert_array_equal(tokenizer.encode(text).ids, encode_whole(text).ids)
    np.testing.assert_array_equal(tokenizer.encode(text).offsets, encode_whole(text).offsets)


@pytest.mark.parametrize("separator", ["\n", "。", "\n\n"])
def test_tokens_of_chunks_without_spaces_are_cut_between_words(separator: str) -> None:
    tokenizer = PairTokenizer(make_tokenizer("wordpiece"))
    text = f"letter{separator}" * 4000
    pieces = [text[start:end] for start, end in tokenizer.encode(text).offsets.tolist()]
    short = f"letter{separator}" * 10
    expected = [short[start:end] for start, end in tokenizer.encode(short).offsets.tolist()]
    assert pieces == expected * 400


def test_tokens_forget_truncation_and_padding_of_the_file(kind: str, tmp_path: Path) -> None:
    plain = make_tokenizer(kind)
    plain.save(str(tmp_path / "plain.json"))
    plain.enable_truncation(8)
    plain.enable_padding(length=16)
    plain.save(str(tmp_path / "tokenizer.json"))
    text = "The bridge over the river was opened in 1874. " * 20
    opened = PairTokenizer.from_json((tmp_path / "tokenizer.json").read_bytes(), "tokenizer.json", pad_id=1)
    assert opened.pad_id == 1
    expected = PairTokenizer.from_json((tmp_path / "plain.json").read_bytes(), "plain.json").encode(text)
    np.testing.assert_array_equal(opened.encode(text).ids, expected.ids)
    assert len(opened.encode("a")) <= 2


@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense"])
def test_tokens_refuse_a_broken_file(content: bytes) -> None:
    with pytest.raises(ModelError, match=r"folder/tokenizer\.json: not a readable tokenizer\.json"):
        PairTokenizer.from_json(content, "folder/tokenizer.json")


def test_tokens_templates_of_both_families() -> None:
    bert = PairTokenizer(make_tokenizer("wordpiece")).template
    assert (bert.prefix, bert.middle, bert.suffix) == ((2,), (3,), (3,))
    assert (bert.question_type, bert.context_type) == (0, 1)
    assert (bert.prefix_types, bert.middle_types, bert.suffix_types) == ((0,), (0,), (1,))
    roberta = PairTokenizer(make_tokenizer("bpe")).template
    assert (roberta.prefix, roberta.middle, roberta.suffix) == ((0,), (2, 2), (2,))
    assert (roberta.question_type, roberta.context_type) == (0, 0)
    assert (bert.size, roberta.size) == (3, 4)


def test_tokens_refuse_a_tokenizer_without_a_place_for_no_answer() -> None:
    tokenizer: Tokenizer = make_tokenizer("bpe")
    tokenizer.post_processor = None
    with pytest.raises(ModelError, match="no special token before"):
        PairTokenizer(tokenizer)


def test_tokens_keep_the_first_letter_of_a_word() -> None:
    """Byte-level post-processors that trim offsets of a tokenizer with add_prefix_space lose it."""
    from tokenizers import pre_tokenizers, processors

    tokenizer = make_tokenizer("bpe")
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    text = "bridge letter"
    tokens = PairTokenizer(tokenizer).encode(text)
    assert tokens.offsets[0, 0] == 0
    assert uncovered(text, tokens) == set()


def test_tokens_from_several_threads(tokenizer: PairTokenizer) -> None:
    given_texts = [f"The bridge {number} was opened. " * number for number in range(1, 40)]
    expected = [tokenizer.encode(text).ids.tolist() for text in given_texts]
    with ThreadPoolExecutor(4) as pool:
        assert [tokens.ids.tolist() for tokens in pool.map(tokenizer.encode, given_texts)] == expected


def test_tokens_of_a_single_text_are_those_of_the_tokenizer(kind: str) -> None:
    own, single = make_tokenizer(kind), TextTokenizer(make_tokenizer(kind), pad_id=1)
    for text in ("Who wrote the letter?", "", "橋は1874年に開通しました。", "bridge " * 40):
        whole = own.encode(text)
        tokens = single.tokens(text, 512)
        assert tokens.input_ids.tolist() == whole.ids
        assert tokens.type_ids.tolist() == whole.type_ids
        own.enable_truncation(12)
        cut = own.encode(text)
        own.no_truncation()
        assert single.tokens(text, 12).input_ids.tolist() == cut.ids
        assert single.tokens(text, 12).input_ids.dtype == np.int32


def test_tokens_of_a_single_text_need_no_special_ones(kind: str) -> None:
    tokenizer = make_tokenizer(kind)
    tokenizer.post_processor = None
    tokenizer.enable_padding(length=20)
    tokens = TextTokenizer(tokenizer).tokens("Who wrote the letter?", 5)
    assert (
        tokens.input_ids.tolist()
        == make_tokenizer(kind).encode("Who wrote the letter?", add_special_tokens=False).ids[:5]
    )
    assert not tokens.type_ids.any()


def test_tokens_of_a_single_text_need_a_tokenizer_that_knows_letters() -> None:
    from tokenizers import models

    with pytest.raises(ModelError, match="no token for the letter a"):
        TextTokenizer(Tokenizer(models.BPE()))


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("One two.\nThree", ["One two.\nThree"]),
        ("One\n \nTwo three\r\n\r\n\r\nFour", ["One", "Two three", "Four"]),
        ("Name\tAge\nAda\t36", ["Name", "Age\nAda", "36"]),
        ("\t\n\n Ada", ["Ada"]),
    ],
)
def test_tokens_blocks_end_at_blank_lines_and_tabs(tokenizer: PairTokenizer, text: str, blocks: list[str]) -> None:
    tokens = with_blocks(tokenizer.encode(text), text)
    written = tokens.offsets[:, 0] < tokens.offsets[:, 1]
    numbers = np.zeros(len(tokens), np.int32) if tokens.blocks is None else tokens.blocks
    found = [tokens.offsets[written & (numbers == number)] for number in np.unique(numbers[written])]
    assert [text[part[0, 0] : part[-1, 1]] for part in found] == blocks
