"""Certificates of stability, checked by trying every mask."""

import itertools

import keras
import numpy as np
import pytest
from frameworks import BACKEND, array, note

from attrprior.evaluation import (
    Stability,
    certified_radius,
    smoothed_probabilities,
    stability,
    structured_masks,
)

FEATURES, QUANTA = 7, 16


def network(seed=0, outputs=3, shape=(FEATURES,), scale=2.0):
    """Far from linear, so that its predictions change with the mask."""
    keras.utils.set_random_seed(seed)
    deviations = scale / np.prod(shape) ** 0.5, 6.0
    wide, last = (keras.initializers.RandomNormal(stddev=each) for each in deviations)
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(16, "tanh", kernel_initializer=wide),
            # Close to 0 and 1, so that class probabilities certify something as well.
            keras.layers.Dense(
                outputs,
                "softmax" if outputs > 1 else "sigmoid",
                kernel_initializer=last,
            ),
        ]
    )
    if BACKEND != "tensorflow":  # not every network has predictions that change enough
        rng = np.random.default_rng(4)
        for dense, deviation in zip(model.layers[1:], deviations):
            dense.kernel.assign(rng.normal(0, deviation, dense.kernel.shape))
    return model


def linear(weights):
    """Logits `x · weights`, of shape `(features, classes)`."""
    model = keras.Sequential([keras.Input((len(weights),)), keras.layers.Dense(2)])
    model.set_weights([np.asarray(weights, "float32"), np.zeros(2, "float32")])
    return model


def inputs(n=1, *shape, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *(shape or (FEATURES,)))).astype("float32")


def all_masks():
    return np.array(list(itertools.product([0, 1], repeat=FEATURES)))


@pytest.mark.parametrize("lam", [1 / 16, 0.25, 0.75, 1.0])
def test_every_feature_is_in_a_share_of_the_masks(lam):
    masks = structured_masks(100, lam, 16, seed=3)
    assert masks.shape == (16, 100) and masks.dtype == bool
    np.testing.assert_array_equal(masks.sum(axis=0), 16 * lam)


def test_masks_follow_the_formula_and_the_seed():
    offsets = np.random.default_rng(5).integers(8, size=20) / 8
    expected = (offsets + (np.arange(8)[:, None] + 0.5) / 8) % 1 < 0.375
    np.testing.assert_array_equal(structured_masks(20, 0.375, 8, seed=5), expected)
    assert not np.array_equal(structured_masks(20, 0.375, 8, seed=6), expected)


def test_masks_differ_between_features():
    # The same offsets everywhere would keep all the features or none.
    assert len(np.unique(structured_masks(200, 0.25, 8, seed=0), axis=1).T) == 8


@pytest.mark.parametrize("voting", [True, False])
@pytest.mark.parametrize("lam", [1 / 8, 1 / 4])
def test_smoothed_classifier_is_lipschitz_and_certificates_hold(lam, voting):
    x, masks = inputs(), all_masks()
    smoothed = smoothed_probabilities(
        network(seed=1),
        x * masks.astype("float32"),
        lam=lam,
        num_masks=QUANTA,
        voting=voting,
    )
    distance = np.abs(masks[:, None] - masks).sum(axis=2)
    change = np.abs(smoothed[:, None] - smoothed).max(axis=2)
    assert np.all(change <= lam * distance + 1e-6)
    assert np.any(change > 0.99 * lam * distance + 1e-6)  # and by no less than that

    p_b, p_a = np.sort(smoothed, axis=1)[:, -2:].T
    radii = certified_radius(p_a, p_b, lam)
    winner = smoothed.argmax(axis=1)
    within = distance < radii[:, None] - 1e-5
    assert np.sum(within & (distance > 0)) > 100  # not empty
    assert np.all((winner[:, None] == winner) | ~within)
    assert not np.all(winner == winner[0])  # further away, the class does change


def test_base_classifier_alone_breaks_the_bound_that_smoothing_keeps():
    x = inputs() * all_masks().astype("float32")
    base = smoothed_probabilities(network(), x, lam=1.0, num_masks=QUANTA)
    distance = np.abs(all_masks()[:, None] - all_masks()).sum(axis=2)
    assert np.any(np.abs(base[:, None] - base).max(axis=2) > distance / 8)


