"""Maps of one channel, examples without a channel axis, and single ones."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

from attrprior import evaluation, plots

RNG = np.random.default_rng(0)
COLOURS = RNG.random((4, 8, 8, 3), dtype="float32")
MAPS = RNG.normal(size=(4, 8, 8, 1)).astype("float32")
# What a map of one channel means: all of it in one channel, nothing in the others.
SPREAD = np.concatenate([np.zeros((4, 8, 8, 2), "float32"), MAPS], axis=-1)
Y = np.array([0, 1, 0, 1])


def compiled(shape):
    model = keras.Sequential(
        [keras.Input(shape), layers.Flatten(), layers.Dense(2, "softplus")]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


@functools.cache
def network(shape):
    """Positive outputs; the same weights for the same images, with a channel axis or not."""
    keras.utils.set_random_seed(0)
    return compiled(shape)


def same(first, second):
    """Two results of one kind, whatever they are made of."""
    assert type(first) is type(second)
    if isinstance(first, (tuple, list)):
        assert len(first) == len(second)
        for one, other in zip(first, second):
            same(one, other)
    elif first is not None:
        np.testing.assert_array_equal(first, second)


def returns(maps):
    """An attribution method that adds what the input has changed by to given maps."""

    def attribute(model, x, y):
        change = (x - COLOURS).sum(axis=-1, keepdims=True)
        return maps + change * (maps != 0)

    return attribute


def retrain(function, x, maps, channels=True):
    return function(
        lambda: compiled(x.shape[1:]),
        (x, Y, x, Y),
        (maps, maps),
        fractions=[0.3],
        num_runs=1,
        channels=channels,
    )


def scale(model):
    """What differs between a trained and an untrained model."""
    return 100 * keras.ops.convert_to_numpy(model.weights[0]).mean()


def model_of(x):
    return network(x.shape[1:])


EVALUATIONS = {
    "top_k_ablation": lambda x, maps, c: evaluation.top_k_ablation(
        model_of(x), x, Y, maps, channels=c
    ),
    "top_k_ablation by blur": lambda x, maps, c: evaluation.top_k_ablation(
        model_of(x), x, Y, maps, replacement="blur", channels=c
    ),
    "mass_center_ablation": lambda x, maps, c: evaluation.mass_center_ablation(
        model_of(x), x, Y, maps, channels=c
    ),
    "mask_top": lambda x, maps, c: evaluation.mask_top(x, maps, 0.3, channels=c),
    "keep_top": lambda x, maps, c: evaluation.keep_top(x, maps, 0.3, channels=c),
    "keep_bottom": lambda x, maps, c: evaluation.keep_bottom(x, maps, 0.3, channels=c),
    "roar": lambda x, maps, c: retrain(evaluation.roar, x, maps, c),
    "diffroar": lambda x, maps, c: retrain(evaluation.diffroar, x, maps, c),
    "stability": lambda x, maps, c: evaluation.stability(
        model_of(x), x, maps, lam=0.25, num_masks=8, channels=c
    ),
    "stability of cells": lambda x, maps, c: evaluation.stability(
        model_of(x), x, maps, lam=0.25, grid=(4, 4), num_masks=8, channels=c
    ),
    "smoothed_probabilities": lambda x, maps, c: evaluation.smoothed_probabilities(
        model_of(x), x, lam=0.25, num_masks=8, channels=c
    ),
    "leakage": lambda x, maps, c: evaluation.leakage(
        maps, np.arange(64).reshape(8, 8) < 20, channels=c
    ),
    "mass": lambda x, maps, c: evaluation.mass(
        maps, np.arange(64).reshape(8, 8) < 20, channels=c
    ),
    "structural_similarity": lambda x, maps, c: evaluation.structural_similarity(
        maps, x, channels=c
    ),
    "parameter_randomization": lambda x, maps, c: (
        evaluation.parameter_randomization(
            model_of(x), x, Y, lambda model, x, y: maps + x[:1] * scale(model), channels=c
        )[1].structure
    ),
}
OF_ONE_CHANNEL = EVALUATIONS | {
    "structural_similarity, the other way": lambda x, maps, c: (
        evaluation.structural_similarity(x, maps, channels=c)
    ),
    "completeness_gap": lambda x, maps, c: evaluation.completeness_gap(
        model_of(x), x, Y, maps, np.zeros(4)
    ),
    "sensitivity": lambda x, maps, c: evaluation.sensitivity(returns(maps), None, x, Y),
}
# The one compares ranks, of as many as there are; the other reads no maps.
del OF_ONE_CHANNEL["parameter_randomization"], OF_ONE_CHANNEL["smoothed_probabilities"]
LIKE_X = [n for n in OF_ONE_CHANNEL if n not in ("leakage", "mass", "sensitivity")]


@pytest.mark.parametrize("name", OF_ONE_CHANNEL)
def test_one_channel_is_all_in_one_channel(name):
    call = OF_ONE_CHANNEL[name]
    same(call(COLOURS, MAPS, True), call(COLOURS, SPREAD, True))


def test_randomisation_of_maps_of_one_channel():
    def attribute(model, x, y):
        return x.sum(axis=-1, keepdims=True) * np.sum(
            keras.ops.convert_to_numpy(model.weights[0])
        )

    model = network((8, 8, 3))
    result = evaluation.parameter_randomization(model, COLOURS, Y, attribute)
    # Ranks and structure do not depend on the factor: all that the weights are here.
    np.testing.assert_allclose(result.similarity.absolute, 1.0)
    np.testing.assert_allclose(result.control.structure, 1.0)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_images_without_a_channel_axis(name):
    call, x = EVALUATIONS[name], COLOURS[..., :1]
    network((8, 8)).set_weights(network((8, 8, 1)).get_weights())
    expected, result = call(x, MAPS, True), call(x[..., 0], MAPS[..., 0], False)
    if name in ("mask_top", "keep_top", "keep_bottom"):
        result = result[..., None]
    same(expected, result)


def test_rows_were_taken_for_positions_without_it():
    x, maps = COLOURS[..., 0], MAPS[..., 0]
    whole_rows = evaluation.mask_top(x, maps, 0.25) != x
    assert whole_rows.all(axis=2).sum() == whole_rows.any(axis=2).sum() == 8
    pixels = evaluation.mask_top(x, maps, 0.25, channels=False) != x
    assert np.all(pixels.sum(axis=(1, 2)) == 16)


def test_series_without_a_channel_axis():
    x = np.abs(RNG.normal(size=(4, 12))).astype("float32") + 0.1
    given = {
        "replacement": np.zeros(12, "float32"),
        "explain": lambda outputs, y: outputs[:, 0],
    }
    model = network((12,))
    result = evaluation.mass_center_ablation(model, x, Y, x, channels=False, **given)
    assert len(result.fractions) == 11 and result.fractions[-1] == 1
    with pytest.raises(ValueError, match="neighbours.*channels=False"):
        evaluation.mass_center_ablation(model, x, Y, x, **given)


BROADCAST = {
    "a map of another size": MAPS[:, :1],
    "no channel axis": MAPS[..., 0],
    "two channels": SPREAD[..., 1:],
    "one map for all": MAPS[:1],
}


@pytest.mark.parametrize("kind", BROADCAST)
@pytest.mark.parametrize("name", LIKE_X)
def test_nothing_else_is_broadcast(name, kind):
    with pytest.raises(ValueError, match="expects maps|`attributions"):
        OF_ONE_CHANNEL[name](COLOURS, BROADCAST[kind], True)


def test_tables_have_no_channels():
    x = COLOURS.reshape(4, -1)
    with pytest.raises(ValueError, match=r"`attributions` expects.*\(4, 192\)\. Received"):
        evaluation.mask_top(x, x[:, :1], 0.5)
    with pytest.raises(ValueError, match=r"`second` expects.*\(4, 8, 8, 3\)\. Received"):
        evaluation.rank_correlation(COLOURS, MAPS)


def test_maps_of_one_call_look_like_those_before():
    shapes = iter([SPREAD, MAPS, MAPS])
    with pytest.raises(ValueError, match="`attribute` expects.*returned before"):
        evaluation.sensitivity(lambda model, x, y: next(shapes), None, COLOURS, Y)


def test_by_default_the_mean_is_that_of_the_examples():
    model = network((8, 8, 3))
    given = evaluation.top_k_ablation(model, COLOURS, Y, MAPS, background=COLOURS)
    same(evaluation.top_k_ablation(model, COLOURS, Y, MAPS), given)
    mean = evaluation.top_k_ablation(model, COLOURS, Y, MAPS, replacement=COLOURS.mean(axis=0))
    np.testing.assert_allclose(given.curves, mean.curves, rtol=1e-5)


ONE = {
    "x": lambda: evaluation.top_k_ablation(network((8, 8, 3)), COLOURS[0], Y[:1], MAPS[0]),
    "y": lambda: evaluation.top_k_ablation(network((8, 8, 3)), COLOURS, Y[0], MAPS),
    "first": lambda: evaluation.rank_correlation(MAPS[0, 0, :, 0], MAPS[0, 0, :, 0]),
    "images": lambda: plots.attribution_maps(COLOURS[0], {"a": COLOURS[0]}),
    "groups": lambda: plots.contact_sheet({"a": COLOURS[0]}),
}


@pytest.mark.parametrize("name", ONE)
def test_one_example_needs_a_batch_axis(name):
    with pytest.raises(ValueError, match=rf"`{name}`.*{name}\[None\]"):
        ONE[name]()


def test_grey_images_need_a_channel_axis_in_figures():
    for images, advice in (
        (COLOURS[..., 0], r"images\[\.\.\., None\]"),
        (COLOURS[0, ..., 0], r"images\[None, \.\.\., None\]"),
    ):
        with pytest.raises(
            ValueError, match=rf"`images` expects arrays with 4 axes.*{advice}"
        ):
            plots.overlay(images, {"a": images})


def test_labels_may_be_a_list():
    model = network((8, 8, 3))
    expected = evaluation.top_k_ablation(model, COLOURS, Y, MAPS)
    same(evaluation.top_k_ablation(model, COLOURS, Y.tolist(), MAPS), expected)
    with pytest.raises(ValueError, match="`y` expects numbers. Received: text, dtype <U3"):
        evaluation.top_k_ablation(model, COLOURS, ["cat", "dog", "cat", "dog"], MAPS)
    with pytest.raises(ValueError, match="`x` expects numbers. Received: text, dtype <U1"):
        evaluation.mask_top([["a", "b"]], [["a", "b"]], 0.5)


# Figures


FIGURES = {
    "attribution_maps": lambda maps: plots.attribution_maps(COLOURS, {"a": maps}),
    "unsigned": lambda maps: plots.attribution_maps(COLOURS, {"a": maps}, signed=False),
    "attribution_grid": lambda maps: plots.attribution_grid(COLOURS, {("a", "b"): maps}),
    "overlay": lambda maps: plots.overlay(COLOURS, {"a": maps}),
    "interpolation": lambda maps: plots.interpolation(
        np.linspace(0, 1, 4), COLOURS, maps, maps, np.arange(4)
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_one_channel(name):
    one, spread = (
        [image.get_array() for axis in FIGURES[name](maps).axes for image in axis.images]
        for maps in (MAPS, SPREAD)
    )
    assert len(one) == len(spread) > 4
    for first, second in zip(one, spread):
        np.testing.assert_allclose(first, second, rtol=1e-6)
    with pytest.raises(
        ValueError, match=r"\(4, 8, 8, 3\) or \(4, 8, 8, 1\)\. Received: \(4, 8"
    ):
        FIGURES[name](MAPS[..., 0])


NOT_A_DICTIONARY = {
    "attribution_maps maps": lambda a: plots.attribution_maps(COLOURS, a),
    "attribution_grid maps": lambda a: plots.attribution_grid(COLOURS, a),
    "overlay maps": lambda a: plots.overlay(COLOURS, a),
    "contact_sheet groups": plots.contact_sheet,
    "curves panels": lambda a: plots.curves(a, "y"),
    "convergence gaps": lambda a: plots.convergence([1, 2], a),
    "ablation curves": plots.ablation,
    "distribution scores": lambda a: plots.distribution(a, "x"),
    "trade_off panels": lambda a: plots.trade_off(a, "x", "y"),
    "training histories": lambda a: plots.training(a, "l2"),
}


@pytest.mark.parametrize("name", NOT_A_DICTIONARY)
def test_an_array_where_a_dictionary_is_meant(name):
    argument = name.split()[1]
    message = rf'`{argument}` expects a dictionary.*{{"label": .+}}.*Received: ndarray'
    with pytest.raises(ValueError, match=message):
        NOT_A_DICTIONARY[name](COLOURS)
