import json

import pytest
from tokenizers import Tokenizer

from polyspan import ModelError
from polyspan.features import PairTokenizer
from tiny import SENTENCES, make_tokenizer

pytest.importorskip("onnx")


def test_vocabulary_keeps_texts_whole_and_renumbers() -> None:
    from polyspan.export import choose_pieces, cut_tokenizer

    before = json.loads(make_tokenizer("unigram").to_str())
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


def test_vocabulary_refuses_other_kinds() -> None:
    from polyspan.export import choose_pieces

    with pytest.raises(ModelError, match="only a Unigram vocabulary"):
        choose_pieces(json.loads(make_tokenizer("wordpiece").to_str()), 10)
