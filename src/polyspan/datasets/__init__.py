"""Datasets and prediction files, read and checked."""

from polyspan.datasets.jsonfile import file_signature
from polyspan.datasets.predictions import read_na_probs, read_predictions
from polyspan.datasets.squad import read_squad

__all__ = ["file_signature", "read_na_probs", "read_predictions", "read_squad"]
