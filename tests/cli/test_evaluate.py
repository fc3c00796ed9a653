"""Published figures, by ``polyspan evaluate``: with a network those of the hub, without one those of a stand-in."""

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

import tiny
from polyspan import Reader, ReadOptions

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True, slots=True)
class Published:
    """A model's figures on a SQuAD 2.0 file: its address, md5 and number of questions."""

    model: str
    url: str
    md5: str
    questions: int
    exact: float
    f1: float


SEED = Published(
    model="deepset/xlm-roberta-base-squad2-distilled",
    url="https://rajpurkar.github.io/SQuAD-explorer/dataset/dev-v2.0.json",
    md5="246adae8b7002f8679c027697b0b7cf8",
    questions=11_873,
    exact=74.0672,
    f1=76.3992,
)
# The card does not say how these were scored, so they cannot be asked for to the digit.
#
# Below: the same decision about "no answer", decoded otherwise. On deepset/tinyroberta-squad2 deepset's predictions and
# those of transformers' run_qa are 0.17 exact and 0.12 F1 apart (its card, and the hub's check of it). FARM's windows
# step by 128 tokens where polyspan's overlap by 128, and it ranks spans of several windows by their logits alone; but
# only 417 of the questions have a context that takes more than one window of 384 tokens.
#
# Above: another decision. The figures came to the card on 26 July 2022, when Haystack was at 1.6, which let softmaxes
# compete with a squashed sum of logits for "no answer". On deepset/roberta-base-squad2 its evaluation came out 3.7
# exact and 4.7 F1 below SQuAD's script on FARM's predictions (deepset-ai/haystack issue 2853). polyspan abstains where
# the null score beats every span, as FARM did and run_qa does. deepset's guide to distillation, of 2021, gives this
# model 79.0 F1: 2.6 above the card.
#
# FARM and Haystack print no best thresholds, so best_exact and best_f1 have nothing to be compared with.
BELOW, ABOVE = 0.5, 3.0


def stand_in(folder: Path) -> Published:
    """A tiny model of random weights and a file of two questions: it is right on one if it abstains on both or none."""
    pytest.importorskip("torch")
    context = " ".join(tiny.SENTENCES)
    model = tiny.make_reader_folder(folder / "model", "xlm-roberta")
    never = ReadOptions(return_no_answer=False)
    answer = Reader.from_pretrained(model).read("Who wrote the letter?", [context], never).answers[0]
    qas = [
        {"id": "1", "question": "Who wrote the letter?", "answers": [{"text": answer.text, "answer_start": 0}]},
        {"id": "2", "question": "When was the bridge sold?", "answers": []},
    ]
    source = folder / "source.json"
    source.write_text(json.dumps({"data": [{"paragraphs": [{"context": context, "qas": qas}]}]}))
    md5 = hashlib.md5(source.read_bytes(), usedforsecurity=False).hexdigest()
    return Published(str(model), source.as_uri(), md5, questions=2, exact=50, f1=50)


@pytest.fixture(
    params=["stand-in", pytest.param("hub", marks=[pytest.mark.network, pytest.mark.timeout(6 * 3600)])]  # on a CPU
)
def published(request: pytest.FixtureRequest, tmp_path: Path) -> Published:
    return SEED if request.param == "hub" else stand_in(tmp_path)


def test_evaluate_gives_published_figures(polyspan: Run, published: Published, tmp_path: Path) -> None:
    dataset = tmp_path / "dataset.json"
    with urlopen(published.url, timeout=60) as content:  # noqa: S310 -- one of the two addresses above
        dataset.write_bytes(content.read())
    assert hashlib.md5(dataset.read_bytes(), usedforsecurity=False).hexdigest() == published.md5

    result = polyspan("evaluate", published.model, dataset, "--json")
    assert result.returncode == 0, result.stderr
    report = json.loads(result.stdout)
    scores, signature = report["scores"], report["signature"]
    assert published.model.endswith(signature["model"])
    assert (scores["total"], signature["na_threshold"]) == (published.questions, 0)
    assert published.exact - BELOW <= scores["exact"] <= published.exact + ABOVE, scores
    assert published.f1 - BELOW <= scores["f1"] <= published.f1 + ABOVE, scores
