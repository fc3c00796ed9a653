"""What other libraries' arguments name as a model, to a reader."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from polyspan.backends import BackendOptions, ModelFolder, find_model, open_scorer, unpacked
from polyspan.errors import InputError, MissingExtraError
from polyspan.features import PairTokenizer
from polyspan.reader import Reader


@dataclass(frozen=True, slots=True)
class Opening:
    """How a model is opened.

    ``device`` is torch's, or the number of a GPU; None and -1 are the processor, and so are numbers where there is no
    GPU; it leaves the runtime to the model folder. So does ``dtype`` None, or float32; others are torch's. ``use_gpu``
    takes a GPU, if there is one, for a model without an ONNX file and where no device is named. ``token`` is for the
    hub, in place of ``HF_TOKEN``.
    """

    device: Any = None
    dtype: Any = None
    use_gpu: bool = False
    revision: str | None = None
    local_files_only: bool = False
    token: str | None = field(default=None, repr=False)

    @property
    def backend(self) -> BackendOptions:
        """The same as options of a model folder."""
        device, dtype = self.torch_device, None if self.dtype is None else str(self.dtype).removeprefix("torch.")
        if device in (None, "cpu") and dtype in (None, "auto", "float32"):
            return BackendOptions()
        return BackendOptions("torch", device, None if dtype == "auto" else dtype)

    @property
    def torch_device(self) -> str | None:
        """Torch's name of the device; None where nobody named one."""
        if not isinstance(self.device, int):
            return None if self.device is None else str(self.device)
        gpu = _first_gpu() if self.device >= 0 else None
        return "cpu" if gpu is None else f"{gpu.partition(':')[0]}:{self.device}"


def open_named(model: Any, tokenizer: Any, opening: Opening) -> tuple[Reader, Any]:
    """A reader from names, folders or objects of transformers, and its tokenizer's ``ModelFolder`` or object.

    Args:
        model: a folder, a hub id, None for the reader that comes with polyspan, an open model of transformers, or a
            ``Reader``.
        tokenizer: likewise; None for the model's own, which an open model does not have.
        opening: the rest.

    Raises:
        InputError, ModelError: if they cannot be opened, or do not go together.
        MissingExtraError: if they need torch and that is not installed.
    """
    if isinstance(model, Reader):
        return model, tokenizer
    source = tokenizer
    if isinstance(tokenizer, str | Path):
        revision = opening.revision if tokenizer == model else None
        source = find_model(tokenizer, revision, opening.local_files_only, opening.token)
    if model is not None and not isinstance(model, str | Path):
        if source is None:
            raise InputError("an open model does not know its tokenizer; give tokenizer too")
        from polyspan.backends.torch import ObjectScorer

        return Reader(ObjectScorer(model, whole_tokenizer(source), opening.torch_device)), source
    folder = find_model(model, opening.revision, opening.local_files_only, opening.token)
    if opening.use_gpu and opening.device is None and folder.onnx_file is None:
        opening = replace(opening, device=_first_gpu())
    scorer = open_scorer(folder, opening.backend)
    if source is None or tokenizer == model:
        source = folder
    else:
        scorer.tokenizer = PairTokenizer(whole_tokenizer(source), folder.pad_id)
    return Reader(scorer, folder.settings), source


def _first_gpu() -> str | None:
    """Torch's name of the GPU; None without one, or without torch."""
    try:
        from polyspan.backends.torch import first_gpu
    except MissingExtraError:
        return None
    return first_gpu()


def whole_tokenizer(source: Any) -> Tokenizer:
    """A copy of the tokenizer of a folder or of transformers, as it is.

    Raises:
        InputError: if it is no fast tokenizer of transformers.
        ModelError: if the folder holds none that can be read.
    """
    if isinstance(source, ModelFolder):
        if source.tokenizer_file is not None:
            source.pair_tokenizer()  # says what is wrong with a broken one
            return Tokenizer.from_buffer(unpacked(source.tokenizer_file))
        from polyspan.backends.torch import convert_tokenizer

        return convert_tokenizer(source)
    if not hasattr(source, "backend_tokenizer"):
        raise InputError(f"tokenizer is a {type(source).__name__}; expected a fast tokenizer of transformers")
    return Tokenizer.from_str(source.backend_tokenizer.to_str())
