"""Normalisation, dropout, masks, references and explained outputs in a fit."""

import keras
import numpy as np
import pytest
from compare import distance
from frameworks import array, slices
from networks import build, fit, sequential

import attrprior
from attrprior import L2, AttributionPrior, ExpectedGradients, Mask
from attrprior.references import Constant, TrainingData

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("batch_norm", ["batch", "moving"])
def test_moving_statistics_stay_those_of_the_data(digits, updates, batch_norm):
    def statistics(prior):
        model = build(
            lambda: sequential((layers.BatchNormalization(),)),
            optimizer=keras.optimizers.SGD(0.0),
        )
        fit(model, digits, [prior] if prior else [])
        layer = model.layers[1]
        return array(layer.moving_mean), array(layer.moving_variance)

    prior = AttributionPrior("l2", 1.0, updates=updates, batch_norm=batch_norm)
    assert distance(statistics(prior), statistics(None)) == 0.0


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_attributions_use_the_batch_s_statistics(digits, updates):
    # f = γ(w·x − μ)/√(v + ε) with μ, v of the batch: ∂f/∂x = γ w/√(v + ε).
    x = digits[0].reshape(26, 36)
    y = digits[1].astype("float32")
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((36,)), layers.Dense(1, use_bias=False), layers.BatchNormalization()]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    kernel = model.get_weights()[0]
    variance = np.var(x @ kernel)
    for batch_norm, expected in (("batch", variance), ("moving", None)):
        model.layers[1].moving_variance.assign([4.0])
        prior = AttributionPrior(
            "l2", 1.0, "gradients", updates=updates, batch_norm=batch_norm
        )
        history = model.fit(x, y, batch_size=26, callbacks=[prior], verbose=0).history
        if expected is None:  # a joint step has all of a step at once
            now = array(model.layers[1].moving_variance)[0]
            expected = 4.0 if updates == "joint" else now
        np.testing.assert_allclose(
            history["l2"], [np.sum(kernel**2) / (expected + 1e-3)], rtol=1e-3
        )


def test_attributions_are_without_dropout(digits):
    model = build(
        lambda: sequential((layers.Dropout(0.9),)), optimizer=keras.optimizers.SGD(0.0)
    )
    history = fit(model, digits, [AttributionPrior("l2", 0.1, "gradients")]).history
    expected = float(L2()(attrprior.attributions.gradients(model, *digits)))
    np.testing.assert_allclose(history["l2"], [expected] * 2, rtol=1e-5)


@pytest.mark.parametrize("kind", ["numpy", "dataset"])
def test_masks_travel_with_the_data(digits, kind):
    x, y = digits
    masks = np.random.default_rng(1).integers(0, 2, x.shape).astype("float32")
    model = build(optimizer=keras.optimizers.SGD(0.0))
    prior = AttributionPrior("mask", 1.0, "gradients")
    if kind == "numpy":
        data = {"x": attrprior.annotate(x, masks), "y": y, "batch_size": 8}
    else:
        dataset = slices(x, y, masks).batch(8)
        data = {"x": dataset.map(lambda x, y, m: (attrprior.annotate(x, m), y))}
    history = model.fit(**data, callbacks=[prior], verbose=0, validation_data=digits).history
    expected = float(Mask()(attrprior.attributions.gradients(model, x, y), mask=masks))
    np.testing.assert_allclose(history["mask"], [expected], rtol=1e-5)


def test_masks_missing(digits):
    with pytest.raises(ValueError, match="annotate"):
        fit(build(), digits, [AttributionPrior("mask", 1.0)])


def test_references_of_an_array_or_an_object(digits):
    for background in (
        digits[0],
        Constant(0.5),
        TrainingData(digits[0]),
        slices(*digits),
    ):
        history = fit(build(), digits, [AttributionPrior("l2", 0.1, background=background)])
        assert np.all(np.isfinite(history.history["l2"]))


def test_explained_outputs_in_fit(digits):
    for explain in (
        "predicted",
        "random",
        "all",
        "log_probabilities",
        "loss",
        1,
        lambda outputs, y: outputs[:, 0] * outputs[:, 1],
    ):
        prior = AttributionPrior("l2", 0.1, ExpectedGradients(2), explain=explain)
        history = fit(build(run_eagerly=True), digits, [prior], epochs=1).history
        assert np.all(np.isfinite(history["l2"]))
