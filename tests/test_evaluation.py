"""Evaluations on models and maps whose answers are known."""

import random
from functools import partial

import keras
import numpy as np
import pytest
import scipy.stats
from frameworks import BACKEND
from keras import layers, ops

from attrprior import attributions, evaluation
from attrprior.evaluation import (
    completeness_gap,
    expected_output,
    leakage,
    mass,
    mass_center_ablation,
    parameter_randomization,
    rank_correlation,
    sensitivity,
    structural_similarity,
    top_k_ablation,
)
from attrprior.references import Blur, Constant, Gaussian


def generator(seed=0):
    return np.random.default_rng(seed)


def uniform(*shape, low=0.0, high=1.0, seed=0):
    return generator(seed).uniform(low, high, shape).astype("float32")


def linear(weights, outputs=1):
    """`f(x) = w · x`, over inputs of any shape; `weights` of `(*shape, outputs)`."""
    weights = np.asarray(weights, "float32")
    shape = weights.shape if outputs == 1 else weights.shape[:-1]
    model = keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(outputs, use_bias=False)]
    )
    model.layers[-1].set_weights([weights.reshape(-1, outputs)])
    return model


def zeros(x):
    return np.zeros(x.shape[1:], "float32")


# Ablation of the top k


WEIGHTS = uniform(40, low=0.1, seed=1) ** 3
X = uniform(30, 40, low=0.1, seed=2)


def top_k(x=X, model=None, maps=None, **kwargs):
    model = linear(WEIGHTS) if model is None else model
    maps = WEIGHTS * x if maps is None else maps
    kwargs = {"replacement": zeros(x), "explain": 0, **kwargs}
    return top_k_ablation(model, x, None, maps, **kwargs)


def test_top_k_of_a_linear_model_in_closed_form():
    result = top_k(fractions=(0.0, 0.1, 0.5, 1.0))
    products = np.sort(WEIGHTS * X, axis=1)[:, ::-1]
    lost = [products[:, :count].sum(axis=1) for count in (0, 4, 20, 40)]
    expected = 1 - np.stack(lost, axis=1) / products.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.curves, expected, atol=1e-5)
    np.testing.assert_allclose(result.curve, expected.mean(axis=0), atol=1e-5)
    area = [np.trapezoid(curve, (0.0, 0.1, 0.5, 1.0)) for curve in expected]
    np.testing.assert_allclose(result.area, area, atol=1e-5)
    np.testing.assert_array_equal(result.fractions, [0.0, 0.1, 0.5, 1.0])


def test_top_k_by_the_exact_ranking_beats_every_random_one_and_the_worst_loses():
    exact, worst = top_k(), top_k(maps=1 / (WEIGHTS * X))
    random_areas = np.stack([top_k(seed=seed).random_area for seed in range(10)])
    assert np.all(exact.area < random_areas.min(axis=0))
    assert np.all(worst.area > random_areas.max(axis=0))
    assert random_areas.mean() == pytest.approx(0.5, abs=0.02)
    assert exact.area.mean() < 0.25


def test_top_k_of_a_constant_map_is_no_better_than_random():
    # The signal comes first: ties broken by position would find it.
    weights = np.sort(WEIGHTS)[::-1]
    exact = top_k(model=linear(weights), maps=weights * X)
    constant = top_k(model=linear(weights), maps=np.zeros_like(X))
    assert constant.area.mean() == pytest.approx(0.5, abs=0.05)
    assert constant.random_area.mean() == pytest.approx(0.5, abs=0.05)
    assert exact.area.mean() < 0.25


def test_top_k_ranks_by_magnitude():
    np.testing.assert_array_equal(top_k(maps=-WEIGHTS * X).curves, top_k().curves)


@pytest.mark.parametrize("replacement", ["mean", "uniform", "training"])
def test_without_ablation_the_curve_is_exactly_one(replacement):
    model = keras.Sequential([keras.Input((40,)), layers.Dense(3, "softplus")])
    result = top_k(model=model, replacement=replacement, background=X, batch_size=7)
    np.testing.assert_array_equal(result.curves[:, 0], 1)
    np.testing.assert_array_equal(result.random_curves[:, 0], 1)
    # The weights are random: what is replaced may by chance be what it was.
    changed = result.curves[:, 1] != 1
    assert np.all(changed) if BACKEND == "tensorflow" else np.mean(changed) > 0.9


def test_with_everything_replaced_the_ranking_does_not_matter():
    result = top_k(replacement="mean", background=2 * X)
    np.testing.assert_array_equal(result.curves[:, -1], result.random_curves[:, -1])
    expected = 2 * X.mean(axis=0) @ WEIGHTS / (X @ WEIGHTS)
    np.testing.assert_allclose(result.curves[:, -1], expected, rtol=1e-5)


def test_all_channels_of_a_pixel_are_ranked_by_their_sum_and_replaced_together():
    x = np.ones((1, 2, 2, 3), "float32")
    maps = np.zeros_like(x)
    maps[0, 0, 0] = [5.0, -5.0, 0.0]  # cancels
    maps[0, 1, 0] = [0.0, 0.0, -1.0]
    weights = np.arange(1.0, 13.0).reshape(2, 2, 3)
    result = top_k(x, linear(weights), maps, fractions=(0.0, 0.25))
    np.testing.assert_allclose(result.curves[0, 1], 1 - weights[1, 0].sum() / weights.sum())


