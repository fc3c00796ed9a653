import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from polyspan import ModelError
from polyspan.features import PairTokenizer
from tiny import SENTENCES, make_tokenizer

pytest.importorskip("onnx")

KINDS = ("unigram", "wordpiece", "bpe")
CONTENTS: dict[str, dict[str, Any]] = {kind: json.loads(make_tokenizer(kind).to_str()) for kind in KINDS}
OPENED = {kind: make_tokenizer(kind) for kind in KINDS}
EXTRA = {"bridgewriter", "FARMer", "x", "ẞß", "5,"}
WORDS = sorted({word for sentence in SENTENCES for word in sentence.split()} | EXTRA)
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def id_of(tokenizer: Tokenizer, piece: str) -> int:
    number = tokenizer.token_to_id(piece)
    assert number is not None
    return number


def trimmed(kind: str, wanted: set[int]) -> tuple[list[int], Tokenizer]:
    from polyspan.export import close_pieces, cut_tokenizer

    kept = close_pieces(CONTENTS[kind], wanted)
    return kept, Tokenizer.from_str(json.dumps(cut_tokenizer(CONTENTS[kind], kept)))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(needed=st.lists(TEXTS, min_size=1, max_size=3), others=st.lists(TEXTS, max_size=4), data=st.data())
def test_vocabulary_cuts_texts_of_kept_pieces_as_before(
    kind: str, needed: list[str], others: list[str], data: st.DataObject
) -> None:
    full = OPENED[kind]
    more = data.draw(st.sets(st.integers(0, full.get_vocab_size() - 1), max_size=30))
    kept, cut = trimmed(kind, {number for text in needed for number in ids_of(full, text)} | more)
    assert cut.get_vocab_size() == len(kept)
    for text in (*needed, *others):
        before, after = full.encode(text), cut.encode(text)
        if text in needed or set(before.ids) <= set(kept):
            assert [kept[number] for number in after.ids] == before.ids
            assert after.offsets == before.offsets
        assert cut.decode(after.ids) == full.decode([kept[number] for number in after.ids])


@pytest.mark.parametrize("kind", KINDS)
def test_vocabulary_does_without_pieces(kind: str) -> None:
    sentence = SENTENCES[1]
    kept, cut = trimmed(
        kind, {number for text in "abcdefghijklmnopqrstuvwxyz" for number in ids_of(OPENED[kind], text)}
    )
    assert len(kept) < OPENED[kind].get_vocab_size() - 20
    assert [kept[number] for number in ids_of(cut, sentence)] != ids_of(OPENED[kind], sentence)


def test_vocabulary_bpe_keeps_bytes_and_merges_what_is_kept() -> None:
    full = OPENED["bpe"]
    bridge = id_of(full, "Ġbridge")
    kept, cut = trimmed("bpe", {bridge})
    pieces = set(cut.get_vocab())
    assert set(pre_tokenizers.ByteLevel.alphabet()) <= pieces
    assert len(kept) < full.get_vocab_size()
    merges = json.loads(cut.to_str())["model"]["merges"]
    assert all({first, second, first + second} <= pieces for first, second in merges)
    assert len(merges) < len(CONTENTS["bpe"]["model"]["merges"])
    assert [cut.id_to_token(number) for number in ids_of(cut, " bridge")] == ["Ġbridge"]
    assert cut.decode(ids_of(cut, "Ωμέγα 橋")) == "Ωμέγα 橋"


def test_vocabulary_reads_merges_written_as_texts() -> None:
    from polyspan.export import close_pieces, cut_tokenizer

    old = json.loads(json.dumps(CONTENTS["bpe"]))
    old["model"]["merges"] = [" ".join(merge) for merge in old["model"]["merges"]]
    kept = close_pieces(old, {id_of(OPENED["bpe"], "Ġbridge")})
    assert kept == close_pieces(CONTENTS["bpe"], {id_of(OPENED["bpe"], "Ġbridge")})
    assert all(isinstance(merge, str) for merge in cut_tokenizer(old, kept)["model"]["merges"])


def test_vocabulary_bpe_merges_behind_a_prefix() -> None:
    from polyspan.export import close_pieces, cut_tokenizer

    pieces = ["[UNK]", "a", "##b", "##c", "ab", "##bc", "abc", "d"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, [("##b", "##c"), ("a", "##bc")], unk_token="[UNK]", continuing_subword_prefix="##")
    content = json.loads(Tokenizer(model).to_str())
    kept = close_pieces(content, {vocabulary["abc"]})
    assert [pieces[number] for number in kept] == ["[UNK]", "a", "##b", "##c", "##bc", "abc"]
    assert Tokenizer.from_str(json.dumps(cut_tokenizer(content, kept))).encode("abc").tokens == ["abc"]


