import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models

from polyspan import DocumentError, InputError
from polyspan.datasets import write_squad
from polyspan.types import GoldAnswer, QAExample
from tiny import SENTENCES, make_tokenizer

pytest.importorskip("onnx")
KINDS = ("unigram", "wordpiece", "bpe")
CONTENTS: dict[str, dict[str, Any]] = {kind: json.loads(make_tokenizer(kind).to_str()) for kind in KINDS}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "english.txt"
    file.write_text("\n".join([*SENTENCES[1:3], ""] * 3), encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_a_corpus_keep_it_whole(kind: str, corpus: Path) -> None:
    from polyspan.export.pieces import file_source, select_pieces

    content = CONTENTS[kind]
    source = file_source(content, corpus)
    kept = select_pieces(content, [source], (), None)
    assert source.uses.sum() == pytest.approx(1)
    assert source.uses[kept].sum() == pytest.approx(1)
    assert len(kept) < len(source.uses)
    full = make_tokenizer(kind)
    assert all(set(full.encode(sentence).ids) <= set(kept) for sentence in source.sentences)
    assert SENTENCES[1] in source.sentences


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_at_most_are_those_used_most(kind: str, corpus: Path) -> None:
    from polyspan.export.pieces import basic_pieces, file_source, select_pieces
    from polyspan.export.vocabulary import close_pieces

    content = CONTENTS[kind]
    source = file_source(content, corpus)
    basic, every = close_pieces(content, basic_pieces(content, source.uses)), select_pieces(content, [source], (), None)
    most = (len(basic) + len(every)) // 2
    some = select_pieces(content, [source], (), most)
    assert set(basic) < set(some) < set(every)
    assert len(some) <= most
    left = set(every) - set(some)
    if kind != "bpe":  # where a piece needs no others
        assert max(source.uses[list(left)]) <= min(source.uses[list(set(some) - set(basic))])
    with pytest.raises(InputError, match=f"10 pieces are too few: .* alone are {len(basic)}"):
        select_pieces(content, [source], (), 10)


def test_pieces_of_a_corpus_come_from_questions_and_packed_texts_too(tmp_path: Path, corpus: Path) -> None:
    from polyspan.export.pieces import read_texts

    squad, packed = tmp_path / "squad.json.gz", tmp_path / "text.txt.gz"
    write_squad(squad, [QAExample("a", "Who?", "Ada did.", (GoldAnswer("Ada", 0),))])
    packed.write_bytes(gzip.compress(corpus.read_bytes()))
    assert read_texts(squad) == ["Ada did.", "Who?"]
    assert read_texts(packed) == read_texts(corpus)
    with pytest.raises(DocumentError):
        read_texts(tmp_path / "absent.txt")


def test_pieces_without_letters_and_characters_stay() -> None:
    from polyspan.export.pieces import basic_pieces, piece_texts

    pieces = ["<unk>", "▁the", "s", "▁1984", "▁(", "é", "橋", "▁한", "開通", "β", "...", "('the", "rare"]
    content = json.loads(
        Tokenizer(models.Unigram([(piece, -float(n)) for n, piece in enumerate(pieces)], unk_id=0)).to_str()
    )
    uses = np.zeros(len(pieces))
    uses[1] = 1.0
    kept = {pieces[number] for number in basic_pieces(content, uses)}
    assert kept == {"<unk>", "s", "▁1984", "▁(", "é", "β", "...", "rare"}  # the last is the least probable
    uses[[1, 8]] = 0.9, 0.1
    assert {pieces[number] for number in basic_pieces(content, uses)} == kept | {"橋"}
    assert piece_texts(content)[3] == "1984"


def test_pieces_of_bytes_and_ends_of_words_are_read_as_text() -> None:
    from polyspan.export.pieces import piece_texts

    pieces = make_tokenizer("bpe").get_vocab()
    texts = piece_texts(CONTENTS["bpe"])
    assert [texts[pieces[piece]] for piece in ("Ġbridge", "Ġ", "æ")] == ["bridge", " ", "\ufffd"]
    assert piece_texts(CONTENTS["wordpiece"])[make_tokenizer("wordpiece").get_vocab()["##ge"]] == "ge"


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_of_a_language_keep_its_frequent_words(kind: str) -> None:
    pytest.importorskip("wordfreq")
    from polyspan.export.pieces import language_source

    source = language_source(CONTENTS[kind], "en", 200, seed=0)
    full = make_tokenizer(kind)
    ids = full.encode("the and (The THE when", add_special_tokens=False).ids
    assert set(ids) <= source.wanted
    assert source.uses.sum() == pytest.approx(1)
    assert language_source(CONTENTS[kind], "en", 200, seed=0).sentences == source.sentences
    assert language_source(CONTENTS[kind], "en", 200, seed=1).sentences != source.sentences


def test_pieces_of_words_with_signs_in_them_are_wanted() -> None:
    pytest.importorskip("wordfreq")
    from polyspan.export.pieces import language_source

    pieces = ["<unk>", "▁", "l", "'", "▁l'", "▁xqz'", "a"]
    content = json.loads(Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0)).to_str())
    wanted = {pieces[number] for number in language_source(content, "fr", 2_000, seed=0).wanted}
    assert "▁l'" in wanted
    assert "▁xqz'" not in wanted


def test_pieces_word_list_knows_near_names_and_names_the_rest() -> None:
    pytest.importorskip("wordfreq")
    from polyspan.export.wordlists import word_list

    words = word_list("no", 50)
    assert len(words) == 50
    assert list(words.values()) == sorted(words.values(), reverse=True)
    assert word_list("nb", 50) == words
    for language in ("eu", "xx", "no language"):
        with pytest.raises(InputError, match=r"there is no word list of it, only of ar, .* --corpus FILE"):
            word_list(language, 50)
