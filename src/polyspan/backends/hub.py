"""Model names to model folders (the shipped reader, a local folder, or a hub id), and model folders to the hub."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from pathlib import Path, PurePosixPath

from polyspan.backends.farm_folder import FarmFolder
from polyspan.backends.folder import ONNX_FILES, ModelFolder, one_line
from polyspan.errors import ModelError

SHIPPED = "default"
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_CARD = "README.md"
_FILES = [
    "*.json",
    "*.json.gz",
    "*.txt",
    "*.model",
    _CARD,
    "model*.safetensors",
    "onnx/embeddings.bin*",
    *(f"{name}*" for name in ONNX_FILES),
]
_OLD_WEIGHTS = ["pytorch_model*.bin", "pytorch_model*.json"]
_WEIGHTS = ("*.safetensors", "*.onnx", "*.onnx.gz")
_PICKLED = ("*.bin", "*.bin.index.json", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.ckpt")  # run code when opened
_PACKED_EMBEDDINGS = "embeddings.bin"
_UNFINISHED = (
    "training/*",
    "checkpoint*/*",
    "*/checkpoint*/*",
    "trainer_state.json",
    "*.part",
)  # what a run or a crash left


def find_model(
    model: str | Path | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    token: str | None = None,
) -> ModelFolder:
    """The folder of a model.

    Args:
        model: None or "default" for the shipped reader, a folder, of FARM's layout too, or a hub id ``org/name``.
        revision: branch, tag or commit on the hub.
        local_files_only: never ask the hub. ``HF_HUB_OFFLINE``, ``HF_HOME`` and ``HF_TOKEN`` count as everywhere.
        token: for the hub, in place of ``HF_TOKEN``.

    Raises:
        ModelError: if there is neither such a folder nor such a model.
    """
    if model is None or model == SHIPPED:
        return ModelFolder.shipped()
    path, name = find_files(model, revision, local_files_only, token=token)
    return FarmFolder(path) if FarmFolder.is_one(path) else ModelFolder(path, name)


def find_files(
    model: str | Path,
    revision: str | None = None,
    local_files_only: bool = False,
    more: Sequence[str] = (),
    token: str | None = None,
) -> tuple[Path, str | None]:
    """As ``find_model``, the place of a model's files, whatever they are, and its name if that is not the folder's.

    ``more`` are patterns of files on the hub that are wanted besides those of a reader.
    """
    if Path(model).is_dir():
        return Path(model), None
    if isinstance(model, Path) or Path(model).exists() or not _HUB_ID.fullmatch(model):
        raise ModelError(f"{model}: no such folder, and not a hub id of the form org/name")
    return _download(model, revision, local_files_only, [*_FILES, *more], token), model


def _download(model: str, revision: str | None, local_files_only: bool, files: list[str], token: str | None) -> Path:
    """A snapshot from the hub or its local cache; old pickled weights only where there are no newer ones."""
    from huggingface_hub import snapshot_download

    def fetch(patterns: list[str]) -> Path:
        path = snapshot_download(
            model, revision=revision, local_files_only=local_files_only, allow_patterns=patterns, token=token
        )
        return Path(path)

    try:
        path = fetch(files)
        if not [*path.glob("*.safetensors"), *path.glob("**/*.onnx*")]:
            path = fetch([*files, *_OLD_WEIGHTS])
    except Exception as error:  # network, hub and cache fail in many ways
        # offline, and someone else fetched only the files that they needed
        incomplete = getattr(error, "snapshot_path", None)
        if incomplete is not None:
            return Path(incomplete)
        raise ModelError(
            f"{model}: no such folder here, and the hub did not give it ({one_line(error)}); check the name, the "
            "network and HF_TOKEN, or give a local folder"
        ) from error
    return path


@dataclass(frozen=True, slots=True)
class Pushed:
    """A finished upload: the commit's address, and the files, as paths in the folder, that went there and did not."""

    url: str
    files: tuple[str, ...]
    left_out: tuple[str, ...]


def push_model(
    folder: Path,
    repo: str,
    *,
    private: bool = False,
    revision: str | None = None,
    message: str | None = None,
    without_card: bool = False,
) -> Pushed:
    """Upload a model folder to the hub, and make the repository if there is none.

    Hidden files stay here, and so do pickled weights and training checkpoints, which are named in the result. Files
    of the repository that the folder does not hold stay as they are. ``HF_TOKEN`` and ``HF_ENDPOINT`` count as
    everywhere.

    Args:
        folder: holds ``config.json``, weights and a ``README.md``.
        repo: ``org/name``.
        private: only for those who may see it. An existing public repository is refused then.
        revision: the branch, made if there is none; None: the main one.
        message: of the commit.
        without_card: push also where there is no ``README.md``.

    Raises:
        ModelError: if the folder cannot be pushed, or the hub does not take it.
    """
    path = ModelFolder(folder).path
    if not without_card and not (path / _CARD).is_file():
        raise ModelError(
            f"{path}: no {_CARD} there, and a model should say what it is and was made from; write a model card, or "
            "push without one (--without-card)"
        )
    every = sorted(_visible_files(path))
    files = tuple(name for name in every if _is_pushed(name))
    if not any(fnmatchcase(name, pattern) for name in files for pattern in _WEIGHTS):
        raise ModelError(f"{path}: no weights as safetensors or ONNX there; pickled ones are not pushed, convert them")
    if not _HUB_ID.fullmatch(repo) or "/" not in repo:
        raise ModelError(f"{repo!r}: expected a hub id of the form org/name")
    try:
        url = _upload(path, files, repo, private, revision, message or "Upload model with polyspan")
    except ModelError:
        raise
    except Exception as error:  # network, hub and its check of the card fail in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{repo}: the hub did not take the model ({reason}); check the name, the network and what HF_TOKEN may do"
        ) from error
    return Pushed(url, files, tuple(name for name in every if name not in files))


def _visible_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


def _is_pushed(name: str) -> bool:
    pickled = () if PurePosixPath(name).name == _PACKED_EMBEDDINGS else _PICKLED
    return not any(fnmatchcase(name, pattern) for pattern in (*pickled, *_UNFINISHED))


def _upload(folder: Path, files: tuple[str, ...], repo: str, private: bool, revision: str | None, message: str) -> str:
    """The address of the commit, in the repository and on the branch that are made where they are missing."""
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise ModelError(
            f"{repo}: there is no token to push with; set HF_TOKEN to one that may write there, or run hf auth login"
        )
    api = HfApi()
    api.create_repo(repo, private=private or None, exist_ok=True)
    if private and not api.model_info(repo).private:
        raise ModelError(f"{repo}: is public already; make it private on the hub first, or push without --private")
    if revision is not None:
        api.create_branch(repo, branch=revision, exist_ok=True)
    patterns = [escape(name) for name in files]
    commit = api.upload_folder(
        repo_id=repo, folder_path=folder, revision=revision, commit_message=message, allow_patterns=patterns
    )
    return str(commit.commit_url)
