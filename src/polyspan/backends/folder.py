"""A model folder in Hugging Face's layout, with one small JSON of our own."""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from polyspan.decoding import Calibration
from polyspan.errors import ModelError
from polyspan.features import PairTokenizer

ASSETS = Path(str(files("polyspan") / "assets"))
NATIVE_FILE = "polyspan.json"
FORMAT_VERSION = 1
PACKED = ".gz"
ONNX_FILES = (
    "onnx/model.onnx",
    "model.onnx",
    "onnx/model_quantized.onnx",
    "model_quantized.onnx",
    "onnx/model_int8.onnx",
    "onnx/model_q4.onnx",
    "onnx/model_fp16.onnx",
)
POSITIONS_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "ibert",
    "lilt",
    "longformer",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


@dataclass(frozen=True, slots=True)
class NativeSettings:
    """What ``polyspan.json`` holds.

    ``no_answer`` says whether the model was trained to give no answer (None: unknown); ``options`` are reading
    options that differ from the library's defaults, by their names; ``backend`` "openvino" says that OpenVINO computes
    the ONNX file fastest, and is to open it where it is installed.
    """

    name: str = ""
    no_answer: bool | None = None
    calibration: Calibration = field(default_factory=Calibration)
    options: Mapping[str, Any] = field(default_factory=dict)
    backend: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        content = {"format_version": FORMAT_VERSION, **asdict(self), "calibration": self.calibration.to_json()}
        return {name: value for name, value in content.items() if (name, value) != ("backend", None)}

    @classmethod
    def from_json(cls, content: Any, where: str) -> "NativeSettings":
        """Read the file's content; ModelError where it is not what ``to_json`` writes."""
        if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
            found = content.get("format_version") if isinstance(content, dict) else type(content).__name__
            raise ModelError(f"{where}: format_version must be {FORMAT_VERSION}, found {found}; update polyspan")
        name, no_answer, options = content.get("name", ""), content.get("no_answer"), content.get("options", {})
        if not (isinstance(name, str) and isinstance(options, dict) and no_answer in (None, True, False)):
            raise ModelError(f"{where}: name must be a text, options an object and no_answer null, true or false")
        backend = content.get("backend")
        if backend not in (None, "openvino"):
            raise ModelError(f"{where}: backend must be null or openvino, not {backend!r}")
        try:
            return cls(name, no_answer, Calibration.from_json(content.get("calibration", {})), options, backend)
        except (AttributeError, TypeError, ValueError, ModelError) as error:
            raise ModelError(f"{where}: calibration: {error}; remove it and calibrate anew") from error


def one_line(error: Exception) -> str:
    """What another library's error says first, or its kind where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def unpacked(path: Path) -> bytes:
    """A file's content, unpacked where its name ends in ``.gz``; ModelError where it cannot be read."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == PACKED else content
    except (OSError, EOFError, zlib.error) as error:
        raise ModelError(f"{path}: cannot be read: {one_line(error)}; copy the model folder again") from error


def padding_id(config: Mapping[str, Any]) -> int:
    """The padding token's id; where a configuration is silent, 1 in RoBERTa's family and else 0."""
    pad_id = config.get("pad_token_id")
    return pad_id if isinstance(pad_id, int) else int(_positions_after_padding(config))


def longest_window(config: Mapping[str, Any]) -> int | None:
    """How many tokens a model of a configuration can see at once; None where the positions are relative."""
    positions = config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions < 1 or config.get("position_biased_input") is False:
        return None
    return positions - padding_id(config) - 1 if _positions_after_padding(config) else positions


def _positions_after_padding(config: Mapping[str, Any]) -> bool:
    """Whether the first token's position follows the padding token's id, as in RoBERTa's family."""
    return config.get("model_type") in POSITIONS_AFTER_PADDING


class ModelFolder:
    """The files of one model; nothing is loaded before it is asked for."""

    config_file = "config.json"

    def __init__(self, path: Path, name: str | None = None) -> None:
        if not (path / self.config_file).is_file():
            raise ModelError(
                f"{path}: no {self.config_file} there; expected a folder in Hugging Face's layout, as save_pretrained "
                "writes it, or polyspan convert from FARM's"
            )
        self.path = path
        self.name = name or self.settings.name or path.resolve().name

    @classmethod
    def shipped(cls) -> "ModelFolder":
        """The reader that comes with the package."""
        return cls(ASSETS / "reader")

    @cached_property
    def config(self) -> dict[str, Any]:
        """Transformers' configuration of the model."""
        content = self._json(self.config_file)
        if not isinstance(content, dict):
            raise ModelError(f"{self.path / self.config_file}: expected a JSON object")
        return content

    @cached_property
    def settings(self) -> NativeSettings:
        """``polyspan.json``, or what goes for a folder without one."""
        if not (self.path / NATIVE_FILE).is_file():
            return NativeSettings()
        return NativeSettings.from_json(self._json(NATIVE_FILE), str(self.path / NATIVE_FILE))

    @property
    def onnx_file(self) -> Path | None:
        """The first ONNX file of the usual names, perhaps gzipped (``.onnx.gz``)."""
        return self.first_file(*ONNX_FILES)

    @property
    def tokenizer_file(self) -> Path | None:
        """``tokenizer.json``, perhaps gzipped (``.json.gz``), if there is one."""
        return self.first_file("tokenizer.json")

    @property
    def pad_id(self) -> int:
        """The padding token's id, as ``padding_id`` finds it."""
        return padding_id(self.config)

    @property
    def max_seq_len(self) -> int | None:
        """How many tokens a window can hold at most, as ``longest_window`` finds it."""
        return longest_window(self.config)

    def write_settings(self, settings: NativeSettings) -> None:
        """Write ``polyspan.json``, whole or not at all."""
        unfinished = self.path / f"{NATIVE_FILE}.part"
        unfinished.write_text(json.dumps(settings.to_json(), indent=2) + "\n", encoding="utf-8")
        unfinished.replace(self.path / NATIVE_FILE)

    def pair_tokenizer(self) -> PairTokenizer | None:
        """The tokenizer of ``tokenizer_file``, if there is one; ModelError where it is broken."""
        file = self.tokenizer_file
        return None if file is None else PairTokenizer.from_json(unpacked(file), str(file), self.pad_id)

    def first_file(self, *names: str) -> Path | None:
        """The first file of these names that there is, perhaps gzipped (``.gz``)."""
        paths = (self.path / f"{name}{packing}" for name in names for packing in ("", PACKED))
        return next((path for path in paths if path.is_file()), None)

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{self.path / name}: not readable as JSON: {error}") from error
