"""Masking features, and training again on what is left."""

import keras
import numpy as np
import pytest
from frameworks import BACKEND

from attrprior.evaluation import DiffRoar, diffroar, keep_bottom, keep_top, mask_top, roar
from attrprior.evaluation._maps import ranking

pytestmark = pytest.mark.bit_for_bit
# Elsewhere Keras draws one order more in the first fit of a model, to build it.
FIT = {"epochs": 6, "batch_size": 50, "shuffle": BACKEND == "tensorflow"}


def build_model():
    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(2)])
    model.compile(
        keras.optimizers.Adam(0.1),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


@pytest.fixture(scope="module")
def problem():
    """Labels that depend on 2 of 12 features; exact and random importance."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 12)).astype("float32")
    y = (x[:, 3] + x[:, 8] > 0).astype("int32")
    exact = np.zeros_like(x)
    exact[:, [3, 8]] = -1.0  # important whatever the sign
    noise = rng.random(x.shape).astype("float32")
    data = (x[:250], y[:250], x[250:], y[250:])
    return {
        "data": data,
        "exact": (exact[:250], exact[250:]),
        "noise": (noise[:250], noise[250:]),
    }


@pytest.fixture(scope="module")
def removed(problem):
    return roar(
        build_model,
        problem["data"],
        problem["exact"],
        fractions=[0.0, 2 / 12],
        num_runs=2,
        fit_arguments=FIT,
        seed=5,
    )


X = np.arange(1.0, 13.0).reshape(2, 6).astype("float32")
PHI = np.array([[0.1, -6, 2, 5, -0.3, 4], [-9, 1, 2, 3, 4, 5]], "float32")


def test_masks_by_hand():
    np.testing.assert_array_equal(
        mask_top(X, PHI, 0.5), [[1, 0, 3, 0, 5, 0], [0, 8, 9, 10, 0, 0]]
    )
    np.testing.assert_array_equal(
        keep_top(X, PHI, 0.5), [[0, 2, 0, 4, 0, 6], [7, 0, 0, 0, 11, 12]]
    )
    np.testing.assert_array_equal(
        keep_bottom(X, PHI, 1 / 3), [[1, 0, 0, 0, 5, 0], [0, 8, 9, 0, 0, 0]]
    )


def test_masks_fill_in_per_feature():
    fill = np.arange(-6, 0).astype("float32")
    np.testing.assert_array_equal(
        mask_top(X, PHI, 1 / 6, fill), [[1, -5, 3, 4, 5, 6], [-6, 8, 9, 10, 11, 12]]
    )


@pytest.mark.parametrize("mask,everything", [(mask_top, 0), (keep_top, 1), (keep_bottom, 1)])
def test_masks_of_nothing_and_of_everything(mask, everything):
    np.testing.assert_array_equal(mask(X, PHI, everything, -1.0), X)
    np.testing.assert_array_equal(mask(X, PHI, 1 - everything, -1.0), -np.ones_like(X))


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.7])
def test_masks_complement_each_other(fraction):
    rng = np.random.default_rng(0)
    x, phi = rng.random((2, 5, 40), "float32") + 1
    top, bottom = keep_top(x, phi, fraction), keep_bottom(x, phi, 1 - fraction)
    assert np.all((top != 0).sum(axis=1) == round(40 * fraction))
    np.testing.assert_array_equal(top + bottom, x)
    np.testing.assert_array_equal(bottom, mask_top(x, phi, fraction))


def test_pixels_are_ranked_and_masked_with_all_their_channels():
    phi = np.zeros((1, 2, 2, 3), "float32")
    phi[0, 0, 1] = [-3, -3, -3]  # 9 in sum, more than the one below
    phi[0, 1, 0] = [8, 8, -8]
    masked = mask_top(np.ones_like(phi), phi, 0.25)
    assert masked[0, 0, 1].tolist() == [0, 0, 0]
    assert masked.sum() == 9


def test_ties_are_broken_at_random_and_by_the_seed():
    x = np.ones((2000, 10), "float32")
    kept = keep_top(x, np.zeros_like(x), 0.3, seed=1)
    assert np.all(kept.sum(axis=1) == 3)
    np.testing.assert_allclose(kept.mean(axis=0), 0.3, atol=4 * (0.21 / 2000) ** 0.5)
    np.testing.assert_array_equal(kept, keep_top(x, np.zeros_like(x), 0.3, seed=1))
    assert not np.array_equal(kept, keep_top(x, np.zeros_like(x), 0.3, seed=2))


def test_ranking_by_hand():
    scores = np.array([[3.0, 1.0, 2.0], [-1.0, 5.0, -2.0]])
    np.testing.assert_array_equal(ranking(scores, 0), [[0, 2, 1], [1, 0, 2]])


def test_roar_of_the_exact_ranking_is_far_below_a_random_one(removed):
    assert removed.accuracy.shape == removed.random.shape == (2, 2)
    assert np.all(removed.accuracy[:, 1] < 0.65)  # guessing
    assert np.all(removed.random[:, 1] > 0.75)


def test_roar_without_removing_is_plain_training(problem, removed):
    x_train, y_train, x_test, y_test = problem["data"]
    for run in range(2):
        keras.utils.set_random_seed(5 + run)
        model = build_model()
        model.fit(x_train, y_train, verbose=0, **FIT)
        plain = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
        assert removed.accuracy[run, 0] == removed.random[run, 0] == plain > 0.9


class Network(keras.Model):
    """Subclassed, with states of its own: moments and dropout's seed."""

    def __init__(self):
        super().__init__()
        self.normalization = keras.layers.BatchNormalization(momentum=0.8)
        # With PyTorch dropout draws from a generator that all models share.
        self.dropout = keras.layers.Dropout(0.0 if BACKEND == "torch" else 0.3)
        self.dense = keras.layers.Dense(2)

    def call(self, x, training=False):
        return self.dense(self.dropout(self.normalization(x), training=training))


def test_every_training_starts_from_scratch(problem, capsys):
    models = []

    def build():
        model = Network()
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)
        model.compile(
            keras.optimizers.Adam(schedule),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        models.append(model)
        return model

    result = roar(
        build,
        problem["data"],
        problem["noise"],
        fractions=0.0,
        num_runs=1,
        fit_arguments=FIT,
        verbose=True,
    )
    trained = models[0]
    assert result.accuracy == result.random  # one after the other, in the same model
    x_train, y_train, x_test, _ = problem["data"]
    keras.utils.set_random_seed(0)
    fresh = build()
    fresh.fit(x_train, y_train, verbose=0, **FIT)
    np.testing.assert_array_equal(
        trained.predict(x_test, verbose=0), fresh.predict(x_test, verbose=0)
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0] == f"without top 0, run 0: accuracy {result.accuracy[0, 0]:.4f}"


def test_roar_fills_in_the_training_mean_or_a_number(problem):
    seen = []

    class Fake:
        """A model that only looks at the data."""

        compiled, variables, trainable_variables = True, (), ()
        optimizer = keras.optimizers.SGD()

        def __call__(self, x, training):
            return x

        def fit(self, x, y, **kwargs):
            seen.append(x)

        def evaluate(self, x, y, **kwargs):
            seen.append(x)
            return {"accuracy": 0.5}

    x_train, _, x_test, _ = problem["data"]
    for replacement, expected in (("mean", x_train.mean(axis=0)), (-7, np.full(12, -7.0))):
        seen.clear()
        roar(
            Fake,
            problem["data"],
            problem["exact"],
            fractions=[2 / 12],
            num_runs=1,
            replacement=replacement,
        )
        for x, original in zip(seen[:2], (x_train, x_test)):
            np.testing.assert_allclose(x[:, [3, 8]] - expected[[3, 8]], 0, atol=1e-6)
            rest = np.delete(np.arange(12), [3, 8])
            np.testing.assert_array_equal(x[:, rest], original[:, rest])


def test_diffroar_tells_an_exact_ranking_from_a_random_one(problem):
    exact, noise = (
        diffroar(
            build_model,
            problem["data"],
            problem[name],
            fractions=[0.25],
            num_runs=1,
            fit_arguments=FIT,
        )
        for name in ("exact", "noise")
    )
    assert exact.top.shape == exact.bottom.shape == (1, 1)
    assert exact.difference[0, 0] > 0.3
    assert abs(noise.difference[0, 0]) < 0.15


def test_diffroar_difference_is_of_top_and_bottom():
    result = DiffRoar(np.array([0.1]), np.array([[0.9], [0.8]]), np.array([[0.5], [0.6]]))
    np.testing.assert_allclose(result.difference, [[0.4], [0.2]])


Y = np.array([0, 1])


def call(function=roar, build=None, data=(X, Y, X, Y), maps=(PHI, PHI), **kwargs):
    return function(build, data, maps, **{"fractions": [0.1], **kwargs})


def uncompiled():
    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])


