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

from polyspan.backends.folder import ModelFolder, longest_window, one_line, padding_id
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


class _Scorer:
    """An open model of transformers, on whichever device it is."""

    def __init__(self, model: Any, tokenizer: PairTokenizer, name: str, config: Mapping[str, Any]) -> None:
        self.name = name
        self.tokenizer = tokenizer
        self.max_seq_len = longest_window(config)
        self._model = model.eval()
        self._takes_types = takes_types(model)

    def score(self, batch: Batch) -> tuple[FloatArray, FloatArray]:
        """Start and end logits, both float32 [windows, tokens]."""
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self._takes_types:
            given["token_type_ids"] = batch.type_ids
        with torch.inference_mode():
            output = self._model(**{name: torch.from_numpy(ids).to(self._model.device) for name, ids in given.items()})
        start, end = (logits.float().cpu().numpy() for logits in (output.start_logits, output.end_logits))
        return start.astype(np.float32, copy=False), end.astype(np.float32, copy=False)


class TorchScorer(_Scorer):
    """A model folder opened by transformers; its own code is never run."""

    def __init__(self, folder: ModelFolder, device: str | None = None, dtype: str | None = None) -> None:
        dtype = "float32" if dtype is None else dtype
        if dtype not in DTYPES:
            raise InputError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
        place = open_device("cpu" if device is None else device)
        tokenizer = open_tokenizer(folder)
        super().__init__(open_model(folder, DTYPES[dtype]).to(place), tokenizer, folder.name, folder.config)
        self._folder = folder

    def save(self, folder: Path) -> None:
        """Write configuration, safetensors and tokenizer."""
        save_model(self._model, self._folder, folder)


class ObjectScorer(_Scorer):
    """A model of transformers that the caller opened; it is put into evaluation mode."""

    def __init__(self, model: Any, tokenizer: Tokenizer, device: str | None = None) -> None:
        """Wrap it; ``tokenizer`` stays as it is. ``device`` None leaves the model where it is.

        Raises InputError where it is no such model.
        """
        if not (hasattr(model, "config") and hasattr(model, "forward")):
            raise InputError(f"model is a {type(model).__name__}; expected a folder, a hub id or a transformers model")
        if device is not None:
            model = model.to(open_device(device))
        config, name = model.config.to_dict(), getattr(model, "name_or_path", "") or type(model).__name__
        pair = PairTokenizer(Tokenizer.from_str(tokenizer.to_str()), padding_id(config))
        super().__init__(model, pair, Path(name).name if Path(name).is_dir() else name, config)
        self._whole_tokenizer = tokenizer

    def save(self, folder: Path) -> None:
        """Write configuration, safetensors and tokenizer."""
        with quietly():
            self._model.save_pretrained(folder)
        self._whole_tokenizer.save(str(folder / "tokenizer.json"))


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


def first_gpu() -> str | None:
    """Torch's name of this machine's GPU or other accelerator; None without one."""
    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else None


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
