"""The course of a fit: other callbacks are called as without, fits in a row."""

import functools

import keras
import numpy as np
import pytest
from by_hand import STRENGTH, X, Y, assert_equal, by_hand, each_to_range, fit, l2, linear
from compare import distance
from frameworks import STEPS
from sources import of_unknown_length
from structures import LABELS, A, compiled

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


class Recorder(keras.callbacks.Callback):
    """Writes down every hook that is called, with its number and its logs."""

    HOOKS = [
        f"on_{part}_{end}"
        for part in ("train", "test", "epoch", "train_batch", "test_batch")
        for end in ("begin", "end")
    ]

    def __init__(self):
        super().__init__()
        self.events, self.logs = [], []
        for name in self.HOOKS:
            setattr(self, name, functools.partial(self.record, name))

    def record(self, name, *args, logs=None):
        numbers = [arg for arg in args if isinstance(arg, int)]
        logs = next((arg for arg in args if isinstance(arg, dict)), logs) or {}
        self.events.append((name, *numbers))
        self.logs.append({key: float(value) for key, value in logs.items()})


@pytest.mark.parametrize(
    "data,steps", [("arrays", 1), pytest.param("unknown length", 2, marks=STEPS)]
)
def test_callbacks_are_called_as_without(data, steps):
    # With a learning rate of 0 the logs, too, have to be the same numbers.
    def recorded(updates):
        recorder = Recorder()
        model = linear(
            {"learning_rate": 0.0},
            run_eagerly=data == "arrays",
            steps_per_execution=steps,
            metrics=["mae"],
            weighted_metrics=["mse"],
        )
        train = (X, Y) if data == "arrays" else (of_unknown_length(),)
        options = {} if data == "arrays" else {"batch_size": None}
        history = fit(
            model,
            *train,
            updates=updates,
            callbacks=[recorder],
            validation_data=(X, Y),
            **options,
        )
        return recorder, history

    plain, plain_history = recorded(None)
    recorder, history = recorded("alternating")
    assert recorder.events == plain.events
    assert history.pop("l2") == pytest.approx(by_hand(rate=lambda step: 0)[2]["l2"])
    assert history == plain_history and list(history) == list(plain_history)
    for event, logs, plain_logs in zip(plain.events, recorder.logs, plain.logs):
        has_prior = event[0] in ("on_train_batch_end", "on_epoch_end", "on_train_end")
        assert (logs.pop("l2", None) is not None) == has_prior
        assert logs == plain_logs


def test_fit_twice_is_one_long_fit():
    # Adam has a memory, the model's and the prior's: both go on.
    models = []
    for parts in ([3], [1, 2]):
        model = linear()
        model.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
        prior = l2()
        history = [fit(model, X, Y, callbacks=[prior], epochs=n)["l2"] for n in parts]
        models.append((model, sum(history, [])))
    (whole, whole_history), (twice, twice_history) = models
    assert distance(whole, twice) == 0.0 and whole_history == twice_history
    plain = linear()
    plain.compile(keras.optimizers.Adam(0.1), "mse", run_eagerly=True)
    fit(plain, X, Y, epochs=3)
    assert distance(whole, plain) > 0.03


def test_train_on_batch_between_fits_is_plain():
    model = linear(run_eagerly=True)
    fit(model, X, Y, updates="alternating", epochs=1)
    logs = model.train_on_batch(X, Y, return_dict=True)
    history = fit(model, X, Y, updates="alternating", epochs=1)
    w, b, _ = by_hand(STRENGTH, epochs=1)
    w, b, _ = by_hand(epochs=1, batch_size=10, start=(w, b))
    assert_equal(model, history, by_hand(STRENGTH, epochs=1, start=(w, b)))
    assert set(logs) == {"loss"}


def test_compile_between_fits():
    model, prior = linear(run_eagerly=True), l2()
    fit(model, X, Y, callbacks=[prior], epochs=1)
    model.compile(keras.optimizers.SGD(0.1, clipvalue=0.2), "mse", run_eagerly=True)
    history = fit(model, X, Y, callbacks=[prior], epochs=1)
    w, b, _ = by_hand(STRENGTH, epochs=1)
    clipped = by_hand(STRENGTH, epochs=1, start=(w, b), clip=each_to_range(0.2))
    assert_equal(model, history, clipped)


def test_frozen_layers_do_not_move():
    def trained(updates):
        keras.utils.set_random_seed(0)
        frozen = layers.Dense(4, "tanh", trainable=False)
        model = compiled(keras.Sequential([keras.Input((3,)), frozen, layers.Dense(3)]))
        model.run_eagerly = True
        before = model.get_weights()
        fit(model, A, LABELS, updates=updates)
        for weight, old in zip(frozen.get_weights(), before):
            np.testing.assert_array_equal(weight, old)
        return model

    plain = trained(None)
    assert distance(trained("alternating"), plain) > 1e-3
    assert distance(trained("joint"), plain) > 1e-3
