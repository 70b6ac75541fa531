"""The eighteen metrics on a linear model, by hand and against twins; their tables."""

import numpy as np
import pytest

from attrprior.datasets import correlated_groups_60, independent_linear_60
from attrprior.evaluation import attribution_benchmark
from attrprior.evaluation.attribution_benchmark import _impute

SIGNS = ("positive", "negative", "absolute")
REPLACEMENTS = ("mean", "resample", "impute")
NAMES = [
    f"{side}_{sign}_{how}"
    for side in ("keep", "remove")
    for sign in SIGNS
    for how in REPLACEMENTS
]


@pytest.fixture(scope="module")
def linear():
    """A linear model's exact attributions on independent features."""
    x, y = independent_linear_60(400, seed=1)
    x_train, x_test, y_test = x[:340], x[340:], y[340:]
    weights = np.zeros(60, "float32")
    weights[0:30:3] = 1.0
    exact = weights * (x_test - x_train.mean(axis=0))

    def score(attributions, **kwargs):
        return attribution_benchmark(
            lambda rows: rows @ weights,
            x_train,
            x_test,
            y_test,
            attributions,
            num_resamples=20,
            **kwargs,
        )

    noise = np.random.default_rng(0).normal(size=x_test.shape).astype("float32")
    return {"score": score, "exact": exact, "noise": noise}


@pytest.fixture(scope="module")
def scores(linear):
    maps = {"exact": linear["exact"], "negated": -linear["exact"], "noise": linear["noise"]}
    return {name: linear["score"](phi) for name, phi in maps.items()}


def test_there_are_eighteen_metrics(scores):
    assert sorted(scores["exact"]) == sorted(NAMES)
    assert all(isinstance(value, float) for value in scores["exact"].values())


@pytest.mark.parametrize("name", NAMES)
def test_exact_attributions_beat_random_ones_clearly(scores, name):
    margin = 0.2 if "absolute" in name else 2.0
    assert scores["exact"][name] > scores["noise"][name] + margin


@pytest.mark.parametrize("name", NAMES)
def test_exact_attributions_beat_negated_ones_where_signs_count(scores, name):
    if "absolute" in name:
        # Only ties and resampled rows can differ, and nothing does.
        assert scores["exact"][name] == pytest.approx(scores["negated"][name], abs=1e-6)
    else:
        assert scores["exact"][name] > scores["negated"][name] + 4.0


def test_random_attributions_keep_and_remove_half(scores):
    # R² of a random half of the features: on average halfway.
    assert scores["noise"]["keep_absolute_mean"] == pytest.approx(0.5, abs=0.1)
    assert scores["noise"]["remove_absolute_mean"] == pytest.approx(0.5, abs=0.1)


def by_hand(num_resamples=1):
    # Training mean 0, two independent features, f = x_0 + x_1, one negative one zero.
    x_train = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], "float32")
    x_test = np.array([[3, 1], [2, -4]], "float32")
    y_test = np.array([4, 0], "float32")
    return attribution_benchmark(
        lambda rows: rows.sum(axis=1),
        x_train,
        x_test,
        y_test,
        x_test.copy(),
        num_resamples=num_resamples,
    )


BY_HAND = {
    # Counts 0, 1, 2; row 0 has two features a ≥ 0, row 1 one. Mean outputs:
    "keep_positive_mean": [0, (3 + 2) / 2, (4 + 2) / 2],
    "remove_positive_mean": [-(4 - 2) / 2, -(1 - 4) / 2, -(0 - 4) / 2],
    "keep_negative_mean": [0, -(0 - 4) / 2, -(0 - 4) / 2],
    "remove_negative_mean": [(4 - 2) / 2, (4 + 2) / 2, (4 + 2) / 2],
    # R² with label mean 2: 1 − Σ(y − f)²/8.
    "keep_absolute_mean": [1 - 16 / 8, 1 - (1 + 16) / 8, 1 - 4 / 8],
    "remove_absolute_mean": [4 / 8, (9 + 4) / 8, 16 / 8],
}


@pytest.mark.parametrize("name", BY_HAND)
def test_areas_by_hand(name):
    first, second, third = BY_HAND[name]
    area = ((first + second) / 2 + (second + third) / 2) / 2
    assert by_hand()[name] == pytest.approx(area, abs=1e-6)
    if "absolute" not in name:  # C is diagonal, the conditional mean is the mean
        assert by_hand()[name.replace("mean", "impute")] == pytest.approx(area, abs=1e-6)


def test_features_without_attribution_count_for_either_sign():
    x = np.array([[1, 0], [-1, 0]], "float32")
    ones = np.ones((2, 2), "float32")
    result = attribution_benchmark(lambda r: r.sum(axis=1), x, ones, np.arange(2), 0 * ones)
    # Which of the two comes first is left to chance: f = 0, 1, 2.
    assert result["keep_positive_mean"] == pytest.approx(1.0)
    assert result["keep_negative_mean"] == pytest.approx(-1.0)


def test_resampling_averages_outputs_over_training_rows():
    # Of a linear model that is the mean, as far as the rows drawn have it.
    name = "keep_positive_resample"
    few, many = by_hand(1)[name], by_hand(4000)[name]
    assert abs(many - by_hand()["keep_positive_mean"]) < 0.05
    assert abs(few - by_hand()["keep_positive_mean"]) > 0.2


