"""A folder in the layout of sentence-transformers: what its small files say of modules, prompts and lengths."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from polyspan.backends.digest import HASHED, content_of, digest_of
from polyspan.backends.folder import FORMAT_VERSION, NATIVE_FILE, ModelFolder, unpacked
from polyspan.errors import InputError, ModelError
from polyspan.features import TextTokenizer
from polyspan.types import FloatArray

MODULES_FILE = "modules.json"
LIBRARY_FILE = "config_sentence_transformers.json"
TOKENIZER_FILE = "tokenizer.json"
MORE_FILES = ("[0-9]*_*/*",)
"""Patterns of the files of modules behind the transformer."""
LAYOUT_FILES = ("config.json", MODULES_FILE, LIBRARY_FILE, "sentence_*_config.json", "[0-9]*_*/config.json")
"""Patterns of what describes an encoder, beside weights and tokenizer."""
LONGEST = 512
BATCH_TOKENS = 800
POOLINGS = ("mean", "cls")
_HASHED = (*HASHED, *LAYOUT_FILES, *MORE_FILES)
_QUESTIONS, _PASSAGES = ("query",), ("document", "passage", "corpus")
_LIBRARY = "sentence_transformers."
_SWITCHES = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """What an encoder's ``polyspan.json`` holds.

    ``batch_tokens``: how many tokens are encoded at once; 1 for those that quantise a batch by its largest value, so
    that a text's vector does not depend on the texts beside it. ``shared`` names files that are not in the folder,
    since the reader that comes with polyspan has the same, with the SHA-256 of what is in them, unpacked.
    """

    name: str = ""
    batch_tokens: int = BATCH_TOKENS
    shared: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The file's content."""
        return {"format_version": FORMAT_VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, content: Any, where: str) -> "EncoderSettings":
        """Read the file's content; ModelError where it is not what ``to_json`` writes."""
        if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
            raise ModelError(f"{where}: expected an object of format_version {FORMAT_VERSION}; update polyspan")
        settings = cls(content.get("name", ""), content.get("batch_tokens", BATCH_TOKENS), content.get("shared", {}))
        texts = isinstance(settings.name, str) and isinstance(settings.shared, dict)
        if not (texts and isinstance(settings.batch_tokens, int) and settings.batch_tokens > 0):
            raise ModelError(
                f"{where}: name must be a text, batch_tokens a whole number of at least 1 and shared an object"
            )
        return settings