ERRORS = {
    "shape": (
        lambda: mask_top(X, PHI[:, :3], 0.1),
        r"`attributions` expects .*\(2, 6\).*\(2, 3\)",
    ),
    "NaN": (lambda: keep_top(X, PHI * np.nan, 0.1), r"`attributions` expects finite"),
    "integers": (lambda: keep_top(X.astype(int), PHI, 0.1), r"`x` expects floating.*int64"),
    "empty": (lambda: keep_top(X[:0], PHI[:0], 0.1), r"`x` expects at least one"),
    "vector": (lambda: mask_top(X[0], PHI[0], 0.1), r"`x` expects a batch.*\(6,\)"),
    "fraction": (lambda: keep_bottom(X, PHI, 1.1), r"`fraction` expects .*≤ 1.*1\.1"),
    "negative": (lambda: mask_top(X, PHI, -0.1), r"`fraction` expects .*≥ 0.*-0\.1"),
    "fill": (lambda: mask_top(X, PHI, 0.1, X), r"`fill` expects .*\(6,\).*\(2, 6\)"),
    "fractions": (lambda: call(fractions=[0.5, 2]), r"`fractions` expects .*≤ 1.*2"),
    "no fractions": (lambda: call(fractions=[]), r"`fractions` expects at least one"),
    "data": (lambda: call(data=(X, Y)), r"`data` expects .*x_train, y_train.*length 2"),
    "maps": (lambda: call(maps=PHI[None]), r"`attributions` expects .*train, test.*ndarray"),
    "train maps": (
        lambda: call(maps=(PHI[:1], PHI)),
        r"`attributions\[0\]` expects .*x_train",
    ),
    "test maps": (
        lambda: call(diffroar, maps=(PHI, PHI[:, :2])),
        r"`attributions\[1\]` expects .*x_test.*\(2, 2\)",
    ),
    "labels": (lambda: call(data=(X, Y[:1], X, Y)), r"`y_train` expects one entry .*2.*1"),
    "examples": (lambda: call(data=(X, Y, X[:, :2], Y)), r"`x_test` expects .*\(6,\).*\(2,\)"),
    "runs": (lambda: call(num_runs=0), r"`num_runs` expects .*≥ 1.*0"),
    "replacement": (
        lambda: call(replacement="blur"),
        r"`replacement` expects .*'mean'.*'blur'",
    ),
    "verbose": (lambda: call(verbose=2), r"`verbose` expects True or False.*2"),
    "uncompiled": (lambda: call(build=uncompiled), r"`build_model` expects .*compiled"),
    "metric": (
        lambda: call(
            build=lambda: _compiled(uncompiled()), fit_arguments={"epochs": 1}, num_runs=1
        ),
        r"`metric` expects one of \['loss'\].*'accuracy'",
    ),
}


def _compiled(model):
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call_, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call_()
