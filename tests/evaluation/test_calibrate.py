from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyspan import DatasetError, InputError
from polyspan.backends import NativeSettings
from polyspan.decoding import Calibration, Confidence, LogisticMap, Term
from polyspan.evaluation.calibrate import (
    best_threshold,
    calibrate,
    fit_confidence,
    fit_threshold,
    judge,
    questions_to_ask,
)
from polyspan.evaluation.observe import Observations
from polyspan.metrics import prior_weights
from polyspan.types import GoldAnswer, QAExample

Floats = npt.NDArray[np.float64]

LAW = Confidence(
    unanswerable=LogisticMap(1.0, {"null_margin": Term(0.4, -99, 99), "runner_up_gap": Term(-0.1, 0, 20)}),
    exact=LogisticMap(0.5, {"log_share": Term(1.5, -99, 0), "log_length": Term(-0.6, 0, 9)}),
)
"""Of the questions drawn below, about half are unanswerable."""


def drawn(size: int, seed: int = 0) -> Observations:
    """Questions, four to a context, whose outcomes follow the law; wrong answers earn a third."""
    generator = np.random.default_rng(seed)
    features = {
        "null_margin": generator.normal(-2, 4, size),
        "runner_up_gap": generator.uniform(0, 10, size),
        "log_share": -generator.exponential(0.7, size),
        "log_length": generator.uniform(0, 5, size),
        "log_windows": np.zeros(size),
        "agreement": np.ones(size),
    }
    absent = generator.random(size) < LAW.unanswerable.probability(features)
    exact = ~absent & (generator.random(size) < LAW.exact.probability(features))
    return Observations(
        features=features,
        null_margin=features["null_margin"],
        unanswerable=absent,
        exact=exact,
        f1=np.where(absent, 0.0, np.where(exact, 1.0, 1 / 3)),
        alone=np.ones(size, np.bool_),
        context=np.arange(size) // 4,
        dataset=np.where(np.arange(size) < size // 2, "one.json", "two.json"),
    )


def few(observed: Observations, prior: float, seed: int = 0) -> Observations:
    """A sample in which the share ``prior`` of the questions is unanswerable, by leaving some out."""
    chance = prior_weights(observed.unanswerable, prior)
    return observed.at(np.random.default_rng(seed).random(chance.size) < chance / chance.max())


def test_calibrate_finds_the_law_behind_the_data() -> None:
    observed = few(drawn(20_000), 0.5)
    found = fit_confidence(observed)
    at = drawn(1_000, seed=1).features
    np.testing.assert_allclose(found.exact.probability(at), LAW.exact.probability(at), atol=0.03)
    weight = found.unanswerable.terms["null_margin"].weight
    assert weight == pytest.approx(0.4, abs=0.03)


def test_calibrate_fits_for_the_prior_whatever_share_the_data_has() -> None:
    everything = drawn(20_000)
    at = drawn(1_000, seed=1).features
    expected = fit_confidence(few(everything, 0.3), 0.3)
    found = fit_confidence(few(everything, 0.8, seed=1), 0.3)
    np.testing.assert_allclose(found.unanswerable.probability(at), expected.unanswerable.probability(at), atol=0.05)
    np.testing.assert_allclose(found.exact.probability(at), expected.exact.probability(at), atol=0.1)
    assert fit_threshold(few(everything, 0.8, seed=1), 0.3) == pytest.approx(
        fit_threshold(few(everything, 0.3), 0.3), abs=0.5
    )


def test_calibrate_learns_what_lacks_an_answer_within_datasets_of_both_kinds() -> None:
    observed = drawn(4_000)
    # Its questions can all be answered, and its answers are longer: as such, that says nothing.
    other = replace(drawn(4_000, seed=1), unanswerable=np.zeros(4_000, np.bool_), dataset=np.full(4_000, "three.json"))
    other = replace(other, features={**other.features, "log_length": other.features["log_length"] + 3})
    together = joined(observed, other)
    assert fit_confidence(together).unanswerable == fit_confidence(observed).unanswerable
    assert fit_confidence(together).exact != fit_confidence(observed).exact


def test_calibrate_learns_from_all_datasets_where_each_holds_one_kind() -> None:
    observed = drawn(4_000)
    parted = replace(observed, dataset=np.where(observed.unanswerable, "no.json", "yes.json"))
    single = replace(observed, dataset=np.full(4_000, "one.json"))
    assert fit_confidence(parted) == fit_confidence(single)


def joined(one: Observations, other: Observations) -> Observations:
    features = {name: np.concatenate([column, other.features[name]]) for name, column in one.features.items()}
    arrays = {
        name: np.concatenate([getattr(one, name), getattr(other, name)])
        for name in ("null_margin", "unanswerable", "exact", "f1", "alone", "context", "dataset")
    }
    return Observations(features=features, **arrays)


def test_calibrate_probabilities_fall_with_null_score_windows_and_disagreement() -> None:
    observed = drawn(2_000)
    windows = np.where(observed.unanswerable, 0.0, np.random.default_rng(0).exponential(1.0, 2_000))
    accidents = {
        "null_margin": -observed.null_margin,
        "log_windows": windows,
        "agreement": np.exp(-windows),
    }
    doubts = {"null_margin": np.linspace(-20, 20, 50), "log_windows": np.linspace(0, 5, 50)}
    doubts["agreement"] = np.linspace(1, 0, 50)
    for accident, column in accidents.items():
        confidence = fit_confidence(replace(observed, features={**observed.features, accident: column}))
        assert accident not in confidence.unanswerable.terms
        for name, values in doubts.items():
            at = {**{other: np.full(50, column[0]) for other, column in observed.features.items()}, name: values}
            unanswerable = confidence.unanswerable.probability(at)
            assert (np.diff(unanswerable) >= 0).all()
            assert (np.diff((1 - unanswerable) * confidence.exact.probability(at)) <= 0).all()


@given(seed=st.integers(0, 50), size=st.integers(4, 60), prior=st.floats(0.05, 0.95))
def test_calibrate_best_threshold_is_the_best(seed: int, size: int, prior: float) -> None:
    observed = drawn(size, seed)
    observed = replace(observed, null_margin=observed.null_margin.round())
    if observed.unanswerable.all() or not observed.unanswerable.any():
        return
    weights = prior_weights(observed.unanswerable, prior)

    def f1(threshold: float) -> float:
        return float(weights @ np.where(observed.null_margin > threshold, observed.unanswerable, observed.f1))

    best = best_threshold(observed, prior)
    assert f1(best) == pytest.approx(max(map(f1, np.arange(-20, 20, 0.5))))
    assert f1(fit_threshold(observed, prior)) <= f1(best) + 1e-9


def test_calibrate_threshold_is_near_the_best_on_other_questions() -> None:
    target = drawn(20_000, seed=99)
    weights = prior_weights(target.unanswerable, 0.5)

    def loss(threshold: float) -> float:
        shown = np.where(target.null_margin > threshold, target.unanswerable, target.f1)
        return 100 * float(weights @ (reached - shown) / weights.sum())

    best = best_threshold(target, 0.5)
    reached = np.where(target.null_margin > best, target.unanswerable, target.f1)
    samples = [drawn(200, seed) for seed in range(30)]
    smooth = np.mean([loss(fit_threshold(sample)) for sample in samples])
    assert smooth < np.mean([loss(best_threshold(sample, 0.5)) for sample in samples])
    assert smooth < 1
    assert loss(fit_threshold(drawn(5_000))) < 0.2


def test_calibrate_reports_on_questions_that_it_did_not_fit() -> None:
    observed = drawn(1_500)
    result = calibrate(observed, 0.5, source={"model": "tiny"})
    scores, intervals = result.report.scores, result.report.intervals
    assert scores["ece"] < 0.05
    assert scores["softmax_ece"] > 0.1
    for name in ("aurc", "ece", "brier"):
        assert scores[f"gain_{name}"] == pytest.approx(scores[f"softmax_{name}"] - scores[name])
        assert intervals[f"gain_{name}"][0] > 0
    assert scores["best_f1"] - 0.5 < scores["f1"] <= scores["best_f1"]
    assert result.calibration.confidence == fit_confidence(observed)
    assert result.calibration.no_answer_threshold == fit_threshold(observed)
    signature = {"model": "tiny", "folds": 5, "n": 1_500, "prior": 0.5}
    assert signature.items() <= result.report.signature.items()
    assert [report.scores["total"] for report in result.datasets.values()] == [750, 750]
    assert list(result.datasets) == ["one.json", "two.json"]


def test_calibrate_judges_other_questions_by_the_law_as_it_is() -> None:
    observed = few(drawn(20_000), 0.5)
    threshold = best_threshold(observed, 0.5)
    scores = judge(observed, Calibration(threshold, confidence=LAW)).scores
    assert scores["ece"] < 0.04 < scores["softmax_ece"] / 2
    assert scores["brier"] < scores["softmax_brier"]
    assert scores["f1"] == pytest.approx(scores["best_f1"])
    off = judge(observed, Calibration(threshold + 3, confidence=LAW)).scores
    assert off["f1"] < scores["f1"]
    assert off["best_f1"] == scores["best_f1"]
    with pytest.raises(InputError, match="holds no fitted probabilities; calibrate the model first"):
        judge(observed, Calibration(threshold))


def test_calibrate_judges_no_context_by_a_fit_that_saw_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Floats] = []

    def spy(observed: Observations, prior: float) -> float:
        seen.append(np.bincount(observed.context, minlength=60).astype(np.float64))
        return fit_threshold(observed, prior)

    monkeypatch.setattr("polyspan.evaluation.calibrate.fit_threshold", spy)
    observed = drawn(240)
    calibrate(replace(observed, context=np.arange(240) % 60))
    whole, *folds = np.array(seen)
    assert (whole == 4).all()
    assert len(folds) == 5
    assert (np.sort(folds, axis=0) == np.array([0, 4, 4, 4, 4])[:, None]).all()
    assert [int((fold == 0).sum()) for fold in folds] == [12] * 5