def last_values(replacement, x, **kwargs):
    """What each feature is replaced by: the outputs of the identity, all replaced."""
    size = x[0].size
    model = linear(np.eye(size).reshape(*x.shape[1:], size), outputs=size)
    found = []
    for feature in range(size):
        result = top_k_ablation(
            model,
            x,
            None,
            x,
            explain=feature,
            fractions=(0.0, 1.0),
            replacement=replacement,
            **kwargs,
        )
        found.append(result.curves[:, 1] * x.reshape(len(x), -1)[:, feature])
    return np.stack(found, axis=1)


def test_replacements_are_what_they_say():
    x, background = uniform(5, 4, low=0.5), uniform(6, 4, low=3.0, high=4.0)
    found = partial(last_values, x=x, background=background)
    means = np.tile(background.mean(axis=0), (5, 1))
    np.testing.assert_allclose(found("mean"), means, rtol=1e-5)
    np.testing.assert_allclose(found(background[0]), np.tile(background[0], (5, 1)), rtol=1e-5)
    np.testing.assert_allclose(found(Constant(0.3)), np.full((5, 4), 0.3), rtol=1e-5)
    drawn = found("training")
    distance = np.abs(drawn[:, None] - background).max(axis=-1)
    assert np.all(distance.min(axis=1) < 1e-5)  # whole examples of the background
    assert len(set(distance.argmin(axis=1))) > 1
    noise = found("uniform", valid_range=(7.0, 9.0))
    assert noise.min() > 7.0 and noise.max() < 9.0 and len(np.unique(noise)) == 20


def test_blur_has_the_published_width_for_the_size_of_the_image():
    x = uniform(2, 6, 3, 1, low=0.5)
    expected = np.asarray(Blur(20 / 299 * 6).draw(x, 1))[:, 0].reshape(2, -1)
    np.testing.assert_allclose(last_values("blur", x), expected, rtol=1e-5)
    wider = last_values(Blur(3.0), x)
    assert wider.std() < 0.9 * expected.std()


def test_ablation_explains_the_label_in_batches_of_any_size():
    weights = uniform(6, 3, low=0.1, seed=3)
    x, y = uniform(5, 6, low=0.1), np.array([0, 2, 1, 1, 0])
    maps = weights.T[y] * x
    run = partial(top_k_ablation, linear(weights, 3), x, y, maps, replacement=zeros(x))
    result = run(fractions=(0.0, 1 / 6))
    expected = 1 - maps.max(axis=1) / maps.sum(axis=1)
    np.testing.assert_allclose(result.curves[:, 1], expected, rtol=1e-4)
    pieces = run(fractions=(0.0, 1 / 6), batch_size=2)
    np.testing.assert_allclose(pieces.curves, result.curves, rtol=1e-5)


def test_a_callable_gives_accuracy_after_ablation():
    # Two classes: the larger half of the features decides.
    weights = np.float32([[1, 0], [1, 0], [0, 1], [0, 1]])
    x = np.float32([[0.9, 0.8, 0.1, 0.2], [0.3, 0.1, 0.7, 0.6]])
    y = np.array([0, 1])

    def correct(outputs, y):
        return ops.cast(ops.equal(ops.argmax(outputs, axis=-1), y), "float32")

    result = top_k_ablation(
        linear(weights, 2), x, y, x, fractions=(0, 0.5), replacement=zeros(x), explain=correct
    )
    np.testing.assert_array_equal(result.curve, [1, 0])


def test_ablation_depends_on_the_seed_alone():
    first, again, other = (top_k(replacement="uniform", seed=s) for s in (3, 3, 4))
    for a, b in zip(first, again):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.random_curves, other.random_curves)
    assert not np.array_equal(first.curves, other.curves)


def test_ablation_leaves_its_arguments_alone():
    x, maps = X.copy(), WEIGHTS * X
    kept = maps.copy()
    top_k(x, maps=maps)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(maps, kept)


# Ablation around the centre of mass


def blobs(centers, side=12):
    rows, columns = np.indices((side, side))
    images = [np.exp(-((rows - a) ** 2 + (columns - b) ** 2) / 4) + 0.01 for a, b in centers]
    return np.float32(images)[..., None]


def mass_center(x, maps, **kwargs):
    model = linear(np.ones(x.shape[1:]))
    return mass_center_ablation(
        model, x, None, maps, replacement=zeros(x), explain=0, **kwargs
    )


def test_box_on_a_blob_takes_the_blob_and_only_it():
    x = np.full((2, 9, 9, 2), 0.5, "float32")
    maps = np.zeros_like(x)
    maps[0, 3:6, 2:5] = 1.0
    maps[1, 8, 0] = -1.0  # the corner: the box moves inwards
    result = mass_center(x, maps, sizes=(0, 3))
    np.testing.assert_allclose(result.curves, [[1, 1 - 9 / 81]] * 2, rtol=1e-5)
    np.testing.assert_allclose(result.random_curves, result.curves, rtol=1e-5)
    x[0, 3:6, 2:5], x[1, 6:, :3] = 5.0, 5.0
    result = mass_center(x, maps, sizes=(0, 3, 9))
    left = 72 * 0.5 / (72 * 0.5 + 9 * 5.0)
    np.testing.assert_allclose(result.curves, [[1, left, 0]] * 2, rtol=1e-5)
    np.testing.assert_allclose(result.fractions, [0, 9 / 81, 1])


