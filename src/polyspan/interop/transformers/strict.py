"""The decoding of transformers 4, defects included, so that its results can be had again.

Each window has a softmax of its own, over its context and the null position; a span counts the product of its ends'
shares. The null answer counts the smallest product over the windows. Spans are widened to what the tokenizer takes for
a word, and equal texts, letter case aside, are one answer with the sum of their scores.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from polyspan.backends import ModelFolder, SpanScorer
from polyspan.errors import InputError
from polyspan.features import collate, plan_batches
from polyspan.interop.opening import whole_tokenizer
from polyspan.interop.transformers.arguments import CallOptions, SquadExample
from polyspan.reader import Reader
from polyspan.types import FloatArray, Window

if TYPE_CHECKING:
    from tokenizers import Encoding

LONGEST, OVERLAP, ANSWER_TOKENS = 384, 128, 15
MASKED = -10_000.0
BLOCK_EXAMPLES = 32


class PairEncoder:
    """A tokenizer as transformers 4 uses it: special tokens in a text are special, offsets are the file's own."""

    def __init__(self, source: Any) -> None:
        """From a model folder or a fast tokenizer of transformers. InputError where it puts the context first."""
        self._tokenizer = whole_tokenizer(source)
        self._tokenizer.no_padding()
        self._lock = Lock()
        about = _about(source)
        if about.get("padding_side") == "left":
            raise InputError("strict_v4 knows tokenizers that put the question first; this one pads on the left")
        names = about.get("model_input_names")
        self.longest = int(min(about.get("model_max_length") or LONGEST, LONGEST))
        self.takes_types = names is None or "token_type_ids" in names
        null_id = self._tokenizer.token_to_id(_content(about.get("cls_token")))
        self.null_id = self._tokenizer.encode("a", "a").ids[0] if null_id is None else null_id

    def encode(self, example: SquadExample, longest: int, overlap: int) -> "list[Encoding]":
        """The windows of a question and its context; InputError where the question leaves no room for more than one."""
        pair = example.question_text, example.context_text
        with self._lock:
            self._tokenizer.no_truncation()
            special = self._tokenizer.num_special_tokens_to_add(is_pair=True)
            room = longest - special - len(self._tokenizer.encode(pair[0], add_special_tokens=False))
            if room > overlap:
                self._tokenizer.enable_truncation(longest, stride=overlap, strategy="only_second")
            first = self._tokenizer.encode(*pair)
        if len(first) > longest:
            raise InputError(
                f"strict_v4: beside the question {pair[0]!r:.60} a window of max_seq_len {longest} has room for {room} "
                f"tokens, which doc_stride {overlap} does not leave; raise the one, lower the other or cut the question"
            )
        return [first, *first.overflowing]


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """A window with its logits, float32 [tokens], and where answers may begin and end, [tokens]."""

    encoding: "Encoding"
    start: FloatArray
    end: FloatArray
    allowed: Any


