"""Where a run stands: the real scores of a model folder on development files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from polyspan.backends import BackendOptions
from polyspan.datasets import file_signature, read_squad
from polyspan.evaluation import evaluate, predict, reading_options
from polyspan.features import WindowSettings
from polyspan.metrics import space_characters
from polyspan.reader import Reader
from polyspan.training.recipe import DataFile
from polyspan.types import QAExample, Reading, Report

Reports = dict[str, Report]
SEGMENTATION = "unspaced scripts by character"


def dev_reports(
    folder: Path, files: Sequence[DataFile], windows: WindowSettings, options: BackendOptions | None = None
) -> Reports:
    """SQuAD 2.0's report of each file, by its path, with languages without spaces between words counted by characters.

    A model that has just been trained has no threshold yet, so files with unanswerable questions have ``best_f1``
    and ``best_exact`` too.
    """
    reader = Reader.from_pretrained(folder, options)
    reports: Reports = {}
    for file in files:
        examples = read_squad(Path(file.path))
        reading = replace(
            reading_options(reader, examples, "auto"),
            max_seq_len=windows.max_seq_len,
            doc_stride=windows.doc_stride,
            max_question_len=windows.max_question_len,
        )
        threshold = 0.0 if reading.return_no_answer else None
        readings = (_spaced_reading(one) for one in predict(reader, examples, reading))
        source = {**file_signature(Path(file.path)), "model": reader.scorer.name, "segmentation": SEGMENTATION}
        found = evaluate([_spaced_example(one) for one in examples], readings, threshold, source)
        reports[file.path] = found.report
    return reports


def dev_mean(reports: Reports) -> float:
    """The mean over files of ``best_f1``, or of ``f1`` where a file has only answerable questions."""
    return mean(one.scores.get("best_f1", one.scores["f1"]) for one in reports.values())


def _spaced_example(example: QAExample) -> QAExample:
    answers = tuple(replace(answer, text=space_characters(answer.text)) for answer in example.answers)
    return replace(example, answers=answers)


def _spaced_reading(reading: Reading) -> Reading:
    answers, candidates = (
        tuple(replace(answer, text=space_characters(answer.text)) for answer in found)
        for found in (reading.answers, reading.candidates)
    )
    return replace(reading, answers=answers, candidates=candidates)
