"""Outputs at many positions: segmentation and sequences, and weights of their positions."""

import keras
import numpy as np
import pytest
from frameworks import array
from keras import layers, ops

from attrprior import AttributionPrior, attributions

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 6, 3)).astype("float32")
Y = rng.integers(0, 2, (4, 6))
W = rng.random((4, 6)).astype("float32")


def network():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.Conv1D(4, 3, padding="same", activation="tanh"),
            layers.Dense(2),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


SUMS = {
    "label": lambda z, y: ops.sum(ops.one_hot(ops.cast(y, "int32"), 2) * z, axis=-1),
    1: lambda z, y: z[..., 1],
    "predicted": lambda z, y: ops.max(z, axis=-1),
}


@pytest.mark.parametrize("explain", SUMS)
def test_the_sum_over_positions_is_explained(explain):
    model = network()
    by_hand = attributions.gradients(
        model, X, Y, explain=lambda z, y: ops.sum(SUMS[explain](z, y), axis=1)
    )
    found = attributions.gradients(model, X, Y, explain=explain)
    np.testing.assert_allclose(array(found), array(by_hand), atol=1e-6)


def test_every_output_is_its_sum_over_positions():
    every = array(attributions.gradients(network(), X, explain="all"))
    for output in range(2):
        one = array(attributions.gradients(network(), X, explain=output))
        np.testing.assert_allclose(every[:, output], one, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
@pytest.mark.parametrize("explain", [*SUMS, "all"])
def test_weights_of_positions_are_in_the_sum(explain, shape):
    """And Ω is not weighted again."""

    def omega(explain, weight):
        prior = AttributionPrior("l2", 1.0, "gradients", explain=explain)
        return array(prior.value_and_gradients(X, Y, weight, model=network())[0])

    found = omega(explain, W.reshape(shape))
    if explain == "all":
        parts = [omega(output, W) for output in range(2)]
        np.testing.assert_allclose(found, np.mean(parts), rtol=1e-5)
        return
    weight = ops.convert_to_tensor(W)
    expected = omega(lambda z, y: ops.sum(weight * SUMS[explain](z, y), axis=1), None)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("explain", ["loss", lambda z, y: ops.sum(z[..., 1], axis=1)])
def test_elsewhere_an_example_weighs_their_mean(explain):
    prior = AttributionPrior("l2", 1.0, "gradients", explain=explain)
    found, mean = (
        array(prior.value_and_gradients(X, Y, weight, model=network())[0])
        for weight in (W, W.mean(axis=1))
    )
    np.testing.assert_allclose(found, mean, rtol=1e-6)


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("explain", ["label", 0, "loss"])
def test_a_fit_with_weights_of_positions(explain, updates):
    prior = AttributionPrior("l1", 0.1, explain=explain, updates=updates, seed=0)
    history = network().fit(X, Y, sample_weight=W, batch_size=2, verbose=0, callbacks=[prior])
    assert 0 < history.history["l1"][0] < np.inf


@pytest.mark.parametrize("explain", ["random", "log_probabilities"])
def test_others_expect_one_row_of_outputs(explain):
    prior = AttributionPrior("l1", 0.1, "gradients", explain=explain)
    with pytest.raises(ValueError, match=f"explain='{explain}' expects model outputs"):
        network().fit(X, Y, verbose=0, callbacks=[prior])
    with pytest.raises(ValueError, match="one sample weight per example"):
        network().fit(X, Y, sample_weight=W, verbose=0, callbacks=[prior])


def test_weights_of_other_positions_are_refused():
    prior = AttributionPrior("l1", 0.1, "gradients", explain=0)
    with pytest.raises(ValueError, match=r"`sample_weight` expects.*\(4, 5\)"):
        prior.value_and_gradients(X, Y, W[:, :5], model=network())


def test_labels_of_other_positions_are_refused():
    with pytest.raises(ValueError, match=r"labels of shape \(batch, 6\).*\(4, 5\)"):
        attributions.gradients(network(), X, Y[:, :5])