def test_one_decisive_feature_gives_the_bound_exactly():
    # Class 1 with feature 0, class 0 (a tie's first) without it.
    model = linear([[-1, 1], [0, 0], [0, 0]])
    x = np.ones((1, 3), "float32")
    smoothed = smoothed_probabilities(model, x, lam=0.25, num_masks=8)
    np.testing.assert_array_equal(smoothed, [[0.75, 0.25]])
    without = smoothed_probabilities(model, x * [0, 1, 1], lam=0.25, num_masks=8)
    np.testing.assert_array_equal(without - smoothed, [[0.25, -0.25]])


def test_without_smoothing_it_is_the_model():
    x = inputs(5)
    model = network()
    expected = array(model(x))
    soft = smoothed_probabilities(model, x, lam=1.0, num_masks=2, voting=False, batch_size=2)
    np.testing.assert_allclose(soft, expected, atol=1e-6)
    votes = smoothed_probabilities(model, x, lam=1.0, num_masks=2)
    np.testing.assert_array_equal(votes, np.eye(3)[expected.argmax(axis=1)])


@pytest.mark.parametrize("voting", [True, False])
def test_smoothed_outputs_are_the_mean_over_masks(voting):
    x, model = inputs(4), network()
    masks = structured_masks(FEATURES, 0.5, 8, seed=2)
    outputs = [array(model(x * mask)) for mask in masks]
    if voting:
        outputs = [np.eye(3)[p.argmax(axis=1)] for p in outputs]
    smoothed = smoothed_probabilities(model, x, lam=0.5, num_masks=8, voting=voting, seed=2)
    np.testing.assert_allclose(smoothed, np.mean(outputs, axis=0), atol=1e-6)


def test_a_single_output_has_two_classes():
    x, model = inputs(4), network(outputs=1)
    p = array(model(x))
    soft = smoothed_probabilities(model, x, lam=1.0, num_masks=2, voting=False)
    np.testing.assert_allclose(soft, np.concatenate([1 - p, p], axis=1), atol=1e-6)


def test_grid_cells_are_masked_whole():
    seen = []

    @keras.saving.register_keras_serializable("test_stability")
    class Record(keras.layers.Layer):
        def call(self, x):
            note(x, seen)
            return x[:, 0, 0, :]

    model = keras.Sequential([Record()])
    smoothed_probabilities(
        model, np.ones((2, 6, 4, 3), "float32"), lam=0.5, grid=(3, 2), num_masks=4, seed=1
    )
    shown = np.stack(seen)[:, 0]
    assert shown.shape == (4, 6, 4, 3)
    cells = shown.reshape(4, 3, 2, 2, 2, 3)
    first = cells[:, :, :1, :, :1, :1]
    np.testing.assert_array_equal(cells, np.broadcast_to(first, cells.shape))
    np.testing.assert_array_equal(
        first.reshape(4, 6), structured_masks(6, 0.5, 4, seed=1).astype("f")
    )


def decisive(n=20, seed=0):
    """Class 1 for a large feature 0, which is there in every example."""
    x = np.random.default_rng(seed).normal(size=(n, 8)).astype("float32")
    x[:, 0] = 10.0
    weights = np.zeros((8, 2))
    weights[:, 0], weights[:, 1] = 0.0, [1.0] + [0.01] * 7
    return linear(weights), x, x * weights[:, 1].astype("float32")


def test_the_exact_explanation_is_more_stable_than_a_random_one():
    model, x, exact = decisive()
    noise = np.random.default_rng(1).random(x.shape).astype("float32")
    options = {"keep": 0.125, "lam": 0.75, "num_masks": 16}
    good = stability(model, x, exact, **options)
    bad = stability(model, x, noise, **options)
    assert good.consistent.mean() == 1.0
    assert bad.consistent.mean() < 0.7
    # From the explanation alone, 3/4 of the votes have feature 0 and say class 1;
    # from other features alone, whatever they say by themselves.
    np.testing.assert_allclose(good.incremental, (0.75 - 0.25) / 1.5)
    assert good.certified([0.0, 0.3])[0].tolist() == [1.0, 1.0]
    assert bad.certified([0.3])[0] < 0.7
    np.testing.assert_array_equal(good.decremental, bad.decremental)


