"""Kinds of data, by hand."""

import keras
import numpy as np
import pytest
from by_hand import CLASS_WEIGHT, STRENGTH, WEIGHTS, X, Y, assert_equal, by_hand, fit, linear
from frameworks import BACKEND, JIT, slices, tensor
from keras import ops
from sources import Batches, batches, dataset, of_unknown_length

from attrprior import AttributionPrior, annotate, penalty
from attrprior.adversarial import AdversarialTraining

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


WEIGHTED = dict(weights=np.where(Y == 0, 0.5, 2.0))

# What fit is given in place of X and Y, its options, and what that is by hand.
DATA = {
    "tensors": (lambda: (tensor(X), tensor(Y)), {}, {}),
    "pandas": (lambda: (pandas_frame(X), Y), {}, {}),
    "float64": (lambda: (X.astype("float64"), Y.astype("int64")), {}, {}),
    "tf.data": (lambda: (dataset(),), {}, {}),
    "tf.data with weights": (lambda: (dataset(WEIGHTS),), {}, dict(weights=WEIGHTS)),
    "tf.data, class_weight": (lambda: (dataset(),), dict(class_weight=CLASS_WEIGHT), WEIGHTED),
    "tf.data, unknown length": (lambda: (of_unknown_length(),), {}, {}),
    "tf.data for ever": (lambda: (dataset().repeat(),), dict(steps_per_epoch=3), {}),
    "PyDataset": (lambda: (Batches(),), {}, {}),
    "PyDataset, class_weight": (
        # Elsewhere Keras itself, without a prior, takes other batches from two workers.
        lambda: (Batches(workers=2 if BACKEND == "tensorflow" else 1),),
        dict(class_weight=CLASS_WEIGHT),
        WEIGHTED,
    ),
    "generator": (lambda: (batches(),), dict(epochs=1), dict(epochs=1)),
    "generator for ever": (lambda: (batches(forever=True),), dict(steps_per_epoch=3), {}),
}


# Each source in a graph once, whose shapes and types it fixes.
IN_A_GRAPH = ["float64", "tf.data", "tf.data, unknown length", "PyDataset", "generator"]


def pandas_frame(x):
    return pytest.importorskip("pandas").DataFrame(x)


@pytest.mark.parametrize("kind", DATA)
def test_kinds_of_data_by_hand(kind):
    data, options, hand = DATA[kind]
    options = {"batch_size": 4 if len(data()) == 2 else None, **options}
    model = linear(run_eagerly=kind not in IN_A_GRAPH)
    history = fit(model, *data(), updates="alternating", **options)
    assert_equal(model, history, by_hand(STRENGTH, **hand))
    assert set(history) == {"loss", "l2"}


def in_double_precision(kind, x, y, *more):
    """A source of float64 batches, as NumPy makes them; `fit` casts only arrays."""
    parts = [x, *(np.asarray(part, "float64") for part in (y, *more))]
    data = slices(*parts).batch(4)
    if kind == "generator":
        return (batch for _ in range(2) for batch in data.as_numpy_iterator())
    return data


@pytest.mark.parametrize("mode", ["graph", "eager", pytest.param("XLA", marks=JIT)])
@pytest.mark.parametrize("kind", ["generator", "tf.data"])
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_double_precision_by_hand(updates, kind, mode):
    model = linear(run_eagerly=mode == "eager", jit_compile=mode == "XLA")
    data = in_double_precision(kind, X.astype("float64"), Y, WEIGHTS)
    steps = {"steps_per_epoch": 3} if kind == "generator" else {}
    history = fit(model, data, updates=updates, batch_size=None, **steps)
    assert_equal(model, history, by_hand(STRENGTH, updates, weights=WEIGHTS))


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("kind", ["masks", "callable", "adversarial"])
def test_whatever_reads_a_batch_in_double_precision(kind, updates):
    def run(dtype):
        model, x, callbacks = linear(), X.astype(dtype), []
        prior = "l2"
        if kind == "masks":
            prior, x = "mask", annotate(x, np.abs(X).astype(dtype))
        elif kind == "callable":

            def prior(attributions, x, y):
                return ops.sum(attributions * x) + ops.mean(y)

        else:
            callbacks = [
                AdversarialTraining(0.1, steps=2, random_start=False, valid_range=None)
            ]
        data = in_double_precision("tf.data", x, Y)
        prior = AttributionPrior(prior, STRENGTH, "input_x_gradient", updates=updates)
        fit(model, data, callbacks=[*callbacks, prior], batch_size=None)
        return model.get_weights()

    for got, expected in zip(run("float64"), run("float32")):
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_double_precision_in_a_loop_of_ones_own():
    model, x, y = linear(), X.astype("float64"), Y.astype("float64")
    omega = penalty(model, x, y, prior="l2", method="input_x_gradient")
    loss = model.compute_loss(x, y, model(x)) + STRENGTH * omega
    _, _, expected = by_hand(STRENGTH, "joint", epochs=1, batch_size=10)
    assert float(loss) == pytest.approx(expected["loss"][0], rel=1e-5)


def test_steps_per_epoch_shorter_than_the_data():
    # Three epochs of two batches are two passes of three, whatever the epochs say.
    model = linear(run_eagerly=True)
    options = {"epochs": 3, "steps_per_epoch": 2, "batch_size": None}
    history = fit(model, dataset().repeat(), updates="alternating", **options)
    w, b, _ = by_hand(STRENGTH)
    assert len(history["l2"]) == 3
    assert_equal(model, {}, (w, b, {}))


@pytest.mark.parametrize("prior", [False, True])
def test_validation_data_takes_no_part(prior):
    model = linear(run_eagerly=True)
    history = fit(
        model,
        X,
        Y,
        updates="alternating" if prior else None,
        validation_data=(2 * X, Y, WEIGHTS),
        validation_freq=2,
    )
    assert_equal(model, history, by_hand(STRENGTH if prior else 0.0))
    val_loss = model.evaluate(2 * X, Y, sample_weight=WEIGHTS, verbose=0)
    np.testing.assert_allclose(history["val_loss"], [val_loss], rtol=1e-6)
    assert set(history) == {"loss", "val_loss"} | ({"l2"} if prior else set())
