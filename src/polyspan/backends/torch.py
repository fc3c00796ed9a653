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

from polyspan.backends.farm_folder import ENCODER, LAYER, TEMPERATURE, FarmFolder
from polyspan.backends.folder import ModelFolder, longest_window, one_line, padding_id
from polyspan.errors import InputError, MissingExtraError, ModelError
from polyspan.features import Batch, PairTokenizer
from polyspan.types import FloatArray

try:
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig, AutoModel, AutoModelForQuestionAnswering, AutoTokenizer
    from transformers.utils import logging
except ImportError as error:
    raise MissingExtraError("a model folder without an ONNX file", "torch") from error

OPENING: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
SPAN_HEAD = "qa_outputs"
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
            if isinstance(folder, FarmFolder):
                model, info = _open_farm(folder, dtype, **options)
            else:
                model, info = kind.from_pretrained(
                    folder.path, dtype=dtype, output_loading_info=True, weights_only=True, **OPENING, **options
                )
    except ModelError:
        raise
    except UnpicklingError as error:
        raise _pickled(folder.path) from error
    except Exception as error:  # odd configurations and broken weights fail in many ways
        raise ModelError(f"{folder.path}: transformers cannot open it: {one_line(error)}") from error
    # what makes one vector of the first token, which nobody asks for
    if missing := sorted(name for name in info["missing_keys"] if not name.startswith("pooler.")):
        raise ModelError(
            f"{folder.path}: has no weights for {', '.join(missing[:3])}; expected "
            + ("a whole transformer" if as_encoder else "a model fine-tuned for extractive question answering")
        )
    return model


def _open_farm(folder: FarmFolder, dtype: torch.dtype | Literal["auto"], **options: Any) -> tuple[Any, Any]:
    """A model put together from its encoder and its head, and transformers' report of that."""
    config = AutoConfig.for_model(**folder.config)
    models: Any = AutoModelForQuestionAnswering
    with torch.device("meta"):
        kind: Any = type(models.from_config(config))
    encoder, head = (read_weights(folder.weights_file(part)) for part in (ENCODER, folder.head))
    layers = [name for name in head if name != TEMPERATURE]
    if sorted(layers) != [f"{LAYER}.bias", f"{LAYER}.weight"]:
        raise ModelError(f"{folder.path}: its head holds {', '.join(sorted(layers))}; expected a single linear layer")
    weights = {f"{kind.base_model_prefix}.{name}": values for name, values in encoder.items()}
    weights |= {name.replace(LAYER, SPAN_HEAD): head[name] for name in layers}
    found: tuple[Any, Any] = kind.from_pretrained(
        None, config=config, state_dict=weights, dtype=dtype, output_loading_info=True, **options
    )
    return found


def read_weights(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, or of a pickled state dict, by their names.

    Raises ModelError where it is broken, or holds anything else; code is never run.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise _pickled(file) from error
    except Exception as error:  # both libraries fail in many ways
        raise ModelError(f"{file}: cannot be read: {one_line(error)}; copy the model folder again") from error
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ModelError(f"{file}: holds no state dict; expected tensors by their names")
    return content


def save_parts(model: Any, encoder: Path, head: Path, temperature: float) -> int:
    """Write a model's encoder and its span head, with a temperature, as FARM parts and names them; the head's width.

    Raises ModelError where the head is no single linear layer.
    """
    layer = getattr(model, SPAN_HEAD, None)
    if not isinstance(layer, torch.nn.Linear):
        raise ModelError(f"{type(model).__name__}: has no span head of a single linear layer, as FARM's are")
    inner = getattr(model, model.base_model_prefix).state_dict()
    save_file({name: values.contiguous() for name, values in inner.items()}, encoder)
    numbers = {f"{LAYER}.{name}": values.contiguous() for name, values in layer.state_dict().items()}
    save_file({**numbers, TEMPERATURE: torch.tensor([temperature])}, head)
    return layer.in_features


def _pickled(path: Path) -> ModelError:
    return ModelError(
        f"{path}: its pickled weights are broken or hold code, which is never run; expected a state dict, or better "
        "safetensors"
    )


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
        _old_tokenizer(source).save_pretrained(target)
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
        tokenizer: Tokenizer = _old_tokenizer(folder).backend_tokenizer
    except Exception as error:  # broken vocabularies fail in many ways
        raise ModelError(f"{folder.path}: holds no tokenizer that can be read: {one_line(error)}") from error
    return tokenizer


def _old_tokenizer(folder: ModelFolder) -> Any:
    """The tokenizer of a folder's vocabulary; FARM's folders have no config.json that would tell its kind."""
    config = AutoConfig.for_model(**folder.config) if isinstance(folder, FarmFolder) else None
    return AutoTokenizer.from_pretrained(folder.path, config=config, **OPENING)
