"""The many ways in which transformers 4 could be asked, as examples and options."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import Any, TypeGuard

from polyspan.errors import InputError

_SIDES = ("question", "context")
_LISTS = ("X", "data")  # older names for all examples
INPUTS = {*_SIDES, *_LISTS}
"""Arguments that hold examples."""
_NO_EFFECT = {"padding", "num_workers"}
"""Arguments that never changed an answer."""


class MissingKeyError(InputError, KeyError):
    """A mapping without a question or a context."""

    def __str__(self) -> str:
        """The message as it is, which a KeyError would quote."""
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class SquadExample:
    """A question with its context, with the fields of transformers' class of this name; only these two are read."""

    qas_id: str | None
    question_text: str
    context_text: str
    answer_text: str | None = None
    start_position_character: int | None = None
    title: str | None = None
    answers: Any = ()
    is_impossible: bool = False


@dataclass(frozen=True, slots=True)
class CallOptions:
    """How one call is answered; None leaves it to the reader, or to transformers 4's default in its strict mode.

    ``top_k`` answers at most. Lengths are in tokens, ``doc_stride`` is the overlap of windows. ``align_to_words``
    widens an answer to whole words. ``batch_size`` is how many windows of full length are scored at once.
    """

    top_k: int = 1
    doc_stride: int | None = None
    max_answer_len: int | None = None
    max_seq_len: int | None = None
    max_question_len: int | None = None
    handle_impossible_answer: bool = False
    align_to_words: bool = True
    batch_size: int | None = None

    def __post_init__(self) -> None:
        """Refuse what transformers 4 refused."""
        for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len", "batch_size"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise InputError(f"{name} must be a whole number of at least 1, not {value!r}")
        stride, longest = self.doc_stride, self.max_seq_len
        if stride is not None and (not isinstance(stride, Integral) or not 0 <= stride <= (longest or stride)):
            raise InputError(f"doc_stride must be a whole number from 0 to max_seq_len ({longest}), not {stride!r}")

    def updated(self, given: Mapping[str, Any]) -> "CallOptions":
        """With other values, of which None counts as not given. Warns of names that mean nothing.

        ``topk`` is the old name of ``top_k``. InputError where a value makes no sense.
        """
        known = {field.name for field in fields(self)}
        values = {name: value for name, value in given.items() if value is not None}
        old = values.pop("topk", None)
        if old is not None:
            warnings.warn("topk is the old name of top_k", UserWarning, stacklevel=3)
            values.setdefault("top_k", old)
        unknown = sorted(set(values) - known - _NO_EFFECT)
        if unknown:
            warnings.warn(
                f"{', '.join(unknown)}: no such argument, so without effect, as in transformers 4; there are "
                f"{', '.join(sorted(known))}",
                UserWarning,
                stacklevel=3,
            )
        return replace(self, **{name: value for name, value in values.items() if name in known})


class QuestionAnsweringArgumentHandler:
    """What was given to a call, as examples."""

    def __call__(self, *given: Any, **named: Any) -> "list[SquadExample] | Iterator[SquadExample]":
        """A list of examples; an iterator where a generator or a dataset was given, read as it is used.

        Args:
            given: one example or several, in lists or not; or question and context, two texts.
            named: ``question`` and ``context``, texts or lists of equal length, or many questions on one context; or
                ``X`` or ``data``, as a single argument in ``given``. Others do not count.

        Raises:
            InputError: if it is anything else, or a text is empty.
            MissingKeyError: if a mapping has no question or no context.
        """
        inputs = _inputs(given, named)
        if isinstance(inputs, Iterator) or _is_dataset(inputs):
            stream = iter(inputs) if isinstance(inputs, Iterator) else (inputs[i] for i in range(len(inputs)))
            return (example for one in stream for example in _examples(one))
        if isinstance(inputs, Mapping) or not isinstance(inputs, Iterable) or isinstance(inputs, str):
            inputs = [inputs]
        return [example for one in inputs for example in _examples(one)]


def _inputs(given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """The examples, in whatever form."""
    if len(given) == 2 and all(isinstance(one, str) for one in given):
        return {"question": given[0], "context": given[1]}
    if given:
        return given[0] if len(given) == 1 else list(given)
    for name in _LISTS:
        if name in named:
            return named[name]
    if set(_SIDES).issubset(named):
        return {side: named[side] for side in _SIDES}
    raise InputError("expected question and context, examples with both, or a list of such examples")


def _is_dataset(inputs: Any) -> TypeGuard[Any]:
    """Whether it is a dataset of torch's kind, with a length and items by number."""
    return hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__") and not isinstance(inputs, Iterable)


def _examples(one: Any) -> list[SquadExample]:
    """The examples of a mapping, one unless it holds lists, or of an object with a question's and a context's text."""
    if hasattr(one, "question_text") and hasattr(one, "context_text"):
        return [_example(one.question_text, one.context_text)]
    if not isinstance(one, Mapping):
        raise InputError(f"an example is a mapping with question and context, or a SquadExample, not {one!r:.80}")
    for side in _SIDES:
        if side not in one:
            raise MissingKeyError(f"an example has no {side}; expected the keys question and context")
    question, context = one["question"], one["context"]
    if not isinstance(question, list):
        return [_example(question, context)]
    contexts = context if isinstance(context, list) else [context] * len(question)
    if len(contexts) != len(question):
        raise InputError(f"{len(question)} questions and {len(contexts)} contexts; expected as many of both")
    return [_example(*pair) for pair in zip(question, contexts, strict=True)]


def _example(question: Any, context: Any) -> SquadExample:
    for side, text in zip(_SIDES, (question, context), strict=True):
        if not isinstance(text, str) or not text:
            raise InputError(f"the {side} must be a text with something in it, not {text!r:.80}")
    return SquadExample(None, question, context)
