"""A reader without the pieces of its vocabulary that some languages do not need."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from polyspan.backends import BackendOptions, ModelFolder, open_scorer, unpacked
from polyspan.backends.digest import WEIGHTS
from polyspan.backends.folder import POSITIONS_AFTER_PADDING
from polyspan.datasets.writing import new_folder
from polyspan.evaluation import (
    TEXT_REGIMES,
    Answered,
    Comparison,
    Questions,
    as_predictions,
    compare,
    pool,
    predict,
    reading_options,
)
from polyspan.export.folder import refuse_farm, write_card, write_json_file
from polyspan.export.pieces import Source, file_source, language_source, select_pieces
from polyspan.export.progress import Progress, unwatched
from polyspan.export.proof import prove_equal
from polyspan.export.tables import cut_onnx, cut_torch, weight_files
from polyspan.export.trim_report import TrimReport, TrimSettings, trim_section
from polyspan.export.vocabulary import count_pieces, cut_tokenizer, piece_ids
from polyspan.reader import Reader

SECTION = "Trimmed vocabulary"
COPIED = ("special_tokens_map.json", "LICENSE*", "NOTICE*")


def trim(
    source: ModelFolder,
    out: Path,
    settings: TrimSettings,
    tests: Sequence[Questions] = (),
    regime: str = "squad",
    progress: Progress = unwatched,
) -> TrimReport:
    """Write a reader to the new folder ``out`` that knows only the pieces that some languages need.

    Rows of its word embeddings, the tokenizer and the ids in its configuration are cut and renumbered, and nothing
    else: on texts of kept pieces its logits are those of ``source``, which is proved before anything is written.

    Args:
        source: a reader with a Unigram, WordPiece or BPE tokenizer. Trimmed is what a ``Reader`` opens: its ONNX file,
            else its weights for torch.
        out: appears when all is done.
        settings: what to keep.
        tests: questions to read with both.
        regime: one of the ``TEXT_REGIMES``, under which they are scored.
        progress: is handed what takes long, its length and what it is, and gives the same items.

    Raises:
        InputError: if ``out`` exists, or a setting makes no sense.
        ModelError: if the model cannot be opened or trimmed, or the proof fails.
        MissingExtraError: without onnx, wordfreq, or torch where it is needed.
    """
    refuse_farm(source)
    with new_folder(out) as folder:
        before = Reader(open_scorer(source, BackendOptions()), source.settings)
        tokenizer = tokenizer_content(source)
        sources = _sources(tokenizer, settings, progress)
        kept = select_pieces(tokenizer, sources, _required(source, tokenizer), settings.pieces)
        write_trimmed(source, tokenizer, kept, folder)
        ModelFolder(folder).write_settings(before.settings)
        after = Reader(open_scorer(ModelFolder(folder), BackendOptions()), before.settings)
        report = TrimReport(
            settings=settings,
            pieces=(len(sources[0].uses), len(kept)),
            size=(model_size(source), model_size(ModelFolder(folder))),
            proof=prove_equal(before.scorer, after.scorer, kept, [one.sentences for one in sources]),
            kept_share=_kept_share(tokenizer, sources, tests, kept),
            scores=compare_readers(before, after, tests, regime, progress),
        )
        write_card(source, folder, SECTION, trim_section(report))
    return report


def tokenizer_content(folder: ModelFolder) -> dict[str, Any]:
    """What a tokenizer.json of today holds of a folder's tokenizer, whose vocabulary may be in older files."""
    if folder.tokenizer_file is None:
        from polyspan.backends.torch import convert_tokenizer

        tokenizer = convert_tokenizer(folder)
    else:
        tokenizer = Tokenizer.from_buffer(unpacked(folder.tokenizer_file))
    content: dict[str, Any] = json.loads(tokenizer.to_str())
    return content


def write_trimmed(source: ModelFolder, tokenizer: dict[str, Any], kept: Sequence[int], out: Path) -> None:
    """Write the model, its tokenizer and its configuration with the pieces ``kept`` alone into an existing folder."""
    number = {old: new for new, old in enumerate(kept)}
    if _reads_onnx(source):
        cut_onnx(source, kept, out)
    else:
        cut_torch(source, kept, out)
    config = {key: _renumbered(value, number) if _is_id(key) else value for key, value in source.config.items()}
    write_json_file(out / "config.json", {**config, "vocab_size": len(kept)}, indent=2)
    file = "tokenizer.json" if source.tokenizer_file is None else source.tokenizer_file.name
    write_json_file(out / file, cut_tokenizer(tokenizer, kept))
    for name in ("tokenizer_config.json", "added_tokens.json"):
        if (source.path / name).is_file():
            write_json_file(out / name, _renumbered_tokens(source.path / name, number), indent=2)
    for path in [path for pattern in COPIED for path in source.path.glob(pattern) if path.is_file()]:
        shutil.copyfile(path, out / path.name)