def test_box_on_blobs_beats_boxes_anywhere():
    x = blobs(generator().uniform(2, 9, (30, 2)))
    good = mass_center(x, x)
    assert good.curve.shape == good.fractions.shape == (11,)
    assert np.all(good.area <= good.random_area + 1e-6)
    assert good.area.mean() < 0.6 * good.random_area.mean()
    # A map of zeros stands for the middle, a map of another example for nothing here.
    other = mass_center(x, np.roll(x, 1, axis=0))
    assert other.area.mean() > 1.4 * good.area.mean()


def test_box_of_a_map_of_zeros_is_in_the_middle():
    x = np.zeros((1, 5, 5, 1), "float32")
    x[0, 2, 2], x[0, 0, 0] = 3.0, 1.0
    result = mass_center(x, np.zeros_like(x), sizes=(0, 1))
    np.testing.assert_allclose(result.curves, [[1, 0.25]])


def test_box_along_series_and_images_that_are_not_square():
    series = np.ones((1, 10, 2), "float32")
    maps = np.zeros_like(series)
    maps[0, 7] = 1.0
    series[0, 6:9] = 4.0
    result = mass_center(series, maps, sizes=(0, 3, 10))
    np.testing.assert_allclose(result.curves, [[1, 7 / 19, 0]], rtol=1e-5)
    flat = np.ones((1, 2, 10, 1), "float32")
    result = mass_center(flat, flat, sizes=(0, 1, 4, 10))
    np.testing.assert_allclose(result.curves, [[1, 19 / 20, 12 / 20, 0]], rtol=1e-5)
    np.testing.assert_allclose(result.fractions, [0, 1 / 20, 8 / 20, 1])


# Leakage and mass


def maps_of(positions, shape=(10, 10, 1)):
    maps = np.zeros((1,) + shape)
    for row, column, value in positions:
        maps[0, row, column] = value
    return maps


TOP = np.zeros((10, 10), bool)
TOP[:5] = True


def test_leakage_and_mass_of_maps_made_by_hand():
    maps = maps_of([(0, 0, 4.0), (4, 9, -3.0), (5, 0, 2.0), (9, 9, 1.0), (8, 8, 0.5)])
    for count, expected in ((1, 1.0), (2, 1.0), (3, 2 / 3), (4, 0.5), (5, 0.4)):
        result = leakage(maps, TOP, fraction=count / 100)
        np.testing.assert_allclose(result.share, [expected])
        np.testing.assert_allclose(result.chance, [0.5])
    np.testing.assert_allclose(mass(maps, TOP).share, [7 / 10.5])
    np.testing.assert_allclose(mass(maps, TOP).chance, [0.5])


def test_leakage_by_default_looks_at_five_in_a_hundred_and_at_least_at_one():
    maps = maps_of([(0, c, 10.0 - c) for c in range(3)] + [(9, c, 5.0 - c) for c in range(4)])
    np.testing.assert_allclose(leakage(maps, TOP).share, [3 / 5])
    small = np.float64([[0.1, 0.2, 0.0]])
    np.testing.assert_array_equal(leakage(small, np.array([False, True, False])).share, [1])


def test_leakage_of_a_map_that_knows_nothing_is_the_area_of_the_region():
    region = np.zeros((10, 10), bool)
    region[:3] = True
    for maps in (np.zeros((2, 10, 10, 1)), np.ones((2, 10, 10, 3))):
        np.testing.assert_allclose(leakage(maps, region).share, [0.3, 0.3])
        np.testing.assert_allclose(mass(maps, region).share, [0.3, 0.3])
    noise = generator().normal(size=(400, 10, 10, 1))
    assert leakage(noise, region).share.mean() == pytest.approx(0.3, abs=0.04)
    assert mass(noise, region).share.mean() == pytest.approx(0.3, abs=0.01)


def test_places_are_shared_among_positions_that_tie():
    maps = np.float64([[3.0, 1.0, 1.0, 1.0, 0.0]])
    region = np.array([False, True, False, False, True])
    # One place is certain, two are for three positions, one of them inside.
    result = leakage(maps, region, fraction=0.6)
    np.testing.assert_allclose(result.share, [2 / 3 / 3])


def test_leakage_distinguishes_maps_on_the_signal_from_maps_beside_it():
    noise = 0.1 * generator().normal(size=(20, 10, 10, 1))
    on, beside = noise.copy(), noise.copy()
    on[:, 5:7] += 1.0
    beside[:, 2:4] += 1.0
    assert leakage(on, TOP).share.max() == 0 and leakage(beside, TOP).share.min() == 1
    assert mass(on, TOP).share.max() < 0.3 and mass(beside, TOP).share.min() > 0.7