def test_vocabulary_unigram_keeps_the_score_of_unknown_characters() -> None:
    """What a character costs that is no piece follows from the least probable piece."""
    from polyspan.export import close_pieces, cut_tokenizer

    pieces = [("<unk>", 0.0), ("b", -1.0), ("ab", -25.0), ("c", -13.0), ("bc", -2.0), ("rare", -30.0)]
    content = json.loads(Tokenizer(models.Unigram(pieces, unk_id=0)).to_str())
    full = Tokenizer.from_str(json.dumps(content))
    kept = close_pieces(content, set(full.encode("abc").ids))
    assert full.encode("abc").tokens == ["ab", "c"]
    assert 5 in kept
    assert Tokenizer.from_str(json.dumps(cut_tokenizer(content, kept))).encode("abc").tokens == ["ab", "c"]
    without = Tokenizer.from_str(json.dumps(cut_tokenizer(content, [0, 2, 3, 4])))
    assert without.encode("abc").tokens == ["a", "bc"]


@pytest.mark.parametrize("processor", ["bert", "roberta", "sequence", "template"])
def test_vocabulary_renumbers_special_tokens(processor: str) -> None:
    from polyspan.export import close_pieces, cut_tokenizer

    full = make_tokenizer("bpe")
    first, last = ((piece, id_of(full, piece)) for piece in ("Ġbridge", "Ġthe"))
    made: dict[str, Callable[[], Any]] = {
        "bert": lambda: processors.BertProcessing(last, first),
        "roberta": lambda: processors.RobertaProcessing(last, first),
        "sequence": lambda: processors.Sequence([processors.ByteLevel(), processors.RobertaProcessing(last, first)]),
        "template": lambda: processors.TemplateProcessing(
            single="Ġbridge $A Ġthe", pair="Ġbridge $A Ġthe $B Ġthe", special_tokens=[first, last]
        ),
    }
    full.post_processor = made[processor]()
    full.enable_padding(pad_id=id_of(full, "Ġletter"), pad_token="Ġletter")
    full.enable_truncation(4)
    full.add_tokens(["polyspan"])
    content = json.loads(full.to_str())
    kept = close_pieces(content, ())
    cut = Tokenizer.from_str(json.dumps(cut_tokenizer(content, kept)))
    assert len(kept) < full.get_vocab_size()
    assert cut.id_to_token(len(kept) - 1) == "polyspan"
    assert cut.padding is not None
    assert cut.padding["pad_id"] == id_of(cut, "Ġletter") != id_of(full, "Ġletter")
    assert cut.truncation == full.truncation
    for tokenizer in (full, cut):
        tokenizer.no_truncation()
        tokenizer.no_padding()
    before, after = full.encode("a polyspan", "b"), cut.encode("a polyspan", "b")
    assert [kept[number] for number in after.ids] == before.ids
    assert before.ids[0] == first[1]


def test_vocabulary_keeps_texts_whole_and_renumbers() -> None:
    from polyspan.export import choose_pieces, cut_tokenizer

    before = CONTENTS["unigram"]
    kept = choose_pieces(before, 6, list(SENTENCES[:2]) * 3)
    assert kept == sorted(set(kept))
    assert len(kept) < len(before["model"]["vocab"])
    full, cut = (PairTokenizer(Tokenizer.from_str(json.dumps(one))) for one in (before, cut_tokenizer(before, kept)))
    for sentence in SENTENCES[:2]:
        one, other = full.encode(sentence), cut.encode(sentence)
        assert [kept[number] for number in other.ids] == one.ids.tolist()
        assert (one.offsets == other.offsets).all()
    assert len(cut.encode(SENTENCES[3])) > len(full.encode(SENTENCES[3]))
    template = cut.template
    assert [kept[number] for number in template.prefix] == list(full.template.prefix)
    assert [kept[number] for number in template.suffix] == list(full.template.suffix)


def test_vocabulary_knows_the_commonest_pieces_of_unigram_alone() -> None:
    from polyspan.export import choose_pieces

    with pytest.raises(ModelError, match="Unigram vocabulary alone"):
        choose_pieces(CONTENTS["wordpiece"], 10)


def test_vocabulary_refuses_other_kinds() -> None:
    from polyspan.export import close_pieces

    content = json.loads(Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]")).to_str())
    with pytest.raises(ModelError, match="of the kind WordLevel cannot be cut"):
        close_pieces(content, {1})