def test_calibrate_carries_probabilities_over_to_datasets_of_one_kind() -> None:
    observed = drawn(1_500)
    names = np.where(observed.unanswerable, "none.json", "all.json")
    result = calibrate(replace(observed, dataset=names))
    answerable, unanswerable = result.datasets["all.json"], result.datasets["none.json"]
    assert (answerable.signature["prior"], unanswerable.signature["prior"]) == (0, 1)
    assert "NoAns_f1" not in answerable.scores
    assert "HasAns_f1" not in unanswerable.scores
    assert answerable.scores["ece"] < 0.06
    assert unanswerable.scores["ece"] == pytest.approx(0, abs=1e-9)


def test_calibrate_one_language_leaves_all_others_alone() -> None:
    observed = drawn(400)
    stored = calibrate(observed).calibration
    shifted = {**observed.features, "null_margin": observed.null_margin + 5}
    other = replace(observed, features=shifted, null_margin=observed.null_margin + 5)
    result = calibrate(other, stored=stored, language="de")
    assert result.calibration.of("fr") == stored
    assert result.calibration.of("de").confidence != stored.confidence
    assert result.calibration.thresholds["de"] == pytest.approx(stored.no_answer_threshold + 5, abs=1e-6)
    assert result.report.signature["language"] == "de"
    both = calibrate(other, stored=result.calibration, language="fr").calibration
    assert sorted(both.thresholds) == sorted(both.confidences) == ["de", "fr"]
    assert not calibrate(observed, stored=both).calibration.languages


