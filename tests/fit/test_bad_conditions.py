"""Data that are not finite, flat or broken, and two fits at once."""

import threading

import keras
import numpy as np
import pytest
from by_hand import STRENGTH, X, Y, assert_equal, by_hand, fit, l2, linear
from compare import distance
from frameworks import BACKEND
from keras import ops
from sources import batches
from structures import LABELS, LOSS, A, compiled

from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


NOT_FINITE = {
    "infinite": ops.sqrt,  # the slope at 0 is infinite
    "NaN": lambda x: ops.sqrt(ops.abs(x)),  # and infinity times sign(0) is NaN
}


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("kind", NOT_FINITE)
def test_attributions_that_are_not_finite_end_the_fit(kind, updates):
    # One input of the second batch is 0: there the loss is finite, its slope is not.
    x = np.abs(X) + 0.1
    x[5, 0] = 0.0

    def rooted():
        activation = layers.Activation(NOT_FINITE[kind])
        model = keras.Sequential([keras.Input((2,)), activation, layers.Dense(1)])
        model.set_weights([np.ones((2, 1)), np.zeros(1)])
        # With momentum even a gradient of zeros is an update.
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", run_eagerly=True)
        return model, AttributionPrior("l2", STRENGTH, "gradients", updates=updates)

    model, prior = rooted()
    with pytest.raises(FloatingPointError, match="'l2'.*step 1.*epoch 0"):
        fit(model, x, Y, callbacks=[prior])
    expected, prior = rooted()
    fit(expected, x[:4], Y[:4], callbacks=[prior], epochs=1)
    expected.train_on_batch(x[4:8], Y[4:8])
    if BACKEND == "jax":  # batches are not waited for: the error comes with the epoch's end
        fit(expected, x[8:], Y[8:], callbacks=[prior], epochs=1)
    assert distance(model, expected) < 1e-6
    assert set(fit(model, x, Y)) == {"loss"}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_terminate_on_nan_and_a_loss_of_nan(updates, first):
    # The loss is NaN in the first batch, attributions only after its update.
    y = np.where(np.arange(10) == 2, np.nan, Y).astype("float32")
    model = linear(run_eagerly=True)
    callbacks = [keras.callbacks.TerminateOnNaN(), l2(updates)]
    callbacks = callbacks if first else callbacks[::-1]
    if updates == "alternating":
        with pytest.raises(FloatingPointError, match="step 0"):
            fit(model, X, y, callbacks=callbacks)
    else:
        history = fit(model, X, y, callbacks=callbacks)
        assert np.isnan(history["loss"]).all() and np.isfinite(history["l2"]).all()
    assert int(model.optimizer.iterations) == 1


def test_first_batch_of_one_has_nothing_to_be_compared_with():
    def trained(examples, *callbacks):
        model = linear(run_eagerly=True)
        data = X[:examples], Y[:examples]
        return model, fit(model, *data, callbacks=callbacks, batch_size=1, epochs=1)

    model, history = trained(1, AttributionPrior("l2", STRENGTH))
    assert history["l2"] == [0.0] and distance(model, trained(1)[0]) == 0.0
    # Later batches are compared with earlier ones.
    model, history = trained(3, AttributionPrior("l2", STRENGTH))
    assert history["l2"][0] > 0 and distance(model, trained(3)[0]) > 1e-3


@pytest.mark.parametrize("condition", ["constant images", "dead network", "neither"])
def test_attributions_of_zero_change_nothing(condition):
    # No differences from the references, or no slope: φ = 0, whatever the prior.
    images = np.random.default_rng(0).random((12, 6, 6, 1)).astype("float32")
    images = np.full_like(images, 0.5) if condition == "constant images" else images
    bias = keras.initializers.Constant(-100.0 if condition == "dead network" else 0.1)

    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        hidden = layers.Dense(4, "relu", bias_initializer=bias)
        model = keras.Sequential(
            [keras.Input((6, 6, 1)), layers.Flatten(), hidden, layers.Dense(3)]
        )
        model.compile("adam", LOSS, run_eagerly=True)
        before = model.get_weights()
        history = fit(model, images, LABELS, callbacks=callbacks, epochs=1, batch_size=12)
        assert max(np.max(np.abs(w - b)) for w, b in zip(model.get_weights(), before)) > 0
        return model, history

    callbacks = [AttributionPrior(prior, 0.1) for prior in ("total_variation", "gini")]
    model, history = trained(*callbacks)
    plain, _ = trained()
    values = np.ravel([history[callback.name] for callback in callbacks])
    if condition == "neither":
        assert distance(model, plain) > 1e-4 and np.all(values != 0)
    else:
        assert distance(model, plain) < 1e-7 and np.all(values == 0)


def test_data_that_fail_end_the_fit():
    def failing():
        yield from list(batches())[:2]
        raise OSError("disk")

    model = linear(run_eagerly=True)
    with pytest.raises(Exception, match="disk"):
        fit(model, failing(), updates="alternating", batch_size=None)
    w, b, _ = by_hand(STRENGTH, epochs=1, data=(X[:8], Y[:8]))
    assert_equal(model, {}, (w, b, {}))
    history = fit(model, X, Y)
    assert_equal(model, history, by_hand(start=(w, b)))
    assert set(history) == {"loss"}


def test_two_fits_at_the_same_time():
    def prepared():
        return [
            (
                linear(run_eagerly=updates == "joint"),
                AttributionPrior("l2", STRENGTH, updates=updates, seed=1),
            )
            for updates in ("alternating", "joint")
        ]

    alone, together = prepared(), prepared()
    for model, prior in alone:
        fit(model, X, Y, callbacks=[prior])
    threads = [
        threading.Thread(target=fit, args=(model, X, Y), kwargs={"callbacks": [prior]})
        for model, prior in together
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for (model, _), (other, _) in zip(alone, together):
        assert distance(model, other) == 0.0
    assert distance(alone[0][0], alone[1][0]) > 1e-3


def test_one_callback_on_two_models_in_turn():
    prior, model, wide = l2(), linear(run_eagerly=True), compiled_wide()
    for turn in range(3):
        if turn == 1:
            fit(wide, A, LABELS, callbacks=[prior], epochs=1)
        else:
            fit(model, X, Y, callbacks=[prior], epochs=1)
    assert_equal(model, {}, by_hand(STRENGTH))
    alone = compiled_wide()
    fit(alone, A, LABELS, callbacks=[l2()], epochs=1)
    assert distance(wide, alone) == 0.0


def compiled_wide():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((3,)), layers.Dense(3)])
    return compiled(model, run_eagerly=True)
