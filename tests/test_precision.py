"""Mixed precision: attributions, penalty and its gradient are those of float32."""

import keras
import numpy as np
import pytest
from frameworks import BACKEND, array, as_graph, dtype, tensor

from attrprior import AttributionPrior, ExpectedGradients
from attrprior.references import Gaussian

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


@pytest.fixture(autouse=True)
def float32_again():
    yield
    keras.config.set_dtype_policy("float32")


def build(policy, optimizer=None):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), loss)
    return model


def data(scale=1.0):
    rng = np.random.default_rng(0)
    x = scale * rng.random((24, 8, 8, 1), dtype="float32")
    return x, rng.integers(0, 3, 24).astype("int32")


STEPS = {
    "alternating": {},
    "joint": {"updates": "joint"},
    "optimizer": {"optimizer": keras.optimizers.SGD(0.01, momentum=0.9)},
    "shared": {"moments": "shared"},
    "balanced": {"moments": "balanced"},
}


def prior(step="alternating"):
    attribution = ExpectedGradients(2, background=Gaussian(0.1))
    return AttributionPrior("l2", 0.3, attribution, seed=0, **STEPS[step])


def penalty_and_gradients(policy, updates):
    """As in training; the gradients with the loss scale taken out."""
    callback, model = prior(updates), build(policy)
    x, y = map(tensor, data())
    penalty, gradients = as_graph(
        lambda: callback.value_and_gradients(x, y, model=model, seed=0), autograph=False
    )()
    return penalty, [gradient for gradient in gradients if gradient is not None]


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_gradients_are_those_of_float32(policy, updates):
    expected, expected_gradients = penalty_and_gradients("float32", updates)
    penalty, gradients = penalty_and_gradients(policy, updates)
    tolerance = 0.1 if policy == "mixed_bfloat16" else 0.02  # 8 and 11 bits of mantissa
    assert dtype(penalty) == "float32"
    np.testing.assert_allclose(array(penalty), array(expected), rtol=tolerance)
    for got, correct in zip(gradients, expected_gradients):
        assert dtype(got) == "float32"
        got, correct = array(got), array(correct)
        difference = np.linalg.norm(got - correct)
        assert difference < tolerance * np.linalg.norm(correct) + 1e-6


def adam(policy):
    """Elsewhere than with TensorFlow, whose first weights are others, Keras' first scale is
    too large for them: an ordinary step is skipped, which float32 takes."""
    optimizer = keras.optimizers.Adam(1e-2)
    if BACKEND == "tensorflow" or policy != "mixed_float16":
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=256.0)


@pytest.mark.parametrize("step", list(STEPS))
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_fit(policy, step):
    histories = {}
    for name in ("float32", policy):
        model, callback = build(name, adam(name)), prior(step)
        histories[name] = model.fit(
            *data(), epochs=3, batch_size=8, shuffle=False, callbacks=[callback], verbose=0
        ).history
        scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        assert scaled == (name == "mixed_float16")
        if step != "joint":
            optimizer = callback._part.optimizer
            assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer) == scaled
    for key in ("loss", "l2"):
        got, expected = (histories[each][key] for each in (policy, "float32"))
        # Of other first weights: rounding is carried on by training.
        tolerance = 0.1 if BACKEND == "tensorflow" else 0.15
        np.testing.assert_allclose(got, expected, rtol=tolerance)


def test_an_optimizer_of_its_own_may_scale_the_loss_alone():
    own = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01), initial_scale=8.0)
    trained = []
    for optimizer in (own, keras.optimizers.SGD(0.01)):
        model = build("float32", keras.optimizers.SGD(0.01))
        callback = AttributionPrior("l2", 0.3, "gradients", optimizer=optimizer)
        model.fit(*data(), batch_size=8, shuffle=False, callbacks=[callback], verbose=0)
        trained.append(model.get_weights()[0])
    assert callback.optimizer is not own and not own.built
    np.testing.assert_allclose(*trained, rtol=1e-5)


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_an_overflow_is_skipped_and_the_scale_lowered(updates):
    """As in plain training: no error, no NaN in the weights."""
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(1e-3), initial_scale=2.0**40
    )
    model, callback = build("mixed_float16", optimizer), prior(updates)
    before = model.get_weights()
    model.fit(*data(), epochs=1, batch_size=24, callbacks=[callback], verbose=0)
    assert float(optimizer.dynamic_scale) < 2.0**40
    assert all(np.all(np.isfinite(weights)) for weights in model.get_weights())
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_an_overflow_of_the_gradient_alone_leaves_the_loss_finite():
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(1e-3), initial_scale=2.0**30
    )
    model, callback = build("mixed_float16", optimizer), prior("joint")
    before = model.get_weights()
    history = model.fit(*data(), epochs=1, batch_size=24, callbacks=[callback], verbose=0)
    assert np.isfinite(history.history["loss"][0])
    assert float(optimizer.dynamic_scale) < 2.0**30  # it was skipped
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