def compare_readers(
    before: Reader, after: Reader, tests: Sequence[Questions], regime: str, progress: Progress = unwatched
) -> dict[str, Comparison]:
    """Of each dataset, and of several all questions together, what the second reader (B) changes over the first (A)."""
    if not tests:
        return {}
    answered: tuple[list[Answered], list[Answered]] = ([], [])
    for side, reader, what in zip(answered, (before, after), ("before", "after"), strict=True):
        side.extend(_answer(reader, questions, f"{what}, {{}}", progress) for questions in tests)
    names = [str(one.source["dataset"]) for one in tests]
    if len(tests) > 1:
        names.append("all")
        for side in answered:
            side.append(pool(side))
    never = TEXT_REGIMES[regime].rules == "squad1"
    return {
        name: compare(
            regime,
            old.questions,
            *({key: row.text if never else row.shown for key, row in one.predictions.items()} for one in (old, new)),
            names=("the whole model", "the trimmed model"),
        )
        for name, old, new in zip(names, *answered, strict=True)
    }


def model_size(folder: ModelFolder) -> int:
    """Bytes on disk of what a reader opens: weights, tokenizer and configuration."""
    onnx_file, tokenizer = folder.onnx_file, folder.tokenizer_file
    if _reads_onnx(folder) and onnx_file is not None:
        files = weight_files(onnx_file)
    else:
        found = ([*folder.path.glob(pattern)] for pattern in WEIGHTS)
        files = next((some for some in found if some), [])
    tokenizers = [*folder.path.glob("*.model"), *folder.path.glob("vocab.*")] if tokenizer is None else [tokenizer]
    return sum(path.stat().st_size for path in (*files, *tokenizers, folder.path / "config.json"))


def _reads_onnx(folder: ModelFolder) -> bool:
    """Whether a reader opens the ONNX file, as ``open_scorer`` decides it."""
    return bool(folder.onnx_file and folder.tokenizer_file)


def _answer(reader: Reader, questions: Questions, what: str, progress: Progress) -> Answered:
    options = reading_options(reader, questions.examples, "auto", questions.languages[0])
    readings = predict(reader, questions.examples, options)
    watched = progress(readings, len(questions.examples), what.format(questions.source["dataset"]))
    rows = as_predictions(questions.examples, watched)
    threshold = reader.threshold(options) if options.return_no_answer else None
    return Answered(questions, {row.id: row for row in rows}, threshold)


def _sources(tokenizer: dict[str, Any], settings: TrimSettings, progress: Progress) -> list[Source]:
    return [
        *(language_source(tokenizer, one, settings.words, settings.seed, progress) for one in settings.languages),
        *(file_source(tokenizer, one) for one in settings.corpus),
    ]


def _required(folder: ModelFolder, tokenizer: dict[str, Any]) -> set[int]:
    """Ids that the configuration names; where positions are counted from the padding token's, it must keep its id."""
    known = {*piece_ids(tokenizer).values(), *(token["id"] for token in tokenizer["added_tokens"])}
    ids = {one for key, value in folder.config.items() if _is_id(key) for one in _as_list(value)}
    if folder.config.get("model_type") in POSITIONS_AFTER_PADDING or folder.config.get("pad_token_id") is None:
        ids |= set(range(folder.pad_id + 1))
    return ids & known


def _kept_share(
    tokenizer: dict[str, Any], sources: Sequence[Source], tests: Sequence[Questions], kept: Sequence[int]
) -> dict[str, float]:
    uses = {one.name: one.uses for one in sources}
    for questions in tests:
        texts = dict.fromkeys(text for one in questions.examples for text in (one.context, one.question))
        uses[str(questions.source["dataset"])] = count_pieces(tokenizer, ((text, 1.0) for text in texts))
    return {name: 1 - float(np.delete(counts, kept).sum() / counts.sum()) for name, counts in uses.items()}


def _is_id(key: str) -> bool:
    return key.endswith("_token_id")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _renumbered(value: Any, number: Mapping[int, int]) -> Any:
    """An id, or a list of ids; None for one that stood for no piece, so that it comes to stand for none."""
    if isinstance(value, list):
        return [_renumbered(one, number) for one in value]
    if not isinstance(value, int) or value < 0:
        return value
    return number.get(value)


def _renumbered_tokens(file: Path, number: Mapping[int, int]) -> dict[str, Any]:
    """tokenizer_config.json, which may hold tokens by id, or added_tokens.json, which holds ids by token."""
    content = json.loads(file.read_text(encoding="utf-8"))
    if file.name == "added_tokens.json":
        return {token: number[old] for token, old in content.items() if old in number}
    if "added_tokens_decoder" in content:
        tokens = content["added_tokens_decoder"].items()
        content["added_tokens_decoder"] = {str(number[int(old)]): token for old, token in tokens if int(old) in number}
    return dict(content)