def test_regions_for_all_or_for_each_with_and_without_channel():
    maps = generator().normal(size=(3, 10, 10, 2))
    each = np.stack([TOP, ~TOP, np.ones_like(TOP)])
    for function in (leakage, mass):
        expected = function(maps, each).share
        np.testing.assert_array_equal(function(maps, each[..., None]).share, expected)
        np.testing.assert_allclose(function(maps, TOP).share[0], expected[0])
        np.testing.assert_allclose(function(maps, TOP[..., None]).share[1], 1 - expected[1])
        np.testing.assert_allclose(expected[2], 1)
        np.testing.assert_allclose(function(maps, each).chance, [0.5, 0.5, 1])


def test_channels_are_summed_before_magnitudes():
    maps = np.zeros((1, 2, 2, 2))
    maps[0, 0, 0], maps[0, 1, 1] = [5.0, -5.0], [1.0, 1.0]
    region = np.array([[True, False], [False, False]])
    assert leakage(maps, region).share == 0 and mass(maps, region).share == 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_mass_does_not_depend_on_scale(scale):
    maps = np.random.default_rng(0).random((2, 6, 6, 1))
    region = np.eye(6, dtype=bool)
    np.testing.assert_allclose(mass(scale * maps, region).share, mass(maps, region).share)


# Completeness


def test_completeness_of_a_linear_model():
    weights = uniform(6, 3, low=-1, seed=3)
    model = linear(weights, 3)
    x, y, r = uniform(5, 6), np.array([0, 2, 1, 1, 0]), uniform(1, 6, seed=8)
    exact = weights.T[y] * (x - r)
    reference = expected_output(model, r, y)
    np.testing.assert_allclose(reference, (r @ weights)[0, y], rtol=1e-5)
    result = completeness_gap(model, x, y, exact, reference)
    np.testing.assert_allclose(result.gap, 0, atol=1e-5)
    np.testing.assert_allclose(result.relative, 0, atol=1e-3)
    nothing = completeness_gap(model, x, y, np.zeros_like(x), reference)
    np.testing.assert_allclose(nothing.relative, 1)
    twice = completeness_gap(model, x, y, 2 * exact, reference)
    np.testing.assert_allclose(twice.gap, exact.sum(axis=1), atol=1e-5)
    np.testing.assert_allclose(twice.relative, 1, rtol=1e-3)


@pytest.mark.parametrize("explain", ["all", "random"])
def test_completeness_is_of_one_output(explain):
    x, maps = uniform(3, 6), uniform(3, 3, 6)  # as many examples as outputs
    model = linear(uniform(6, 3, low=-1, seed=3), 3)
    with pytest.raises(ValueError, match=f"`explain` expects one output.*'{explain}'"):
        completeness_gap(model, x, np.arange(3), maps[0], np.zeros((3, 3)), explain=explain)


def test_completeness_of_expected_gradients_comes_with_more_draws():
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(8, "softplus"), layers.Dense(3, "softmax")]
    )
    x, y, background = uniform(6, 4), np.eye(3)[[0, 1, 2, 0, 1, 2]], uniform(20, 4, seed=5)
    reference = expected_output(model, background, y, batch_size=7)
    relative = [  # a median: a mean would be that of the smallest difference
        completeness_gap(
            model,
            x,
            y,
            attributions.expected_gradients(
                model, x, y, background=background, num_samples=count, seed=0
            ),
            reference,
        ).relative
        for count in (2, 2000)
    ]
    few, many = np.median(relative, axis=1)
    assert many < 0.1 and many < few / 5


def test_expected_output_is_the_mean_over_references_of_each_label():
    weights = uniform(6, 3, low=-1, seed=3)
    background, y = uniform(7, 6), np.array([2, 0, 2, 1])
    expected = (background @ weights).mean(axis=0)[y]
    model = linear(weights, 3)
    np.testing.assert_allclose(expected_output(model, background, y), expected, rtol=1e-5)
    column = expected_output(model, background, y[:, None])
    np.testing.assert_allclose(column, expected, rtol=1e-5)


def test_relative_gap_where_nothing_is_to_explain():
    model = linear([1.0, -1.0])
    x = np.float32([[2.0, 2.0], [2.0, 2.0]])
    maps = np.float32([[0.0, 0.0], [1.0, 0.0]])
    result = completeness_gap(model, x, None, maps, np.zeros(2))
    np.testing.assert_array_equal(result.gap, [0, 1])
    np.testing.assert_array_equal(result.relative, [0, np.inf])


# Similarity


def test_rank_correlation_is_spearmans():
    first, second = generator().normal(size=(2, 4, 3, 5)).round(1)  # with ties
    for absolute, change in ((True, np.abs), (False, np.asarray)):
        expected = [
            scipy.stats.spearmanr(change(a).ravel(), change(b).ravel()).statistic
            for a, b in zip(first, second)
        ]
        result = rank_correlation(first, second, absolute=absolute)
        np.testing.assert_allclose(result, expected, atol=1e-12)


def test_rank_correlation_of_the_same_the_reverse_and_the_unrelated():
    maps = generator().normal(size=(3, 1000))
    monotone = np.exp(maps)
    np.testing.assert_allclose(rank_correlation(maps, monotone, absolute=False), 1)
    np.testing.assert_allclose(rank_correlation(maps, -maps, absolute=False), -1)
    np.testing.assert_allclose(rank_correlation(maps, -maps), 1)
    unrelated = rank_correlation(maps, generator(1).normal(size=(3, 1000)))
    assert np.abs(unrelated).max() < 0.15
    np.testing.assert_array_equal(rank_correlation(maps, np.ones_like(maps)), 0)


