"""Prediction files as SQuAD's official script reads them."""

import math
from pathlib import Path

from polyspan.datasets.jsonfile import read_json
from polyspan.errors import DatasetError


def read_predictions(path: Path) -> dict[str, str]:
    """Question id to predicted text ("" for no answer), from JSON or gzip JSON, in the order of the file.

    Raises DatasetError where the file holds anything else or an id twice.
    """
    predictions: dict[str, str] = {}
    for key, value in _read_object(path, "texts").items():
        if not isinstance(value, str):
            raise DatasetError(f'{path}: prediction {key!r}: expected a text ("" for no answer), got {value!r:.60}')
        predictions[key] = value
    return predictions


def read_na_probs(path: Path) -> dict[str, float]:
    """Question id to probability of no answer (any finite number), from JSON or gzip JSON, in file order.

    Raises DatasetError where the file holds anything else or an id twice.
    """
    probabilities: dict[str, float] = {}
    for key, value in _read_object(path, "numbers").items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise DatasetError(f"{path}: no-answer probability {key!r}: expected a finite number, got {value!r:.60}")
        probabilities[key] = float(value)
    return probabilities


def _read_object(path: Path, values: str) -> dict[str, object]:
    content = read_json(path, unique_keys=True)
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected an object of question ids and {values}, got {type(content).__name__}")
    return content


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
