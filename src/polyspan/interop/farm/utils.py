"""The helpers of Haystack 1's tutorials."""

import gzip
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from pprint import pprint
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from polyspan.documents import read_document
from polyspan.errors import DocumentError, InputError
from polyspan.interop.farm.arguments import refuse
from polyspan.interop.farm.schema import Answer, Document

SHORT_LINE = 30
_DETAILS: dict[str, Sequence[str] | None] = {
    "minimum": ("answer", "context"),
    "medium": ("answer", "context", "score"),
    "all": None,
}
_SUFFIXES = (".pdf", ".txt", ".docx")


def print_answers(results: Mapping[str, Any], details: str = "all", max_text_len: int | None = None) -> None:
    """Print what a reader or a pipeline returned.

    Args:
        results: of one question ("query") or of many ("queries").
        details: "minimum" (answers and contexts), "medium" (and scores) or "all".
        max_text_len: characters of a context that are shown; None: all.

    Raises InputError for other details, and for results without answers.
    """
    if details not in _DETAILS:
        raise InputError(f"details must be one of {', '.join(_DETAILS)}, not {details!r}")
    if "answers" not in results:
        raise InputError(f"results hold no answers, but {', '.join(results) or 'nothing'}; give what a reader returned")
    single = "query" in results
    queries = [results["query"]] if single else results["queries"]
    for query, answers in zip(queries, [results["answers"]] if single else results["answers"], strict=True):
        pprint(f"Query: {query}", indent=4)  # noqa: T203 -- printing is what it is for
        pprint("Answers:", indent=4)  # noqa: T203 -- likewise
        pprint([_shown(one, _DETAILS[details], max_text_len) for one in answers], indent=4)  # noqa: T203 -- likewise


def convert_files_to_docs(
    dir_path: str | Path | None = None,
    clean_func: Callable[[str], str] | None = None,
    split_paragraphs: bool = False,
    encoding: str | None = None,  # noqa: ARG001 -- Haystack's argument; the encoding is found out
    id_hash_keys: list[str] | None = None,
    file_paths: Iterable[str | Path] = (),
) -> list[Document]:
    """Files as documents, whose meta holds the file's ``name``.

    Args:
        dir_path: a folder, whose .txt, .pdf and .docx files are read, those of folders in it too.
        clean_func: what is done to each text.
        split_paragraphs: whether each paragraph, as empty lines part them, becomes a document.
        encoding: without effect; it is found out.
        id_hash_keys: what the documents' ids are made from.
        file_paths: more files.

    Raises:
        InputError: without a folder and files.
        DocumentError: for a file that cannot be read.
    """
    paths = [Path(path) for path in file_paths]
    if dir_path is None and not paths:
        raise InputError("convert_files_to_docs needs dir_path or file_paths")
    if dir_path is not None:
        paths += sorted(path for path in Path(dir_path).rglob("*") if path.suffix.lower() in _SUFFIXES)
    documents = []
    for path in paths:
        text = read_document(path).text
        text = text if clean_func is None else clean_func(text)
        for part in re.split(r"\n\n", text) if split_paragraphs else [text]:
            if part.strip():
                documents.append(Document(part, meta={"name": path.name}, id_hash_keys=id_hash_keys or ["content"]))
    return documents


def clean_wiki_text(text: str) -> str:
    """Wikipedia's text with a paragraph for each section: without empty and short lines, and titles of nothing.

    Short are up to 30 characters; titles, as in "== History ==", stay.
    """
    lines = [line for line in text.split("\n") if len(line) > SHORT_LINE or re.fullmatch("==.*==", line)]
    joined = "\n".join(lines).replace("\n==", "\n\n\n==")
    return re.sub(r"==.*==\n\n\n", "", joined)


def fetch_archive_from_http(
    url: str, output_dir: str | Path, proxies: Mapping[str, str] | None = None, timeout: float = 10.0
) -> bool:
    """Download a zip or gzip archive and unpack it; False, and nothing is done, where the folder holds something.

    ``proxies`` are refused; HTTPS_PROXY names one. ``timeout`` is in seconds. Raises DocumentError where the address
    gives no such archive.
    """
    refuse({"proxies": proxies})
    folder, address = Path(output_dir), urlparse(url)
    if folder.is_dir() and any(folder.iterdir()):
        return False
    if address.scheme not in ("http", "https"):
        raise InputError(f"{url}: expected an address that begins with http:// or https://")
    name = PurePosixPath(address.path).name
    try:
        with urlopen(Request(url), timeout=timeout) as answer:  # noqa: S310 -- the scheme is checked above
            content = answer.read()
        folder.mkdir(parents=True, exist_ok=True)
        if name.endswith(".zip"):
            with zipfile.ZipFile(BytesIO(content)) as archive:
                archive.extractall(folder)  # which leaves out parent folders and absolute paths
        elif name.endswith(".gz") and not name.endswith(".tar.gz"):
            (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
        else:
            raise DocumentError(f"{url}: expected a .zip or .gz archive")
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DocumentError(f"{url}: cannot be fetched or unpacked: {error}") from error
    return True


def _shown(answer: Answer, names: Sequence[str] | None, length: int | None) -> Any:
    """The answer's fields of these names that are not None, or the answer itself, its context cut."""
    context = answer.context
    if context is not None and length is not None and len(context) > length:
        context = f"{context[:length]}..."
    cut = Answer.from_dict({**answer.to_dict(), "context": context})
    return cut if names is None else {name: getattr(cut, name) for name in names if getattr(cut, name) is not None}