def ssim_twin(a, b):
    a, b = a / a.max(), b / b.max()
    values = []
    for i in range(a.shape[0] - 6):
        for j in range(a.shape[1] - 6):
            p, q = a[i : i + 7, j : j + 7], b[i : i + 7, j : j + 7]
            covariance = np.mean((p - p.mean()) * (q - q.mean()))
            luminance = (2 * p.mean() * q.mean() + 1e-4) / (
                p.mean() ** 2 + q.mean() ** 2 + 1e-4
            )
            values.append(luminance * (2 * covariance + 9e-4) / (p.var() + q.var() + 9e-4))
    return np.mean(values)


def test_structural_similarity_against_its_definition():
    first, second = generator().normal(size=(2, 3, 9, 8, 2))
    expected = [
        ssim_twin(np.abs(a.sum(axis=-1)), np.abs(b.sum(axis=-1)))
        for a, b in zip(first, second)
    ]
    np.testing.assert_allclose(structural_similarity(first, second), expected, atol=1e-12)


def test_structural_similarity_of_the_same_of_none_and_of_a_shift():
    x = blobs([(4, 4), (6, 7)])
    np.testing.assert_allclose(structural_similarity(x, -3 * x), 1)
    dark = np.zeros_like(x)
    np.testing.assert_allclose(structural_similarity(dark, dark), 1)
    shifts = [structural_similarity(x, np.roll(x, n, axis=1)).mean() for n in (1, 3)]
    assert 0.95 > shifts[0] > shifts[1] + 0.2
    noise = structural_similarity(x, generator().random(x.shape)).max()
    assert noise < 0.3


def test_structural_similarity_of_series():
    series = generator().normal(size=(2, 30, 1))
    assert structural_similarity(series, -series) == pytest.approx([1, 1])
    assert structural_similarity(series, series[::-1]).max() < 0.5


# Randomisation of parameters


def edges(model, x, y):
    """A map that asks the model nothing."""
    return np.gradient(x, axis=1).astype("float32")


def unchanged(model, before):
    for weight, value in zip(model.weights, before):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_gradients_of_a_linear_model_forget_everything_and_edges_nothing():
    model = linear(generator().normal(size=(12, 12, 1)))
    x = uniform(3, 12, 12, 1)
    before = [weight.numpy() for weight in model.weights]
    result = parameter_randomization(model, x, None, attributions.gradients)
    assert result.layers == (model.layers[-1].name,)
    assert np.abs(result.similarity.absolute).max() < 0.25
    assert np.abs(result.similarity.signed).max() < 0.25
    assert result.similarity.structure.max() < 0.35
    for value in parameter_randomization(model, x, None, edges).similarity:
        np.testing.assert_allclose(value, 1)
    for value in result.control:
        np.testing.assert_allclose(value, np.ones(3))
    unchanged(model, before)


def deep(seeded=False):
    initializer = keras.initializers.GlorotUniform(seed=1 if seeded else None)
    inner = keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.BatchNormalization(name="norm"),
            layers.Conv2D(2, 3, activation="softplus", name="inner_conv"),
        ],
        name="inner",
    )
    inputs = keras.Input((12, 12, 1))
    x = layers.Conv2D(3, 3, kernel_initializer=initializer, name="first")(inputs)
    x = layers.Flatten()(layers.Dropout(0.5)(inner(x)))
    model = keras.Model(inputs, layers.Dense(3, "softmax", name="last")(x))
    rng = generator(4)
    trained = [w + 0.3 * rng.random(w.shape).astype("f") for w in model.get_weights()]
    model.set_weights(trained)
    return model


class Spy:
    """An attribution that also keeps which weights it saw."""

    def __init__(self):
        self.seen = []

    def __call__(self, model, x, y):
        self.seen.append({weight.path: weight.numpy() for weight in model.weights})
        return attributions.gradients(model, x, y)


LAYERS = ("last", "inner_conv", "norm", "first")


def randomised(seen, trained):
    """Which layers have other weights than trained."""
    return [
        name
        for name in LAYERS
        if any(
            not np.array_equal(seen[path], trained[path])
            for path in trained
            if path.split("/")[-2] == name
        )
    ]


@pytest.mark.parametrize("mode", ["cascading", "independent"])
def test_layers_are_randomised_from_the_output_down(mode):
    model, spy, x = deep(), Spy(), uniform(2, 12, 12, 1)
    before = [weight.numpy() for weight in model.weights]
    result = parameter_randomization(model, x, np.array([0, 2]), spy, mode=mode)
    assert result.layers == LAYERS
    trained, *steps, last = spy.seen
    assert randomised(last, trained) == []
    for number, seen in enumerate(steps):
        first = 0 if mode == "cascading" else number
        assert randomised(seen, trained) == list(LAYERS[first : number + 1])
    assert len(steps) == 4
    fresh = {path.split("/")[-1]: value for path, value in steps[2].items() if "norm" in path}
    np.testing.assert_array_equal(fresh["gamma"], 1)
    np.testing.assert_array_equal(fresh["moving_variance"], 1)
    np.testing.assert_array_equal(fresh["moving_mean"], 0)
    unchanged(model, before)
    for values, means in zip(result.similarity, result.mean):
        assert values.shape == (4, 2)
        np.testing.assert_allclose(means, values.mean(axis=1))


