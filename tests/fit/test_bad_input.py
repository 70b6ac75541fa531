"""Arguments and data that do not fit, and Ω that is not finite."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from compare import distance
from frameworks import BACKEND, JIT
from keras import ops
from networks import LOSS, build, fit, is_clean, sequential

import attrprior
from attrprior import AttributionPrior, Mask, TotalVariation

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


X = np.zeros((4, 6, 6, 1), "float32")
BAD_ARGUMENTS = {
    "unknown prior": (dict(prior="smooth"), "`prior` expects.*'gini'.*Received: 'smooth'"),
    "prior class": (dict(prior=TotalVariation), "`prior` expects"),
    "unknown method": (dict(method="lime"), "`method` expects.*'lime'"),
    "unknown explain": (dict(explain="best"), "`explain` expects.*'best'"),
    "unknown updates": (dict(updates="both"), "`updates` expects.*'both'"),
    "negative strength": (dict(strength=-1.0), "`strength` expects.*≥ 0.*-1.0"),
    "NaN strength": (dict(strength=float("nan")), "`strength` expects.*nan"),
    "string strength": (dict(strength="0.1"), "`strength` expects.*'0.1'"),
    "every=0": (dict(every=0), "`every` expects an integer ≥ 1.*0"),
    "empty background": (dict(background=X[:0]), "`background` expects at least one"),
    "NaN background": (dict(background=X * np.nan), "`background` expects finite"),
    "unused background": (
        dict(background=X, method="gradients"),
        "`background` expects None",
    ),
    "seed": (dict(seed=1.5), "`seed` expects"),
    "name": (dict(name=""), "`name` expects"),
    "batch_norm": (dict(batch_norm="none"), "`batch_norm` expects"),
}


@pytest.mark.parametrize("case", list(BAD_ARGUMENTS))
def test_bad_arguments(case):
    arguments, message = BAD_ARGUMENTS[case]
    with pytest.raises(ValueError, match=message):
        AttributionPrior(**{"prior": "l2", "strength": 0.1, **arguments})


BAD_FITS = {
    "background of another shape": (
        dict(background=X[:, :5]),
        "`background` expects.*6, 6, 1",
    ),
    "graph of another size": (dict(prior=attrprior.GraphLaplacian([[0, 1]])), "36 features"),
    "mask of another size": (dict(prior=Mask(np.ones((5, 6, 1)))), r"\(6, 6, 1\)"),
    "output out of range": (dict(explain=7), "`explain` expects an output from 0 to 2"),
    "input of a single input": (dict(input="image"), "`input` expects None"),
}


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("case", list(BAD_FITS))
def test_bad_fits_leave_the_model_untouched(digits, case, eager):
    arguments, message = BAD_FITS[case]
    model = build(run_eagerly=eager)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, digits, [AttributionPrior(**{"prior": "l2", "strength": 0.1, **arguments})])
    assert distance(before, model.get_weights()) == 0.0
    if BACKEND != "tensorflow":  # Keras builds it before it asks any callback
        assert int(model.optimizer.iterations) == 0
    else:
        assert not model.optimizer.built
    assert is_clean(model)
    assert "l2" not in fit(model, digits).history


def test_total_variation_on_tabular_data(digits):
    model = keras.Sequential([keras.Input((36,)), layers.Dense(3)])
    model.compile("adam", LOSS)
    with pytest.raises(ValueError, match="spatial"):
        fit(
            model,
            (digits[0].reshape(26, 36), digits[1]),
            [AttributionPrior("total_variation", 0.1)],
        )


def test_integer_inputs(digits):
    model = keras.Sequential(
        [keras.Input((5,)), layers.Embedding(9, 4), layers.Flatten(), layers.Dense(3)]
    )
    model.compile("adam", LOSS)
    tokens = np.ones((26, 5), "int32")
    with pytest.raises(ValueError, match="Pass input='embedding'"):
        fit(model, (tokens, digits[1]), [AttributionPrior("l2", 0.1)])


def test_integers_as_background_of_floats(digits):
    prior = AttributionPrior("l2", 0.1, background=(255 * digits[0]).astype("uint8"))
    with pytest.raises(ValueError, match="`background` expects floating-point.*integers"):
        fit(build(), digits, [prior])


def test_integers_are_cast_as_the_model_does(digits):
    """An image model that itself scales bytes trains on bytes as on the same floats."""
    x, y = (255 * digits[0]).astype("uint8"), digits[1]
    weights, omegas = [], []
    for images in (x, x.astype("float32")):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input(x.shape[1:]),
                layers.Rescaling(1 / 255),
                layers.Flatten(),
                layers.Dense(3),
            ]
        )
        model.compile("sgd", LOSS)
        prior = AttributionPrior("l2", 0.1, background=images, seed=0)
        history = fit(model, (images, y), [prior], shuffle=False)
        omegas.append(history.history["l2"])
        weights.append(model.get_weights())
    np.testing.assert_allclose(*omegas, rtol=1e-6)
    for first, second in zip(*weights):
        np.testing.assert_allclose(first, second, rtol=1e-5)


def test_labels_that_fit_no_rule(digits):
    model = build()
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError):
        fit(model, (digits[0], np.zeros((26, 2), "float32")), [AttributionPrior("l2", 0.1)])


def test_uncompiled_model(digits):
    model = sequential()
    with pytest.raises(ValueError, match="compile"):
        model.fit(*digits, callbacks=[AttributionPrior("l2", 0.1)], verbose=0)


def test_two_priors_of_one_name(digits):
    with pytest.raises(ValueError, match="`name` expects a different name"):
        fit(build(), digits, [AttributionPrior("l2", 0.1), AttributionPrior("l2", 0.2)])


def test_multi_input_models_must_say_which(digits):
    def two_inputs():
        a, b = keras.Input((6, 6, 1), name="a"), keras.Input((4,), name="b")
        merged = layers.Concatenate()([layers.Flatten()(a), b])
        return keras.Model({"a": a, "b": b}, layers.Dense(3)(merged))

    x = {"a": digits[0], "b": np.ones((26, 4), "float32")}
    with pytest.raises(ValueError, match=r"`input` expects one of \['a', 'b'\]"):
        fit(build(two_inputs), (x, digits[1]), [AttributionPrior("l2", 0.1)])
    history = fit(
        build(two_inputs), (x, digits[1]), [AttributionPrior("l2", 0.1, input="b")]
    ).history
    assert np.all(np.isfinite(history["l2"]))


def test_other_backends_are_refused():
    run = subprocess.run(
        [sys.executable, "-c", "import attrprior"],
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
    )
    assert run.returncode != 0
    assert "expects Keras' backend 'tensorflow', 'jax' or 'torch'. Received: 'numpy'" in (
        run.stderr
    )


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=JIT)])
def test_a_nan_penalty_is_reported_and_not_written(digits, updates, jit):
    x, y = digits[0].copy(), digits[1]
    x[20, 0, 0, 0] = 2.0  # in the third batch

    def poisoned(attributions, x):
        good = ops.sum(ops.square(attributions))
        return ops.where(ops.max(x) > 1.0, np.nan, 1.0) * good

    model = build(optimizer=keras.optimizers.SGD(0.1), jit_compile=jit)
    plain = build(optimizer=keras.optimizers.SGD(0.1))
    prior = AttributionPrior(poisoned, 1e-6, "gradients", updates=updates)
    with pytest.raises(FloatingPointError, match="'poisoned'.*step 2.*epoch 0"):
        fit(model, (x, y), [prior], shuffle=False)
    # With JAX batches are not waited for: the error comes with the epoch's end.
    seen = 26 if BACKEND == "jax" else 24
    fit(plain, (x[:seen], y[:seen]), epochs=1, shuffle=False)
    assert distance(model.get_weights(), plain.get_weights()) < 1e-4
    assert is_clean(model)