def test_calibrate_a_language_makes_its_probabilities_right() -> None:
    stored = calibrate(drawn(1_000)).calibration
    observed = drawn(2_000, seed=1)
    lifted = observed.null_margin + 5
    other = replace(observed, features={**observed.features, "null_margin": lifted}, null_margin=lifted)
    general, own = judge(other, stored), calibrate(other, stored=stored, language="de")
    assert own.report.scores["ece"] < 0.05 < general.scores["ece"]
    assert own.report.scores["brier"] < general.scores["brier"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (slice(0, 99), "99 questions with something to quote; expected at least 100"),
        ("wrong", "0 questions answered right; expected at least 5"),
        ("right", "0 answerable questions answered wrong"),
    ],
)
def test_calibrate_refuses_too_few_questions(rows: slice | str, message: str) -> None:
    observed = drawn(1_000)
    kept = {"wrong": ~observed.exact, "right": observed.unanswerable | observed.exact}
    chosen = np.zeros(1_000, np.bool_)
    chosen[kept[rows] if isinstance(rows, str) else rows] = True
    with pytest.raises(DatasetError, match=message):
        calibrate(observed.at(chosen))


@pytest.mark.parametrize("prior", [0, 1, -0.1, 1.5, float("nan")])
def test_calibrate_refuses_a_prior_that_leaves_a_kind_out(prior: float) -> None:
    with pytest.raises(InputError, match="prior: expected a share"):
        calibrate(drawn(200), prior)


