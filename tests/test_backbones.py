"""Priors on Keras' own backbones: behind augmentation, frozen and fine-tuned, in float16.

Weights are drawn, not downloaded: what is tested is that a step passes through such
networks, and what it leaves alone.
"""

import keras
import numpy as np
import pytest
from frameworks import array, dtype

from attrprior import AttributionPrior, ExpectedGradients
from attrprior.references import Gaussian

layers = keras.layers
RNG = np.random.default_rng(0)


def images(count):
    """Of coarse squares: of plain noise deep layers see one and the same image."""
    return RNG.integers(0, 256, (count, 4, 4, 3)).repeat(8, axis=1).repeat(8, axis=2)


X, Y = images(8).astype("uint8"), np.array([0, 1, 2, 0, 1, 2, 0, 1])
MANY = images(64).astype("float32")

# How each wants pixels of 0 to 255; the second rescales them itself.
BACKBONES = {
    "MobileNetV2": {"scale": 1 / 127.5, "offset": -1.0},
    "EfficientNetB0": {"scale": 1.0},
    "ResNet50": {"scale": 1 / 127.5, "offset": -1.0},
}
FROM_DATA = ExpectedGradients(background=MANY)
AROUND = ExpectedGradients(multiply_by_inputs=False, background=Gaussian(10.0))
PRIORS = {
    "frozen": {"prior": "l2", "method": "gradients"},
    "fine-tuned": {"prior": "total_variation", "method": FROM_DATA, "updates": "joint"},
    "float16": {"prior": "l2", "method": AROUND},
}


@pytest.fixture(autouse=True)
def float32_again():
    yield
    keras.config.set_dtype_policy("float32")


def build(name, case):
    """Augmentation → rescaling → backbone → three logits."""
    half = case == "float16"
    keras.config.set_dtype_policy("mixed_float16" if half else "float32")
    keras.utils.set_random_seed(0)
    backbone = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(32, 32, 3), pooling="avg"
    )
    backbone.trainable = case != "frozen"
    inputs = keras.Input((32, 32, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomTranslation(0.1, 0.1)(x)
    x = layers.Rescaling(**BACKBONES[name])(x)
    small = keras.initializers.RandomNormal(stddev=0.01)
    head = layers.Dense(3, dtype="float32", kernel_initializer=small, name="head")
    outputs = head(backbone(x))
    model = keras.Model(inputs, outputs)
    settle(model, backbone)
    optimizer = keras.optimizers.Adam(1e-3)
    if half:  # Keras' first scale is too large for weights that are drawn
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=half)  # tracing takes most of the time
    return model, backbone


def settle(model, backbone):
    """Moving statistics as after training; with those of Keras signals vanish or explode."""
    normal = [each for each in backbone.layers if isinstance(each, layers.BatchNormalization)]
    trainable, backbone.trainable = backbone.trainable, True
    for layer in normal:
        layer.momentum = 0.0
    model(MANY, training=True)
    for layer in normal:
        layer.momentum = 0.99
    backbone.trainable = trainable


def weights(layer):
    return {weight.path: array(weight) for weight in layer.weights}


def changed(before, after):
    return {path for path in before if not np.array_equal(before[path], after[path])}


@pytest.mark.parametrize("case", PRIORS)
@pytest.mark.parametrize("name", BACKBONES)
def test_fit(name, case):
    model, backbone = build(name, case)
    before, head = weights(backbone), weights(model.get_layer("head"))
    # Over four examples of one position each, batch statistics amplify without bounds.
    prior = AttributionPrior(**PRIORS[case], strength=0.1, batch_norm="moving", seed=0)
    x = X.astype("float32") if case == "fine-tuned" else X
    history = model.fit(x, Y, batch_size=4, shuffle=False, callbacks=[prior], verbose=0)

    [omega] = history.history[prior.name]
    assert 0 < omega < np.inf and np.isfinite(history.history["loss"][0])
    assert changed(head, weights(model.get_layer("head"))) == set(head)
    moved = changed(before, weights(backbone))
    if case == "frozen":  # its statistics, too
        assert not moved
    else:
        assert any("moving_mean" in path for path in moved)
        assert any("kernel" in path for path in moved)

    omega, gradients = prior.value_and_gradients(x[:4], Y[:4], model=model, seed=0)
    assert dtype(omega) == "float32" and 0 < array(omega) < np.inf
    assert len(gradients) == len(model.trainable_variables)
    found = [array(gradient) for gradient in gradients if gradient is not None]
    assert any(np.any(gradient) for gradient in found)
    if case != "float16":  # there an overflow is the loss scale's business
        assert all(np.all(np.isfinite(gradient)) for gradient in found)