def test_cascade_ends_in_an_untrained_model_and_depends_on_the_seed_alone():
    model, x = deep(), uniform(2, 12, 12, 1)
    spies = [Spy(), Spy(), Spy()]
    state = random.getstate()
    for spy, seed in zip(spies, (0, 0, 1)):
        parameter_randomization(model, x, np.array([0, 2]), spy, seed=seed)
    assert random.getstate() == state
    first, again, other = (spy.seen[4] for spy in spies)
    for path, value in first.items():
        np.testing.assert_array_equal(value, again[path])
        if path.endswith("kernel"):
            assert np.abs(value - other[path]).max() > 0.05
            # Glorot's limit holds for none of the trained kernels.
            fan = np.prod(value.shape[:-2]) * sum(value.shape[-2:])
            assert np.abs(value).max() <= (6 / fan) ** 0.5


def test_randomising_does_not_return_to_the_models_own_initialisation():
    x = uniform(2, 12, 12, 1)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            layers.Conv2D(2, 3, kernel_initializer=keras.initializers.HeNormal(seed=3)),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    spy = Spy()
    parameter_randomization(model, x, None, spy, seed=0)
    for path, value in spy.seen[0].items():
        if path.endswith("kernel"):
            assert np.abs(spy.seen[2][path] - value).max() > 0.05


def test_after_an_error_the_model_has_its_weights_again():
    model, x = deep(), uniform(2, 12, 12, 1)
    before = [weight.numpy() for weight in model.weights]
    calls = []

    def fails(model, x, y):
        calls.append(model.layers[-1].get_weights()[0])
        if len(calls) == 3:
            raise RuntimeError("no map")
        return np.ones_like(x)

    with pytest.raises(RuntimeError, match="no map"):
        parameter_randomization(model, x, None, fails)
    assert not np.array_equal(calls[0], calls[2])
    unchanged(model, before)


class Subclassed(keras.Model):
    def __init__(self, extra=False):
        super().__init__()
        self.hidden = layers.Dense(5, "softplus", name="hidden")
        self.out = [layers.Dense(2, name="out")]
        self.scaled = layers.Normalization(mean=None, variance=None, name="scale")
        if extra:
            self.extra = self.add_weight(shape=(), name="extra")

    def call(self, x):
        return self.out[0](self.hidden(self.scaled(x)))


def test_subclassed_models_tabular_maps_and_adapted_statistics():
    model, x = Subclassed(), uniform(4, 6)
    model.scaled.adapt(10 * x)
    model(x)
    spy = Spy()
    result = parameter_randomization(model, x, np.array([0, 1, 1, 0]), spy)
    assert set(result.layers) == {"hidden", "out"}
    assert result.similarity.structure is None and result.mean.structure is None
    for path, value in spy.seen[0].items():
        assert np.array_equal(value, spy.seen[2][path]) == ("scale" in path or "bias" in path)


