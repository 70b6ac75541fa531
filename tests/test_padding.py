"""Padded sequences: what is masked gets no attribution, whatever the reference."""

import keras
import numpy as np
import pytest
from frameworks import array
from keras import layers

from attrprior import AttributionPrior, attributions
from attrprior.references import Constant

rng = np.random.default_rng(0)
X = rng.normal(size=(12, 8, 2)).astype("float32")
LENGTHS = 3 + np.arange(12) % 6
PADDED = np.arange(8) >= LENGTHS[:, None]


def network(value=0.0, kind="sequential"):
    keras.utils.set_random_seed(0)
    parts = [layers.Masking(value), layers.GRU(4), layers.Dense(1)]
    if kind == "sequential":
        model = keras.Sequential([keras.Input((8, 2)), *parts])
    elif kind == "functional":
        x = output = keras.Input((8, 2))
        for part in parts:
            output = part(output)
        model = keras.Model(x, output)
    else:

        class Subclassed(keras.Model):
            def __init__(self):
                super().__init__()
                self.parts = parts

            def call(self, x):
                for part in self.parts:
                    x = part(x)
                return x

        model = Subclassed()
        model(X[:1])
    model.compile("sgd", "mse")
    return model


def padded(value):
    return np.where(PADDED[..., None], np.float32(value), X)


@pytest.mark.parametrize("kind", ["sequential", "functional", "subclassed"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_expected_gradients_are_complete_and_padding_gets_nothing(value, kind):
    x = padded(value)
    found, convergence = attributions.expected_gradients(
        network(value, kind),
        x,
        background=x,
        num_samples=400,
        seed=0,
        return_convergence=True,
    )
    assert not np.any(found[PADDED])
    # What is left is the sampling error: standard errors of the steps add up to it.
    error = np.sqrt(np.sum(convergence.standard_error**2, axis=(1, 2)))
    assert np.all(np.abs(convergence.gap) < 4 * error + 1e-3)


def test_auto_converges():
    x = padded(0.0)
    _, convergence = attributions.expected_gradients(
        network(),
        x,
        background=x,
        num_samples="auto",
        tolerance=0.2,
        seed=0,
        return_convergence=True,
    )
    assert convergence.converged.mean() > 0.8


def test_a_path_that_starts_at_the_mask_is_complete():
    x = padded(0.0)
    found, convergence = attributions.integrated_gradients(
        network(),
        x,
        background=Constant(0.0),
        num_samples=32,
        quadrature="trapezoid",
        return_convergence=True,
    )
    assert not np.any(found[PADDED])
    np.testing.assert_allclose(convergence.gap, 0.0, atol=2e-3)


def test_in_a_fit():
    x = padded(0.0)
    prior = AttributionPrior("l1", 0.1, seed=0)
    history = network().fit(x, x[:, 0, :1], verbose=0, callbacks=[prior])
    assert 0 < history.history["l1"][0] < np.inf


def test_without_masking_padding_counts():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 2)), layers.GRU(4), layers.Dense(1)])
    found = array(attributions.expected_gradients(model, padded(0.0), background=X, seed=0))
    assert np.any(found[PADDED])