def test_calibrate_refuses_what_is_no_language_and_models_without_maps() -> None:
    observed = drawn(400)
    stored = calibrate(observed).calibration
    for language in ("German", "de-DE", "DE", ""):
        with pytest.raises(InputError, match="expected an ISO 639 code"):
            calibrate(observed, stored=stored, language=language)
    with pytest.raises(InputError, match="calibrate it without a language first"):
        calibrate(observed, language="de")


def example(name: str, context: str, *answers: str) -> QAExample:
    return QAExample(name, "find rome", context, tuple(GoldAnswer(answer, context.index(answer)) for answer in answers))


BOTH = (True, False)


def many(times: int, contexts: int, kinds: tuple[bool, ...]) -> dict[str, list[QAExample]]:
    """Answerable (True) and unanswerable questions."""
    return {
        "one.json": [
            example(f"{number} {kind}", f"Anna in Rome {number % contexts}", *["Rome"] * kind)
            for number in range(times)
            for kind in kinds
        ]
    }


ABSTAINS = NativeSettings(no_answer=True)


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        (many(49, 49, BOTH), "98 questions; expected at least 100"),
        (many(200, 50, BOTH[:1]), "0 unanswerable questions"),
        (many(200, 50, BOTH[1:]), "0 answerable questions"),
        (many(100, 9, BOTH), "9 contexts; expected at least 10"),
    ],
)
def test_calibrate_refuses_data_before_it_is_read(datasets: dict[str, list[QAExample]], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        questions_to_ask(datasets, ABSTAINS)


def test_calibrate_refuses_models_that_never_learnt_to_abstain() -> None:
    with pytest.raises(InputError, match="never trained to give no answer"):
        questions_to_ask(many(100, 100, BOTH), NativeSettings(no_answer=False))
    with pytest.raises(InputError, match="calibrate it without a language first"):
        questions_to_ask(many(100, 100, BOTH), ABSTAINS, "de")


def test_calibrate_asks_some_among_others() -> None:
    datasets = many(100, 100, BOTH)
    asked = questions_to_ask(datasets, ABSTAINS)
    assert sum(len(one.documents) == 1 for one in asked) == 200
    assert len(asked) == 200 + 2 * 7
    stored = replace(ABSTAINS, calibration=Calibration(confidence=LAW))
    assert questions_to_ask(datasets, stored, "de") == asked


def test_calibrate_reports_questions_among_others_apart() -> None:
    observed = drawn(1_200)
    alone = np.arange(1_200) % 4 > 0
    result = calibrate(replace(observed, alone=alone))
    assert result.report.scores["total"] == 900
    assert result.among_others is not None
    assert result.among_others.scores["total"] == 300
    assert result.calibration.confidence == fit_confidence(observed)
    assert result.calibration.no_answer_threshold == fit_threshold(observed.at(alone))
    assert calibrate(observed.at(alone)).among_others is None