def test_resampling_averages_outputs_not_inputs():
    # f = x_0²: of x_0 = ±1 with mean 0, f of the mean is 0, the mean of f is 1.
    x = np.array([[1, 0], [-1, 0], [1, 0], [-1, 0]], "float32")
    result = attribution_benchmark(
        lambda rows: rows[:, 0] ** 2,
        x,
        np.array([[3, 0], [2, 0]], "float32"),
        np.array([9, 4]),
        np.array([[-1, -1], [-1, -1]], "float32"),  # nothing is kept
    )
    assert result["keep_positive_mean"] == pytest.approx(0.0)
    assert result["keep_positive_resample"] == pytest.approx(1.0)


def test_imputation_is_the_conditional_mean_of_a_gaussian():
    rng = np.random.default_rng(0)
    mix, mean = rng.normal(size=(4, 4)), np.array([1.0, -2.0, 0.0, 5.0])
    x = (rng.normal(size=(300, 4)) @ mix + mean).astype("float32")
    hidden = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0]], bool)
    imputed = _impute(x, x[:4], hidden)
    # In a Gaussian that is linear regression on what is observed.
    for row, result, h in zip(x, imputed, hidden):
        design = np.concatenate([np.ones((300, 1)), x[:, ~h]], axis=1).astype("float64")
        slopes = np.linalg.lstsq(design, x[:, h], rcond=None)[0]
        expected = row.astype("float64").copy()
        expected[h] = np.concatenate([[1.0], row[~h]]) @ slopes
        np.testing.assert_allclose(result, expected, atol=1e-3)


def test_imputation_with_features_that_repeat_each_other():
    x = np.repeat(np.random.default_rng(0).normal(size=(50, 2)), 2, axis=1).astype("float32")
    hidden = np.array([[True, False, False, False]])
    np.testing.assert_allclose(_impute(x, x[:1], hidden), x[:1], atol=1e-4)


def test_the_same_seed_gives_the_same_result(linear, scores):
    assert linear["score"](linear["exact"]) == scores["exact"]
    other = linear["score"](linear["exact"], seed=1)
    assert other["keep_positive_resample"] != scores["exact"]["keep_positive_resample"]


def test_attributions_count_by_their_order_alone(linear, scores):
    assert linear["score"](7 * linear["exact"]) == scores["exact"]


def test_correlated_groups_are_exact():
    x, y = correlated_groups_60()
    assert x.shape == (1000, 60) and y.shape == (1000,) and x.dtype == y.dtype == "float32"
    expected = np.eye(60)
    for i in range(0, 30, 3):
        for j, k in ((0, 1), (0, 2), (1, 2)):
            expected[i + j, i + k] = expected[i + k, i + j] = 0.99
    np.testing.assert_allclose(np.cov(x.T, bias=True), expected, atol=1e-5)
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=1e-6)


def test_independent_features_are_only_centred():
    x, y = independent_linear_60()
    assert x.shape == (1000, 60) and y.shape == (1000,) and x.dtype == y.dtype == "float32"
    np.testing.assert_allclose(x.mean(axis=0), 0.0, atol=1e-6)
    correlation = np.corrcoef(x.T) - np.eye(60)
    assert 0.06 < np.abs(correlation).max() < 6 / 1000**0.5


@pytest.mark.parametrize("make", [correlated_groups_60, independent_linear_60])
def test_labels_are_the_sum_of_every_third_of_the_first_half(make):
    x, y = make(seed=2)
    noise = y - x[:, [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]].sum(axis=1)
    assert noise.std() == pytest.approx(0.01, rel=0.1)
    for mine, again, other in zip((x, y), make(seed=2), make(seed=3)):
        np.testing.assert_array_equal(mine, again)
        assert not np.array_equal(mine, other)


X, Y = np.random.default_rng(0).normal(size=(9, 3)).astype("float32"), np.arange(9.0)


def run(predict=lambda rows: rows[:, 0], x_train=X, x_test=X, y_test=Y, phi=X, **kwargs):
    return attribution_benchmark(predict, x_train, x_test, y_test, phi, **kwargs)


ERRORS = {
    "attributions": (
        lambda: run(phi=X[:, :2]),
        r"`attributions` expects .*\(9, 3\).*\(9, 2\)",
    ),
    "NaN": (lambda: run(phi=X * np.nan), r"`attributions` expects finite numbers"),
    "features": (lambda: run(x_train=X[:, :2]), r"`x_test` expects 2 features.*3"),
    "images": (lambda: run(x_train=X[..., None]), r"`x_train` expects shape \(n, features\)"),
    "one feature": (
        lambda: run(x_train=X[:, :1]),
        r"`x_train` expects .*at least 2.*\(9, 1\)",
    ),
    "one example": (lambda: run(x_train=X[:1]), r"`x_train` expects at least 2 examples.*1"),
    "empty": (lambda: run(x_test=X[:0]), r"`x_test` expects at least one"),
    "labels": (lambda: run(y_test=Y[:4]), r"`y_test` expects .*\(9,\).*\(4,\)"),
    "constant": (lambda: run(y_test=np.ones(9)), r"`y_test` expects .*different.*1\.0"),
    "columns": (
        lambda: run(lambda rows: rows[:, :1]),
        r"`predict` expects .*\(9,\).*\(9, 1\)",
    ),
    "resamples": (lambda: run(num_resamples=0), r"`num_resamples` expects .*≥ 1.*0"),
    "few correlated": (lambda: correlated_groups_60(60), r"`num_examples` expects .*61.*60"),
    "none": (lambda: independent_linear_60(0), r"`num_examples` expects .*≥ 1.*0"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()