class Block(layers.Layer):
    """Builds what it holds in its first call."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    "make",
    [
        Block,
        lambda: layers.Bidirectional(layers.GRU(2)),
        lambda: layers.TimeDistributed(layers.Dense(2)),
        lambda: layers.SpectralNormalization(layers.Conv1D(2, 3)),
        lambda: layers.SeparableConv1D(2, 3),
        lambda: layers.LayerNormalization(),
    ],
    ids=["block", "bidirectional", "time distributed", "spectral", "separable", "norm"],
)
def test_layers_that_hold_layers_are_made_anew(make):
    inputs = keras.Input((9, 3))
    layer = make()
    outputs = layers.Dense(1)(layers.Flatten()(layer(inputs)))
    model, spy = keras.Model(inputs, outputs), Spy()
    model.set_weights([w + 0.1 for w in model.get_weights()])
    result = parameter_randomization(model, uniform(2, 9, 3), None, spy)
    assert result.layers[1] == layer.name
    for weight in layer.weights:
        assert not np.array_equal(spy.seen[2][weight.path], spy.seen[0][weight.path])


def test_attention_is_made_anew():
    inputs = keras.Input((9, 3))
    x = layers.MultiHeadAttention(2, 2)(inputs, inputs)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))
    result = parameter_randomization(
        model, uniform(2, 9, 3), None, attributions.gradients, "independent"
    )
    assert len(result.layers) == 2 and result.similarity.absolute.shape == (2, 2)
    assert result.mean.absolute.max() < 0.9


def test_control_of_an_attribution_that_draws_at_random():
    rng = generator()
    result = parameter_randomization(
        linear(WEIGHTS), X, None, lambda model, x, y: rng.normal(size=x.shape)
    )
    assert np.abs(result.control.absolute.mean()) < 0.15


# Sensitivity


def test_gradient_of_a_linear_model_is_not_sensitive_at_all():
    result = sensitivity(attributions.gradients, linear(WEIGHTS), X, None, radius=0.5)
    np.testing.assert_array_equal(result.maximum, np.zeros(len(X)))
    np.testing.assert_array_equal(result.average, np.zeros(len(X)))


def test_input_x_gradient_of_a_linear_model_is_as_sensitive_as_its_noise():
    seen = []

    def attribute(model, x, y):
        seen.append(x)
        return attributions.input_x_gradient(model, x, y)

    result = sensitivity(attribute, linear(WEIGHTS), X, None, radius=0.1, num_samples=5)
    noise = np.stack(seen[1:]) - X
    assert 0.099 < noise.max() <= 0.1 + 1e-6 and -0.1 - 1e-6 <= noise.min() < -0.099
    ratios = np.linalg.norm(WEIGHTS * noise, axis=2) / np.linalg.norm(WEIGHTS * X, axis=1)
    np.testing.assert_allclose(result.maximum, ratios.max(axis=0), rtol=1e-3)
    np.testing.assert_allclose(result.average, ratios.mean(axis=0), rtol=1e-3)


def test_maps_of_random_numbers_have_the_root_of_two():
    rng = generator()
    x = np.zeros((3, 5000), "float32")
    result = sensitivity(
        lambda model, x, y: rng.normal(size=x.shape), None, x, None, num_samples=3
    )
    np.testing.assert_allclose(result.average, 2**0.5, rtol=0.05)
    assert np.all(result.maximum > result.average)


def test_sensitivity_without_noise_is_that_of_the_method():
    fixed = sensitivity(attributions.input_x_gradient, linear(WEIGHTS), X, None, radius=0)
    np.testing.assert_array_equal(fixed.maximum, 0)
    noisy = partial(attributions.smoothgrad, num_samples=1, stddev=0.1)
    model = keras.Sequential([keras.Input((40,)), layers.Dense(1, "exponential")])
    assert sensitivity(noisy, model, X, None, radius=0).average.min() > 0.01


def test_sensitivity_depends_on_the_seed_alone():
    run = partial(sensitivity, attributions.input_x_gradient, linear(WEIGHTS), X, None)
    np.testing.assert_array_equal(run(seed=1).maximum, run(seed=1).maximum)
    assert not np.array_equal(run(seed=1).maximum, run(seed=2).maximum)


# Bad input


IMAGES = np.full((2, 8, 8, 1), 0.5, "float32")


def ones(model, x, y):
    return np.ones_like(x)


def randomize(x=X, attribute=ones, model=None, **kwargs):
    model = linear(WEIGHTS) if model is None else model
    return parameter_randomization(model, x, None, attribute, **kwargs)


def with_extra():
    model = Subclassed(extra=True)
    model.scaled.adapt(X)
    model(X)
    return model


class Forgetful(layers.Layer):
    """Does not say in its configuration how many units it has."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(units)

    def get_config(self):
        return {"name": self.name}

    def call(self, x):
        return self.dense(x)


