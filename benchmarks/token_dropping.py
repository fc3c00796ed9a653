"""What dropping context tokens half-way up the encoder saves, and what it loses.

    python benchmarks/token_dropping.py MODEL --fit FILE... --data FILE:LANG...

MODEL is a folder for torch of BERT's family. After a layer, a probe on the hidden states ranks the context's tokens;
a share of them, with the question's and the special ones, goes through the layers above, and no answer begins or ends
at the others. The probe, a network of 64 hidden units, learns to tell the tokens of the reader's own best spans on the
files of --fit from all others; the reader stays as it is.
"""

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from language_thresholds import file_and_language
from measure import machine, write_result
from polyspan import Reader
from polyspan.backends import BackendOptions, ModelFolder, NativeSettings, SpanScorer, open_scorer
from polyspan.backends.torch import open_model, open_tokenizer
from polyspan.evaluation import predict, read_questions
from polyspan.export import Gate
from polyspan.export.progress import unwatched
from polyspan.features import Batch
from polyspan.types import FloatArray

RESULT = Path(__file__).parent / "results" / "token-dropping.json"
IMPOSSIBLE = -1e4
LONGEST_ANSWER = 40  # tokens
NEIGHBOURS = 2  # tokens on each side that a token's rank holds for too
EPOCHS = 8
SHOWN = ("questions", "f1_float", "f1", "loss", "same_span")

Probe = Callable[[torch.Tensor], torch.Tensor]


class SteppedScorer:
    """A reader that climbs its layers one by one, a window at a time."""

    def __init__(self, folder: ModelFolder) -> None:
        self.name, self.max_seq_len, self.tokenizer = folder.name, folder.max_seq_len, open_tokenizer(folder)
        self._model = open_model(folder, torch.float32).eval()
        self._layers = self._model.base_model.encoder.layer
        self.layers = len(self._layers)

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits."""
        found = np.full((2, *batch.input_ids.shape), IMPOSSIBLE, np.float32)
        with torch.no_grad():
            for row, size in enumerate(batch.attention_mask.sum(axis=1)):
                ids = torch.from_numpy(batch.input_ids[row : row + 1, :size])
                found[:, row, :size] = self.logits(ids, self.is_context(ids[0])).numpy()
        return found[0], found[1]

    def save(self, folder: Path) -> None:
        """Nothing to write."""

    def is_context(self, ids: torch.Tensor) -> torch.Tensor:
        """Which tokens of a window [tokens] lie between its last two separators."""
        ends = torch.nonzero(ids == self.tokenizer.template.suffix[0])[-2:, 0]
        position = torch.arange(len(ids))
        return (position > ends[0]) & (position < ends[1])

    def logits(self, ids: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Start and end logits [2, tokens] of a window [1, tokens] whose context is ``inside`` [tokens]."""
        raise NotImplementedError

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """What the first layer reads, [1, tokens, width]."""
        found: torch.Tensor = self._model.base_model.embeddings(input_ids=ids)
        return found

    def climb(self, states: torch.Tensor, first: int, end: int) -> torch.Tensor:
        """Hidden states [1, tokens, width] through the layers from ``first`` to before ``end``."""
        for layer in self._layers[first:end]:
            found: Any = layer(states)
            states = found[0] if isinstance(found, tuple) else found
        return states

    def head(self, states: torch.Tensor) -> torch.Tensor:
        """Start and end logits, [2, tokens]."""
        found: torch.Tensor = self._model.qa_outputs(states)[0].T
        return found


