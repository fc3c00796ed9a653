"""Scoring with torch, for every architecture of ``AutoModelForQuestionAnswering``."""

import inspect
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal

import numpy as np
from tokenizers import Tokenizer

from polyspan.backends.folder import ModelFolder, one_line
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.features import Batch, PairTokenizer
from polyspan.types import FloatArray

try:
    import torch
    from transformers import AutoModel, AutoModelForQuestionAnswering, AutoTokenizer
    from transformers.utils import logging
except ImportError as error:
    raise MissingExtraError("a model folder without an ONNX file", "torch") from error

OPENING: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
TOKENIZER_FILES = (
    "tokenizer*.json*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
)


class TorchScorer:
    """A model folder opened by transformers; its own code is never run."""

    def __init__(self, folder: ModelFolder, device: str | None = None, dtype: str | None = None) -> None:
        dtype = "float32" if dtype is None else dtype
        if dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
        self._device = open_device("cpu" if device is None else device)
        self._folder = folder
        self.name = folder.name
        self.tokenizer = open_tokenizer(folder)
        self.max_seq_len = folder.max_seq_len
        model = open_model(folder, DTYPES[dtype])
        self._model = model.to(self._device).eval()
        self._takes_types = takes_types(model)

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, both float32 [windows, tokens]."""
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self._takes_types:
            given["token_type_ids"] = batch.type_ids
        with torch.inference_mode():
            output = self._model(**{name: torch.from_numpy(ids).to(self._device) for name, ids in given.items()})
        start, end = (logits.float().cpu().numpy() for logits in (output.start_logits, output.end_logits))
        return start.astype(np.float32, copy=False), end.astype(np.float32, copy=False)

    def save(self, folder: Path) -> None:
        """Write configuration, safetensors and tokenizer."""
        save_model(self._model, self._folder, folder)


def open_model(
    folder: ModelFolder, dtype: torch.dtype | Literal["auto"], *, as_encoder: bool = False, **options: Any
) -> Any:
    """The model of a folder in a precision, "auto" for that of its weights; ModelError where it cannot be opened.

    ``as_encoder`` opens the transformer alone. ``options`` go to transformers' ``from_pretrained``.
    """
    kind = AutoModel if as_encoder else AutoModelForQuestionAnswering
    try:
        with quietly():
            model, info = kind.from_pretrained(
                folder.path, dtype=dtype, output_loading_info=True, weights_only=True, **OPENING, **options
            )
    except UnpicklingError as error:
        raise ModelError(
            f"{folder.path}: its pickled weights are broken or hold code, which is never run; expected a "
            "state dict, or better model.safetensors"
        ) from error
    except Exception as error:  # odd configurations and broken weights fail in many ways
        raise ModelError(f"{folder.path}: transformers cannot open it: {one_line(error)}") from error
    # what makes one vector of the first token, which nobody asks for
    if missing := sorted(name for name in info["missing_keys"] if not name.startswith("pooler.")):
        raise ModelError(
            f"{folder.path}: has no weights for {', '.join(missing[:3])}; expected "
            + ("a whole transformer" if as_encoder else "a model fine-tuned for extractive question answering")
        )
    return model


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers from drawing bars and coloured tables, which it does even where nobody sees them."""
    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call] # transformers is typed in part
    logging.set_verbosity_error()  # type: ignore[no-untyped-call] # likewise
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call] # likewise


def takes_types(model: Any) -> bool:
    """Whether a model tells question and context apart by type ids."""
    # RoBERTa's family has a parameter for type ids, and a single type
    takes = inspect.signature(model.forward).parameters
    return "token_type_ids" in takes and getattr(model.config, "type_vocab_size", 0) > 1


def save_model(
    model: Any, source: ModelFolder, target: Path, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write a model's configuration and safetensors, and the tokenizer of the folder that it came from.

    ``weights`` are those to write, by their names; None: all of the model's.
    """
    with quietly():
        model.save_pretrained(target, state_dict=weights)
    save_tokenizer(source, target)


def save_tokenizer(source: ModelFolder, target: Path) -> None:
    """Write the tokenizer of one folder into another; an old vocabulary becomes a tokenizer.json."""
    if source.tokenizer_file is None:
        AutoTokenizer.from_pretrained(source.path, **OPENING).save_pretrained(target)
    elif not target.samefile(source.path):
        for path in [path for pattern in TOKENIZER_FILES for path in source.path.glob(pattern)]:
            shutil.copy(path, target / path.name)


def open_device(name: str) -> torch.device:
    """The device of that name, tried out."""
    try:
        return torch.empty(0, device=name).device
    except Exception as error:  # each device type raises its own kind
        raise InputError(f"device {name!r}: torch cannot use it: {one_line(error)}") from error


def open_tokenizer(folder: ModelFolder) -> PairTokenizer:
    """From ``tokenizer.json``, or from an old folder's vocabulary by way of transformers.

    Raises:
        ModelError: if there is neither, or it is broken.
    """
    return folder.pair_tokenizer() or PairTokenizer(convert_tokenizer(folder), folder.pad_id)


def convert_tokenizer(folder: ModelFolder) -> Tokenizer:
    """The tokenizer of a folder without ``tokenizer.json``, as transformers makes it from its vocabulary.

    Raises:
        ModelError: if it holds no vocabulary, or a broken one.
    """
    if not any(path for pattern in ("vocab.*", "*.model") for path in folder.path.glob(pattern)):
        raise ModelError(f"{folder.path}: holds no tokenizer.json and no vocabulary")
    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder.path, **OPENING).backend_tokenizer
    except Exception as error:  # broken vocabularies fail in many ways
        raise ModelError(f"{folder.path}: holds no tokenizer that can be read: {one_line(error)}") from error
    return tokenizer