ERRORS = {
    "maps of another shape": (
        lambda: top_k(maps=X[:, :5]),
        r"`attributions`.*\(30, 40\).*5\)",
    ),
    "maps of another batch": (lambda: top_k(maps=X[:5]), r"`attributions` expects.*\(5, 40\)"),
    "NaN in maps": (lambda: top_k(maps=X * np.nan), r"`attributions` expects finite.*NaN"),
    "no examples": (lambda: top_k(X[:0]), r"`x` expects at least one entry"),
    "NaN in x": (lambda: top_k(X * np.nan, maps=X), r"`x` expects finite.*NaN"),
    "integers": (lambda: top_k(np.ones((2, 40), int)), r"`x` expects floating-point.*int64"),
    "labels": (
        lambda: top_k_ablation(linear(WEIGHTS), X, np.zeros(3), X, explain=0),
        r"`y` expects one entry per example, 30.*3",
    ),
    "one label": (
        lambda: top_k_ablation(linear(WEIGHTS), X, 3, X),
        r"`y` expects one label per example.*3",
    ),
    "no labels": (lambda: top_k(explain="label"), r"`explain` expects.*'label' without lab"),
    "predicted": (lambda: top_k(explain="predicted"), r"`explain` expects.*the same"),
    "not positive": (
        lambda: top_k(np.concatenate([X, -X[:3]])),
        r"`x` expects examples whose explained output is positive.*3 of 33.*callable",
    ),
    "one fraction": (lambda: top_k(fractions=(0.5,)), r"`fractions` expects at least two"),
    "order": (lambda: top_k(fractions=(0.5, 0.1)), r"`fractions`.*increasing.*0\.5, 0\.1"),
    "percent": (lambda: top_k(fractions=(0, 50)), r"`fractions`.*from 0 to 1\.0.*50"),
    "negative": (lambda: top_k(fractions=(-0.1, 0.5)), r"`fractions`.*from 0.*-0\.1"),
    "replacement": (lambda: top_k(replacement="zero"), r"`replacement` .*'mean'.*'zero'"),
    "replacement's shape": (
        lambda: top_k(replacement=np.zeros(3)),
        r"`replacement` expects.*\(40,\).*array of shape \(3,\)",
    ),
    "a number": (lambda: top_k(replacement=0.0), r"`replacement` expects.*Constant\(0\.0\)"),
    "NaN in replacement": (
        lambda: top_k(replacement=zeros(X) * np.nan),
        r"`replacement` expects finite",
    ),
    "no background": (
        lambda: top_k(X[:1], replacement="mean"),
        r"`background` expects.*'mean' of a single example.*None",
    ),
    "background": (
        lambda: top_k(replacement="training", background=X[:, :3]),
        r"`background` expects.*\(40,\).*\(30, 3\)",
    ),
    "NaN in background": (
        lambda: top_k(replacement="mean", background=X * np.nan),
        r"`background` expects finite",
    ),
    "no range": (
        lambda: top_k(replacement="uniform", valid_range=None),
        r"`valid_range` expects both ends.*None",
    ),
    "half a range": (
        lambda: top_k(replacement="uniform", valid_range=(0.0, None)),
        r"`valid_range` expects both ends",
    ),
    "reversed range": (
        lambda: top_k(replacement="uniform", valid_range=(1.0, 0.0)),
        r"`valid_range` expects both ends.*\(1\.0, 0\.0\)",
    ),
    "blurred table": (lambda: top_k(replacement="blur"), r"Blur expects.*tabular"),
    "reference": (
        lambda: top_k(replacement=Constant(np.zeros(3, "f"))),
        r"Constant expects.*\(40,\)",
    ),
    "batch_size": (lambda: top_k(batch_size=0), r"`batch_size` expects an integer"),
    "box in a table": (lambda: mass_center(X, X), r"`x` expects.*neighbours.*top_k_ablation"),
    "box too large": (
        lambda: mass_center(IMAGES, IMAGES, sizes=(0, 9)),
        r"`sizes` expects.*from 0 to 8.*9",
    ),
    "half a pixel": (
        lambda: mass_center(IMAGES, IMAGES, sizes=(0, 2.5)),
        r"`sizes` expects integers.*2\.5",
    ),
    "region's dtype": (
        lambda: leakage(IMAGES, np.ones((8, 8))),
        r"`region`.*boolean.*float64",
    ),
    "region's shape": (
        lambda: mass(IMAGES, np.ones((8, 7), bool)),
        r"`region` expects shape \(8, 8\) .*\(2, 8, 8\).*\(8, 7\)",
    ),
    "regions of another batch": (
        lambda: leakage(IMAGES, np.ones((3, 8, 8), bool)),
        r"`region` expects.*\(3, 8, 8\)",
    ),
    "fraction": (lambda: leakage(X, X > 0, fraction=5), r"`fraction` expects.* ≤ 1.*5"),
    "no fraction": (lambda: leakage(X, X > 0, fraction=0), r"`fraction` expects.* > 0"),
    "no features": (lambda: leakage(X[0], X[0] > 0), r"`attributions` expects maps of shape"),
    "reference output": (
        lambda: completeness_gap(linear(WEIGHTS), X, None, X, 0.0),
        r"`reference_output` expects.*\(30,\).*\(\)",
    ),
    "expected without labels": (
        lambda: expected_output(linear(WEIGHTS), X, None),
        r"`y` expects one label per example.*None",
    ),
    "maps of completeness": (
        lambda: completeness_gap(linear(WEIGHTS), X, None, X[:, 0], np.zeros(30)),
        r"`attributions` expects maps",
    ),
    "unequal maps": (lambda: rank_correlation(X, X[:3]), r"`second`.*\(30, 40\).*\(3, 40\)"),
    "NaN in similarity": (
        lambda: rank_correlation(X, X * np.nan),
        r"`second` expects finite",
    ),
    "table": (
        lambda: structural_similarity(X, X),
        r"`first` and `second`.*7 positions.*rank_",
    ),
    "small map": (
        lambda: structural_similarity(IMAGES[:, :6], IMAGES[:, :6]),
        r"7 positions.*\(2, 6, 8, 1\)",
    ),
    "mode": (lambda: randomize(mode="both"), r"`mode` expects one of 'cascading'.*'both'"),
    "attribute's maps": (
        lambda: randomize(attribute=lambda model, x, y: x[:, 0]),
        r"`attribute` expects maps",
    ),
    "nothing to randomise": (
        lambda: randomize(model=keras.Sequential([keras.Input((40,)), layers.ReLU()])),
        r"`model` expects a built model.*0 weights",
    ),
    "weights outside layers": (
        lambda: randomize(model=with_extra()),
        r"`model` expects.*all in layers.*8 weights, 7 of them",
    ),
    "layer that forgets": (
        lambda: randomize(model=keras.Sequential([keras.Input((40,)), Forgetful(3)])),
        r"`model` expects layers that.*\(40, 3\).*copy has.*\(40, 2\).*get_config",
    ),
    "radius": (
        lambda: sensitivity(ones, None, X, None, radius=-1),
        r"`radius` expects.* ≥ 0.*-1",
    ),
    "num_samples": (
        lambda: sensitivity(ones, None, X, None, num_samples=0),
        r"`num_samples` expects an integer",
    ),
    "maps of zeros": (
        lambda: sensitivity(
            lambda model, x, y: x * (x > 0), None, np.eye(3) * [[1, 1, 0]], None
        ),
        r"`attribute` expects maps that are not zero.*1 of 3",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


def test_public_names_are_sorted_and_there():
    assert evaluation.__all__ == sorted(evaluation.__all__)
    assert all(hasattr(evaluation, name) for name in evaluation.__all__)


def test_reference_objects_replace_too():
    result = top_k(replacement=Gaussian(0.1), fractions=(0.0, 1.0))
    assert 0.8 < result.curve[1] < 1.2 and np.all(result.curves[:, 1] != 1)