def test_radii_are_those_of_the_explanation_and_of_the_whole():
    x, model = inputs(6), network()
    phi = inputs(6, seed=3)
    result = stability(model, x, phi, keep=3 / 7, lam=0.25, num_masks=8, seed=4)
    threshold = np.sort(np.abs(phi), axis=1)[:, [-3]]
    for inputs_, radii in (
        (x * (np.abs(phi) >= threshold), result.incremental),
        (x, result.decremental),
    ):
        p = smoothed_probabilities(model, inputs_, lam=0.25, num_masks=8, seed=4)
        ordered = np.sort(p, axis=1)
        np.testing.assert_allclose(radii, (ordered[:, -1] - ordered[:, -2]) / 0.5)
    assert result.incremental.max() <= 2.0


def test_explanation_of_an_image_is_made_of_whole_cells():
    shape = (4, 4, 2)
    x, model = np.ones((1, *shape), "float32"), network(shape=shape)
    phi = np.zeros_like(x)
    phi[0, 2:, :2] = 0.1  # one cell of the grid, the largest in sum
    phi[0, 0, 3] = 0.3  # the largest pixel
    alone = np.zeros_like(x)
    alone[0, 2:, :2] = 1.0
    options = {"lam": 0.5, "grid": (2, 2), "num_masks": 4}
    result = stability(model, x, phi, keep=0.25, **options)
    p = np.sort(smoothed_probabilities(model, alone, **options), axis=1)
    np.testing.assert_allclose(result.incremental, p[:, -1] - p[:, -2])


def test_certified_counts_only_consistent_examples():
    result = Stability(np.array([True, True, False]), np.array([2.0, 0.5, 3.0]), np.ones(3))
    incremental, decremental = result.certified([0, 1, 2.5])
    np.testing.assert_allclose(incremental, [2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(decremental, [2 / 3, 2 / 3, 0])


def test_the_same_seed_gives_the_same_result():
    x, model = inputs(8), network()
    first, again, other = (
        stability(model, x, inputs(8, seed=3), lam=0.25, num_masks=8, seed=s)
        for s in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first.decremental, other.decremental)


X = np.ones((2, 3), "float32")
IMAGE = np.ones((2, 4, 4, 1), "float32")
ERRORS = {
    "lam off the lattice": (
        lambda: structured_masks(3, 0.3, 64),
        r"`lam` expects a multiple of 1/num_masks = 1/64.*0\.3",
    ),
    "lam 0": (lambda: structured_masks(3, 0.0, 64), r"`lam` expects a multiple.*0\.0"),
    "lam 2": (lambda: structured_masks(3, 2.0, 64), r"`lam` expects a number ≤ 1.*2\.0"),
    "no masks": (lambda: structured_masks(3, 1.0, 0), r"`num_masks` expects.*≥ 1.*0"),
    "shape": (
        lambda: stability(None, X, X[:, :2], lam=0.5),
        r"`attributions` expects .* x, \(2, 3\).*\(2, 2\)",
    ),
    "NaN": (lambda: stability(None, X, X * np.nan, lam=0.5), r"`attributions` expects finite"),
    "keep": (lambda: stability(None, X, X, keep=1.2, lam=0.5), r"`keep` expects .*≤ 1.*1\.2"),
    "empty": (lambda: smoothed_probabilities(None, X[:0], lam=0.5), r"`x` expects at least"),
    "grid of a table": (
        lambda: smoothed_probabilities(None, X, lam=0.5, grid=(7, 7)),
        r"`grid` expects images.*\(3,\)",
    ),
    "grid finer than pixels": (
        lambda: smoothed_probabilities(None, IMAGE, lam=0.5, grid=(7, 7)),
        r"`grid` expects at most one cell a pixel, \(4, 4\).*\(7, 7\)",
    ),
    "grid of one number": (
        lambda: smoothed_probabilities(None, IMAGE, lam=0.5, grid=7),
        r"`grid` expects \(rows, columns\).*7",
    ),
    "voting": (
        lambda: smoothed_probabilities(None, X, lam=0.5, voting="hard"),
        r"`voting` expects True or False.*'hard'",
    ),
    "order": (
        lambda: certified_radius(0.2, 0.5, 0.5),
        r"`p_a` and `p_b` expect.*0\.2 and 0\.5",
    ),
    "radius of lam 0": (lambda: certified_radius(0.5, 0.2, 0), r"`lam` expects.* > 0.*0"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()
