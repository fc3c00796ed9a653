"""``TransformersReader`` of Haystack 1."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from polyspan.interop.farm.arguments import opening_of
from polyspan.interop.farm.base import BaseReader
from polyspan.interop.farm.results import Showing, on_each_side
from polyspan.interop.opening import open_named
from polyspan.reader import Reader, ReadOptions


@dataclass(eq=False)
class TransformersReader(BaseReader):
    """A reader with the arguments of Haystack 1's other one, which are attributes too and may be set between calls.

    ``model_name_or_path`` is a folder or hub id of revision ``model_version``, by default the reader that comes with
    polyspan, or a ``polyspan.Reader``; ``tokenizer`` another one's name. ``use_gpu`` takes a GPU, if there is one, for
    a model without an ONNX file; ``devices`` names one, in a list. ``top_k`` answers in all, ``top_k_per_candidate`` of
    one document; ``return_no_answers`` lets "no answer" be one of them. A context has ``context_window_size``
    characters on each side of the answer. A window has ``max_seq_len`` tokens and shares ``doc_stride`` tokens with the
    next one; ``batch_size`` windows are scored at once (None: as many as suit the model). ``use_auth_token`` True has
    no effect, as the hub's own token counts; a token as a text is refused.

    ``reader`` is the ``polyspan.Reader`` behind it. Raises what ``FARMReader`` raises.
    """

    model_name_or_path: str | Path | Reader = "default"
    model_version: str | None = None
    tokenizer: str | Path | None = None
    context_window_size: int = 70
    use_gpu: bool = True
    top_k: int = 10
    top_k_per_candidate: int = 3
    return_no_answers: bool = False
    max_seq_len: int = 256
    doc_stride: int = 128
    batch_size: int | None = None
    use_auth_token: str | bool | None = None
    devices: Sequence[Any] | None = None
    reader: Reader = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Open the model."""
        self.reader, _ = open_named(self.model_name_or_path, self.tokenizer, opening_of(vars(self)))

    def _read_options(self, top_k: int, batch_size: int | None) -> ReadOptions:
        size = self.batch_size if batch_size is None else batch_size
        return replace(
            self.reader.defaults,
            top_k=top_k,
            top_k_per_document=self.top_k_per_candidate,
            return_no_answer=self.return_no_answers,
            max_seq_len=self.max_seq_len,
            doc_stride=self.doc_stride,
            batch_tokens=self.reader.defaults.batch_tokens if size is None else size * self.max_seq_len,
        )

    def _showing(self, top_k: int) -> Showing:
        return Showing(top_k, self.return_no_answers, on_each_side(self.context_window_size))