def strict_results(
    reader: Reader, encoder: PairEncoder, examples: Iterable[SquadExample], options: CallOptions
) -> Iterator[list[dict[str, Any]]]:
    """For each example its answers as transformers 4 gives them, best first, as they come.

    Raises InputError where windows are longer than the model can see.
    """
    longest = encoder.longest if options.max_seq_len is None else options.max_seq_len
    overlap = min(longest // 2, OVERLAP) if options.doc_stride is None else options.doc_stride
    scorer, budget = reader.scorer, reader.defaults.batch_tokens
    if overlap > longest or longest > (scorer.max_seq_len or longest):
        raise InputError(
            f"max_seq_len {longest} and doc_stride {overlap}: {scorer.name} sees {scorer.max_seq_len} tokens at most, "
            "and windows cannot overlap by more than their length"
        )
    if options.batch_size is not None:
        budget = options.batch_size * longest
    coming = iter(examples)
    while block := list(islice(coming, BLOCK_EXAMPLES)):
        encodings = [encoder.encode(example, longest, overlap) for example in block]
        scored = iter(_score(scorer, encoder, [one for windows in encodings for one in windows], budget))
        for example, windows in zip(block, encodings, strict=True):
            yield _decode(example, [next(scored) for _ in windows], options)


def _score(scorer: SpanScorer, encoder: PairEncoder, encodings: "Sequence[Encoding]", budget: int) -> list[_Scored]:
    found: dict[int, _Scored] = {}
    for batch in plan_batches([len(one) for one in encodings], budget):
        windows = [_window(encodings[i], encoder.takes_types) for i in batch]
        starts, ends = scorer.score(collate(windows, scorer.tokenizer.pad_id))
        for row, i in enumerate(batch):
            size = len(encodings[i])
            ids, sides = np.array(encodings[i].ids), encodings[i].sequence_ids
            allowed = np.array([side == 1 for side in sides]) | (ids == encoder.null_id)
            found[i] = _Scored(encodings[i], starts[row, :size], ends[row, :size], allowed)
    return [found[i] for i in range(len(encodings))]


def _window(encoding: "Encoding", takes_types: bool) -> Window:
    """The window of an encoding; it is decoded here, so that its context does not count."""
    ids, types = np.array(encoding.ids, np.int32), np.array(encoding.type_ids, np.int32)
    return Window(0, ids, types if takes_types else np.zeros_like(types), 0, np.zeros((0, 2), np.int32), (0, 0))


def _decode(example: SquadExample, windows: Sequence[_Scored], options: CallOptions) -> list[dict[str, Any]]:
    most_tokens = ANSWER_TOKENS if options.max_answer_len is None else options.max_answer_len
    tried = options.top_k * 2 + 10 if options.align_to_words else options.top_k
    null_score, answers = np.inf, dict[str, dict[str, Any]]()
    for window in windows:
        start, end = (_shares(logits, window.allowed) for logits in (window.start, window.end))
        null_score = min(null_score, float(start[0] * end[0]))
        start[0] = end[0] = 0.0
        for first, last, score in _best_spans(start, end, most_tokens, tried):
            if not all(position == 0 or window.allowed[position] for position in (first, last)):
                continue
            begin, finish = _characters(window.encoding, first, last, options.align_to_words)
            text = example.context_text[begin:finish]
            answer = {"score": 0.0, "start": begin, "end": finish, "answer": text}
            answers.setdefault(text.lower(), answer)["score"] += score
    found = list(answers.values())
    if options.handle_impossible_answer:
        found.append({"score": null_score, "start": 0, "end": 0, "answer": ""})
    return sorted(found, key=lambda one: one["score"], reverse=True)[: options.top_k]


def _shares(logits: FloatArray, allowed: Any) -> FloatArray:
    """The softmax over allowed positions, 0 elsewhere."""
    masked = np.where(allowed, logits, np.float32(MASKED))
    powers = np.exp(masked - masked.max())
    shares: FloatArray = powers / powers.sum()
    return shares


def _best_spans(start: FloatArray, end: FloatArray, most_tokens: int, count: int) -> Iterator[tuple[int, int, float]]:
    """First and last tokens with their products, best first; where spans are fewer, such as are none, with 0."""
    scores = np.outer(start, end)
    length = np.arange(len(end))[None, :] - np.arange(len(start))[:, None]
    scores[(length < 0) | (length >= most_tokens)] = 0.0
    flat = scores.ravel()
    if count == 1:
        best = np.array([flat.argmax()])
    elif len(flat) < count:
        best = np.argsort(-flat)
    else:
        best = np.argpartition(-flat, count - 1 if len(flat) == count else count)[:count]
        best = best[np.argsort(-flat[best])]
    for position in best:
        first, last = divmod(int(position), len(end))
        yield first, last, float(flat[position])


def _characters(encoding: "Encoding", first: int, last: int, align_to_words: bool) -> tuple[int, int]:
    """The characters from one token to another, or of their words where the tokenizer knows them."""
    first_word, last_word = encoding.token_to_word(first), encoding.token_to_word(last)
    if align_to_words and first_word is not None and last_word is not None:
        begin, finish = (encoding.word_to_chars(word, sequence_index=1) for word in (first_word, last_word))
        if begin is not None and finish is not None:
            return begin[0], finish[1]
    return encoding.offsets[first][0], encoding.offsets[last][1]


def _about(source: Any) -> dict[str, Any]:
    """What a folder or a tokenizer of transformers says of itself."""
    if not isinstance(source, ModelFolder):
        names = ("cls_token", "model_max_length", "model_input_names", "padding_side")
        return {name: getattr(source, name, None) for name in names}
    about: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        file = source.path / name
        if file.is_file():
            about |= json.loads(file.read_text(encoding="utf-8"))
    return about


def _content(token: Any) -> str:
    """A special token's text, which files give alone or among its properties."""
    return str(token.get("content", "") if isinstance(token, dict) else token or "")
