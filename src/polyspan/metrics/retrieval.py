"""What rankings are worth, question by question, so that intervals can be told of the means.

For n questions, ``gains`` [n, ranks] say what the passages ranked first, second and so on are worth: 0 where a passage
is not relevant, 1 or a grade above 0 where it is. A shorter ranking is filled up with 0. A cut-off ``k``, 1 or more,
looks at the first k ranks. InputError says what of this is not so.
"""

import math

import numpy as np
import numpy.typing as npt

from polyspan.errors import InputError
from polyspan.metrics.arrays import Floats


def recall_at(gains: npt.ArrayLike, k: int) -> Floats:
    """1 for each question [n] with a relevant passage among its first ``k``, else 0: the hit rate.

    Papers on open-domain question answering call its mean recall@k or top-k retrieval accuracy (Karpukhin et al.,
    2020), as one passage with the answer is enough. What information retrieval calls recall@k, the share of all
    relevant passages that are among the first k, is the same only where no question has more than one.
    """
    return np.where((_cut("gains", gains, k) > 0).any(axis=1), 1.0, 0.0)


def reciprocal_rank(gains: npt.ArrayLike, k: int) -> Floats:
    """1 / rank of each question's [n] first relevant passage, 0 where none is among the first ``k``.

    The mean is MRR@k (Voorhees, 1999, The TREC-8 Question Answering Track Report).
    """
    relevant = _cut("gains", gains, k) > 0
    ranks = np.arange(1, relevant.shape[1] + 1)
    reciprocal: Floats = (relevant / ranks).max(axis=1, initial=0.0)
    return reciprocal


def ndcg_at(gains: npt.ArrayLike, ideal: npt.ArrayLike, k: int) -> Floats:
    """Normalised discounted cumulative gain of each question's [n] first ``k`` passages, 0 to 1.

    DCG@k sums gain / log2(rank + 1) (Järvelin and Kekäläinen, 2002, with the discount of Burges et al., 2005), and
    nDCG@k divides it by what the best ranking reaches. Grades count as they are; who wants Burges' 2^grade - 1 gives
    that. ``ideal`` [n, passages] are the gains of all relevant passages that there are, ranked or not, in any order
    and filled up with 0. A question that has none gets 0.
    """
    best = -np.sort(-_checked("ideal", ideal), axis=1)
    reached, reachable = _dcg(_cut("gains", gains, k)), _dcg(_cut("ideal", best, k))
    if reached.shape != reachable.shape:
        raise InputError(f"ideal: expected {reached.size} rows, one for each of gains, got {reachable.size}")
    beyond = np.flatnonzero(reached > reachable * (1 + 1e-9))
    if beyond.size:
        raise InputError(f"gains[{beyond[0]}]: the ranked passages are worth more than all that ideal names")
    return np.divide(reached, reachable, out=np.zeros_like(reached), where=reachable > 0)


def _dcg(gains: Floats) -> Floats:
    total: Floats = gains @ (1 / np.log2(np.arange(2, gains.shape[1] + 2)))
    return total


def _cut(name: str, gains: npt.ArrayLike, k: int) -> Floats:
    """The first ``k`` columns."""
    if k < 1:
        raise InputError(f"k: expected a cut-off of at least 1, got {k}")
    return _checked(name, gains)[:, :k]


def _checked(name: str, gains: npt.ArrayLike) -> Floats:
    """The gains as an array [n, ranks], n at least 1."""
    try:
        array = np.asarray(gains, dtype=np.float64)
    except (TypeError, ValueError):  # rows of different lengths, or no numbers
        array = np.empty(0)
    if array.ndim != 2 or not len(array):
        raise InputError(f"{name}: expected a row of numbers for each question, all of one length")
    bad = np.argwhere(~((array >= 0) & (array < math.inf)))
    if bad.size:
        row, column = bad[0]
        raise InputError(f"{name}[{row}, {column}]: expected a finite gain of 0 or more, got {array[row, column]:g}")
    return array