class SentenceFolder:
    """The files of one encoder: ``modules.json``, or else an ONNX file that gives whole vectors."""

    def __init__(self, path: Path, name: str | None = None) -> None:
        if not (path / MODULES_FILE).is_file() and not any(path.glob("**/*.onnx*")):
            raise ModelError(
                f"{path}: no {MODULES_FILE} there; expected a folder in the layout of sentence-transformers, as its "
                "save_pretrained writes it"
            )
        self.path = path
        self.name = name or self.settings.name or path.resolve().name

    @cached_property
    def settings(self) -> EncoderSettings:
        """``polyspan.json``, or what goes for a folder without one."""
        content, where = self._json(NATIVE_FILE), self.path / NATIVE_FILE
        return EncoderSettings() if content is None else EncoderSettings.from_json(content, str(where))

    @cached_property
    def digest(self) -> str:
        """12 hex digits over weights, tokenizer, modules, prompts and lengths; the runtime is not among them."""
        shared = json.dumps(dict(self.settings.shared), sort_keys=True).encode()
        return digest_of(chain(content_of(self.path, _HASHED), [shared]))

    @cached_property
    def model(self) -> ModelFolder:
        """The transformer's files, where they lie in the folder itself."""
        return ModelFolder(self.path, self.name)

    @cached_property
    def prompts(self) -> tuple[str, str]:
        """What stands before questions and before passages; "" where the model names nothing for them."""
        given = self._object(LIBRARY_FILE).get("prompts") or {}
        if not isinstance(given, dict) or not all(isinstance(value, str | None) for value in given.values()):
            raise ModelError(f"{self.path / LIBRARY_FILE}: prompts: expected an object of texts")
        question, passage = (next(filter(None, map(given.get, names)), "") for names in (_QUESTIONS, _PASSAGES))
        return question, passage

    @cached_property
    def max_seq_len(self) -> int:
        """How many tokens of a text count, special ones among them."""
        own = self._transformer.get("max_seq_length") or self._object("tokenizer_config.json").get("model_max_length")
        limits = [one for one in (own, self.model.max_seq_len) if isinstance(one, int | float)]
        return min([int(one) for one in limits if 0 < one < 10**9] or [LONGEST])

    @cached_property
    def pooling(self) -> str:
        """Which of ``POOLINGS`` makes a vector of a text's tokens; ModelError, with the reason, where none does."""
        reason = next(self._beyond_pooling(), "")
        if reason:
            raise ModelError(
                f"{self.path}: {reason}; onnxruntime alone opens a transformer pooled by {' or '.join(POOLINGS)}, the "
                "sentence-transformers library all others: take backend torch"
            )
        return self._pooling_modes[0]

    @property
    def is_plain(self) -> bool:
        """Whether onnxruntime alone should open it."""
        if not (self.path / "config.json").is_file() or self.model.onnx_file is None:
            return False
        has_tokenizer = self.model.tokenizer_file is not None or TOKENIZER_FILE in self.settings.shared
        return has_tokenizer and (not self._modules or not any(self._beyond_pooling()))

    def tokenizer(self) -> TextTokenizer:
        """From ``tokenizer.json``, perhaps a shared one; ModelError where there is none."""
        file = self.model.tokenizer_file
        content = self._shared(TOKENIZER_FILE) if file is None else unpacked(file)
        return TextTokenizer.from_json(content, str(file or self.path / TOKENIZER_FILE), self.model.pad_id)

    def shared_weights(self) -> dict[str, bytes]:
        """Weights that the reader that comes with polyspan has too, by the names that the graph gives their files."""
        names = [name for name in self.settings.shared if name != TOKENIZER_FILE]
        return {Path(name).name: self._shared(name) for name in names}

    def _shared(self, name: str) -> bytes:
        """What is in a file of the reader that comes with polyspan; ModelError unless the encoder was made with it."""
        reader = ModelFolder.shipped()
        file = reader.first_file(name)
        content = b"" if file is None else unpacked(file)
        if sha256(content).hexdigest() != self.settings.shared.get(name):
            raise ModelError(
                f"{self.path}: needs the {name} that it was made with, and the reader that comes with this polyspan "
                "has another; install the polyspan that the encoder is from, or give another encoder"
            )
        return content

    def _beyond_pooling(self) -> Iterator[str]:
        """Why a vector is more than the pooled outputs of a transformer."""
        kinds = [_kind(module) for module in self._modules]
        if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
            yield f"its modules are {', '.join(kinds) or 'not named'}"
        elif self._modules[0].get("path"):
            yield "its transformer lies in a folder of its own"
        elif len(self._pooling_modes) != 1 or self._pooling_modes[0] not in POOLINGS:
            yield f"its pooling is {', '.join(self._pooling_modes)}"
        elif not self._pooling.get("include_prompt", True):
            yield "its pooling leaves prompts out"
        if self._transformer.get("do_lower_case"):
            yield "its texts are lower-cased"
        if self._object(LIBRARY_FILE).get("truncate_dim") is not None:
            yield "its vectors are cut"

    @cached_property
    def _pooling_modes(self) -> list[str]:
        """The kinds of pooling, of which files from before version 5.4 hold a switch each."""
        given = self._pooling.get("pooling_mode")
        if given is not None:
            return [given] if isinstance(given, str) else list(map(str, given))
        switches = [name for name, value in self._pooling.items() if name.startswith("pooling_mode_") and value]
        return [_SWITCHES.get(name, name) for name in switches]

    @cached_property
    def _pooling(self) -> dict[str, Any]:
        """The settings of the second module."""
        return self._object(f"{self._modules[1].get('path')}/config.json")

    @cached_property
    def _modules(self) -> list[dict[str, Any]]:
        content = self._json(MODULES_FILE)
        if content is None:
            return []
        if not (isinstance(content, list) and all(isinstance(one, dict) for one in content)):
            raise ModelError(f"{self.path / MODULES_FILE}: expected a list of modules")
        return content

    @cached_property
    def _transformer(self) -> dict[str, Any]:
        """The settings of the first module."""
        names = sorted(path.name for path in self.path.glob("sentence_*_config.json"))
        return self._object(names[0]) if names else {}

    def _object(self, name: str) -> dict[str, Any]:
        content = self._json(name)
        if not isinstance(content, dict | None):
            raise ModelError(f"{self.path / name}: expected a JSON object")
        return content or {}

    def _json(self, name: str) -> Any:
        """A file's content, None where there is no such file."""
        path = self.path / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: not readable as JSON: {error}") from error


def _kind(module: Mapping[str, Any]) -> str:
    """A module's class; with its package where it is not the library's own."""
    name = str(module.get("type"))
    return name.rpartition(".")[2] if name.startswith(_LIBRARY) else name


def checked_texts(texts: Sequence[str]) -> list[str]:
    """The texts as a list; InputError where they are no texts."""
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise InputError("expected a list of texts to encode; put a single one into a list")
    return list(texts)


def unit_vectors(vectors: FloatArray, name: str) -> FloatArray:
    """Vectors [texts, dimension] at length 1; ModelError where they are no finite numbers."""
    if not np.isfinite(vectors).all():
        raise ModelError(f"{name}: its vectors are not finite numbers; if it runs in half precision, try float32")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: FloatArray = vectors / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