class LearningScorer(SteppedScorer):
    """Keeps the context's hidden states after some layers, and which tokens are of the best span."""

    def __init__(self, folder: ModelFolder, after: Sequence[int]) -> None:
        super().__init__(folder)
        self._states: dict[int, list[torch.Tensor]] = {layer: [] for layer in sorted(after)}
        self._chosen: list[torch.Tensor] = []

    def logits(self, ids: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """The reader's own."""
        states, done = self.embed(ids), 0
        for layer, kept in self._states.items():
            states, done = self.climb(states, done, layer), layer
            kept.append(states[0, inside])
        logits = self.head(self.climb(states, done, self.layers))
        self._chosen.append(best_span(logits[:, inside]))
        return logits

    def probe(self, layer: int) -> Probe:
        """From hidden states [..., width] after a layer to the logit of each token's being of the best span."""
        torch.manual_seed(0)
        states, chosen = torch.cat(self._states[layer]), torch.cat(self._chosen).float()
        mean, scale = states.mean(0), states.std(0) + 1e-6
        layers = torch.nn.Linear(states.shape[1], 64), torch.nn.GELU(), torch.nn.Linear(64, 1)
        network = torch.nn.Sequential(*layers)
        optimiser = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(states)).chunk(1 + len(states) // 1024):
                found = network((states[rows] - mean) / scale)[:, 0]
                loss = torch.nn.functional.binary_cross_entropy_with_logits(found, chosen[rows])
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
        return lambda given: network((given - mean) / scale)[..., 0]


def best_span(logits: torch.Tensor) -> torch.Tensor:
    """Which tokens are of the span with the highest sum of its start's and end's logits [2, tokens], as [tokens]."""
    start, end = logits
    position = torch.arange(len(start))
    length = position[None] - position[:, None]
    sums = torch.where((length >= 0) & (length < LONGEST_ANSWER), start[:, None] + end[None], -torch.inf)
    first, last = divmod(int(sums.argmax()), len(start))
    return (position >= first) & (position <= last)


class DroppingScorer(SteppedScorer):
    """Lets only the best ``share``, 0 to 1, of a context's tokens climb on after ``layer`` layers.

    ``done`` and ``whole`` count tokens times layers: what was computed, and what the reader itself would have.
    """

    def __init__(self, folder: ModelFolder, layer: int, share: float, probe: Probe) -> None:
        super().__init__(folder)
        self._layer, self._share, self._probe = layer, share, probe
        self.done = self.whole = 0

    def logits(self, ids: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """``IMPOSSIBLE`` for tokens that were dropped."""
        states = self.climb(self.embed(ids), 0, self._layer)
        rank = torch.where(inside, self._probe(states[0]), -torch.inf)
        near = torch.nn.functional.max_pool1d(rank[None], 2 * NEIGHBOURS + 1, 1, NEIGHBOURS)[0]
        count = int((~inside).sum()) + math.ceil(self._share * int(inside.sum()))
        kept = torch.where(inside, near, torch.inf).topk(count).indices.sort().values
        found = torch.full((2, ids.shape[1]), IMPOSSIBLE)
        found[:, kept] = self.head(self.climb(states[:, kept], self._layer, self.layers))
        self.done += self._layer * ids.shape[1] + (self.layers - self._layer) * count
        self.whole += self.layers * ids.shape[1]
        return found


def main() -> None:
    """Fit, read, compare and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--fit", type=Path, nargs="+", required=True, help="SQuAD files to fit the probe to")
    parser.add_argument("--data", metavar="FILE:LANG", type=file_and_language, action="append", required=True)
    parser.add_argument("--layer", type=int, nargs="+", default=[6, 8])
    parser.add_argument("--share", type=float, nargs="+", default=[0.5, 0.3])
    parser.add_argument("--fit-sample", type=int, default=60, help="questions of a file of --fit at most")
    parser.add_argument("--sample", type=int, default=60, help="questions of a file of --data at most")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    folder = ModelFolder(given.model)

    def reader(scorer: SpanScorer) -> Reader:
        return Reader(scorer, NativeSettings(name=folder.name, no_answer=True))

    learner = LearningScorer(folder, given.layer)
    fitting = reader(learner).defaults
    for path in given.fit:
        list(predict(reader(learner), read_questions(path).sample(given.fit_sample).examples, fitting))
    asked = [read_questions(path, language).sample(given.sample) for path, language in given.data]
    gate = Gate(reader(open_scorer(folder, BackendOptions("torch"))), asked, unwatched)
    found = {}
    for layer in given.layer:
        probe = learner.probe(layer)
        for share in given.share:
            scorer = DroppingScorer(folder, layer, share, probe)
            report = gate.measure(reader(scorer))
            name = f"{share:g} of the context after {layer} layers"
            agreement = asdict(report.whole)
            found[name] = {"computed": scorer.done / scorer.whole, **{one: agreement[one] for one in SHOWN}}
            print(name, found[name], flush=True)
    write_result(
        given.out,
        {
            "what": "computed: tokens x layers as a share of the whole reader's; F1, 0 to 100, with its loss",
            "model": folder.name,
            "questions": {str(one.source["dataset"]): len(one.examples) for one in asked},
            "seed": 0,
            "found": found,
            **machine(("polyspan", "torch", "transformers")),
        },
    )


if __name__ == "__main__":
    main()
