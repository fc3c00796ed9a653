"""Datasets and prediction files: read, checked, mended, converted and written."""

from polyspan.datasets.check import KINDS, DatasetCheck, check_squad, write_corrected
from polyspan.datasets.convert import convert
from polyspan.datasets.detached import read_detached, write_detached
from polyspan.datasets.formats import FORMATS
from polyspan.datasets.formats.squad import write_squad
from polyspan.datasets.jsonfile import file_signature
from polyspan.datasets.predictions import read_na_probs, read_predictions
from polyspan.datasets.squad import read_quotes, read_squad
from polyspan.datasets.writing import write_json

__all__ = [
    "FORMATS",
    "KINDS",
    "DatasetCheck",
    "check_squad",
    "convert",
    "file_signature",
    "read_detached",
    "read_na_probs",
    "read_predictions",
    "read_quotes",
    "read_squad",
    "write_corrected",
    "write_detached",
    "write_json",
    "write_squad",
]
