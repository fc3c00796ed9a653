"""Logistic regression on a few features, and on another map's logit, by Newton's method."""

from collections.abc import Mapping

import numpy as np

from polyspan.decoding import LogisticMap, Term
from polyspan.errors import InputError
from polyspan.metrics.arrays import Flags, Floats

PENALTY = 1.0
_STEPS = 100
_SMALL = 1e-9
_LEAST_SCALE = 0.1  # logits and logarithms that differ by less differ by chance


def fit_logistic(
    features: Mapping[str, Floats], labels: Flags, weights: Floats, signs: Mapping[str, int] | None = None
) -> LogisticMap:
    """The map whose probabilities make ``labels`` [n] likeliest.

    Minimises the sum of ``weights`` [n] x log loss plus half of ``PENALTY`` x the squared weights of the features (not
    of the bias), each feature scaled to a standard deviation of 1 (ridge, le Cessie and van Houwelingen, 1992); one
    that hardly varies is not blown up to that. A constant one, and one whose weight would contradict its entry in
    ``signs`` (1: never falling, -1: never rising), is left out; with one such weight, that is the constrained optimum.

    Args:
        features: columns [n], by name.
        labels: whether what the probability is for came true.
        weights: 0 or more, 1 on average, so that the penalty means the same for any n.
        signs: of some features.

    Raises:
        InputError: where the labels of all that weighs anything are equal.
    """
    counted = weights > 0
    if np.unique(labels[counted]).size < 2:
        raise InputError("a logistic map needs examples of both outcomes; add data that holds them")
    total = weights.sum()
    means = {name: weights @ column / total for name, column in features.items()}
    scales = {
        name: max(_LEAST_SCALE, np.sqrt(weights @ (column - means[name]) ** 2 / total))
        for name, column in features.items()
    }
    kept = [name for name, column in features.items() if np.ptp(column[counted]) > 0]
    while True:
        design = np.stack([(features[name] - means[name]) / scales[name] for name in kept] + [np.ones(labels.size)], 1)
        *found, bias = _newton(design, labels, weights, np.append(np.full(len(kept), PENALTY), 0.0))
        wrong = [name for name, weight in zip(kept, found, strict=True) if weight * (signs or {}).get(name, 0) < 0]
        if not wrong:
            break
        kept = [name for name in kept if name not in wrong]
    terms = {}
    for name, weight in zip(kept, found, strict=True):
        seen = features[name][counted]
        terms[name] = Term(float(weight / scales[name]), float(seen.min()), float(seen.max()))
        bias -= terms[name].weight * means[name]
    return LogisticMap(float(bias), terms)


def rescale(general: LogisticMap, features: Mapping[str, Floats], labels: Flags, weights: Floats) -> LogisticMap:
    """A map for other data, its logit a line in that of the ``general`` one (Platt, 1999).

    As ``fit_logistic``, with the general map's logit as the one feature, but that slope and bias are penalised for how
    far they are from the general map itself, so that few labels change little. A slope is never negative.

    Args:
        general: a map.
        features: columns [n], by name.
        labels: whether what the probability is for came true.
        weights: 0 or more, 1 on average.
    """
    logits = general.logit(features)
    mean = np.average(logits, weights=weights)
    scale = max(_LEAST_SCALE, np.sqrt(np.average((logits - mean) ** 2, weights=weights)))
    design = np.stack([(logits - mean) / scale, np.ones(logits.size)], 1)
    added, bias = _newton(design, labels, weights, np.full(2, PENALTY), logits)
    slope = 1 + added / scale
    if slope < 0:  # the labels contradict the map
        (bias,) = _newton(design[:, 1:], labels, weights, np.full(1, PENALTY))
        return general.rescaled(0.0, float(bias))
    return general.rescaled(float(slope), float(bias - (slope - 1) * mean))


def _newton(design: Floats, labels: Flags, weights: Floats, penalty: Floats, offset: Floats | float = 0.0) -> Floats:
    """Coefficients [m] of the columns [n, m], each with its ``penalty`` [m]; ``offset`` [n] is added to the logits."""

    def loss(at: Floats) -> float:
        logits = offset + design @ at
        return float(weights @ (np.logaddexp(0, logits) - labels * logits) + at @ (penalty * at) / 2)

    found = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        probability = (1 + np.tanh((offset + design @ found) / 2)) / 2
        slope = design.T @ (weights * (probability - labels)) + penalty * found
        curvature = (design.T * (weights * probability * (1 - probability))) @ design + np.diag(penalty + _SMALL)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while size > _SMALL and loss(found - size * step) > loss(found):
            size /= 2
        found -= size * step
        if np.abs(step).max() < _SMALL:
            break
    return found
