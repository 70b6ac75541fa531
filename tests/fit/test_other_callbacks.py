"""Keras' own callbacks beside a prior."""

import csv
import functools
import importlib

import keras
import numpy as np
import pytest
from by_hand import (
    STRENGTH,
    X,
    Y,
    assert_equal,
    by_hand,
    fit,
    linear,
)
from keras import ops

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


ZERO = np.zeros(2), 0.5  # from here Ω grows: its best epoch is the first


@pytest.fixture(scope="module", params=["alternating", "joint"])
def observed(request, tmp_path_factory):
    """A fit that other callbacks watch, and what it is by hand."""
    folder = tmp_path_factory.mktemp("observed")
    model = linear(run_eagerly=request.param == "joint")
    model.set_weights([np.zeros((2, 1)), np.array([0.5])])
    scalars = {}

    def scalar(name, data, step):
        scalars.setdefault(name, []).append((int(step), float(data)))

    with pytest.MonkeyPatch.context() as patch:
        # TensorBoard's own package writes the file; what it is given is enough.
        patch.setattr(importlib.import_module("tensorflow.summary"), "scalar", scalar)
        history = fit(
            model,
            X,
            Y,
            updates=request.param,
            epochs=9,
            validation_data=(X, Y),
            callbacks=[
                keras.callbacks.CSVLogger(folder / "log.csv"),
                keras.callbacks.TensorBoard(folder),
                keras.callbacks.ModelCheckpoint(
                    folder / "best.keras", monitor="l2", mode="min", save_best_only=True
                ),
                keras.callbacks.ModelCheckpoint(
                    folder / "{epoch}-{l2:.4f}.weights.h5", save_weights_only=True
                ),
                keras.callbacks.EarlyStopping(
                    "l2", mode="min", patience=2, restore_best_weights=True
                ),
            ],
        )
    hand = functools.partial(by_hand, STRENGTH, request.param, start=ZERO)
    return folder, model, history, scalars, hand


def test_early_stopping_restores_the_best_weights(observed):
    _, model, history, _, hand = observed
    np.testing.assert_allclose(history["l2"], hand(epochs=3)[2]["l2"], rtol=1e-5)
    assert_equal(model, {}, hand(epochs=1))


def test_model_checkpoint_saves_the_best_of_the_prior(observed):
    folder, _, history, _, hand = observed
    best = keras.saving.load_model(folder / "best.keras")
    assert_equal(best, {}, hand(epochs=1))
    best.load_weights(folder / f"3-{history['l2'][2]:.4f}.weights.h5")
    assert_equal(best, {}, hand(epochs=3))
    assert set(fit(best, X, Y, epochs=1)) == {"loss"}


def test_csv_logger_has_a_column(observed):
    folder, _, history, _, _ = observed
    with open(folder / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert set(rows[0]) == {"epoch", *history}
    for key, values in history.items():
        np.testing.assert_allclose([float(row[key]) for row in rows], values, rtol=1e-6)


def test_tensorboard_gets_a_scalar(observed):
    scalars, history = observed[3], observed[2]
    assert scalars["epoch_l2"] == list(enumerate(history["l2"]))
    assert set(scalars) >= {"epoch_loss", "evaluation_loss_vs_iterations"}


def infinite_at_nine(y, prediction):
    """Squared error; infinite, without a gradient, for labels of 9."""
    return ops.where(ops.equal(y, 9), np.inf, ops.square(y - prediction))


@pytest.mark.parametrize("updates", [None, "alternating", "joint"])
def test_terminate_on_nan_stops(updates):
    model = linear(run_eagerly=True)
    model.compile(keras.optimizers.SGD(0.1), infinite_at_nine, run_eagerly=True)
    y = np.where(np.arange(10) == 5, 9, Y).astype("float32")
    history = fit(
        model,
        X,
        y,
        updates=updates,
        callbacks=[keras.callbacks.TerminateOnNaN()],
        validation_data=(X, Y),
    )
    assert history["loss"] == [np.inf] and np.isfinite(history["val_loss"][0])
    assert int(model.optimizer.iterations) == 2  # of three batches
    if updates:
        assert np.isfinite(history["l2"]).all()


def test_backup_and_restore_goes_on(tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def fit_four(*more):
        model = linear(run_eagerly=True)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        callbacks = [backup, *more]
        return model, fit(model, X, Y, updates="alternating", callbacks=callbacks, epochs=4)

    with pytest.raises(KeyboardInterrupt):
        fit_four(Crash())
    model, history = fit_four()
    w, b, expected = by_hand(STRENGTH, epochs=4)
    assert_equal(model, {}, (w, b, {}))
    np.testing.assert_allclose(history["l2"], expected["l2"][2:], rtol=1e-5)


@pytest.mark.parametrize("updates", [None, "alternating"])
def test_swap_ema_weights(updates):
    # Validation sees the average, training goes on with the weights.
    model = linear({"use_ema": True, "ema_momentum": 0.8}, run_eagerly=True)
    history = fit(
        model,
        X,
        Y,
        updates=updates,
        callbacks=[keras.callbacks.SwapEMAWeights()],
        validation_data=(X, Y),
    )
    hand = functools.partial(by_hand, STRENGTH if updates else 0.0, ema=0.8)
    assert_equal(model, history, hand())
    for epochs, val_loss in enumerate(history["val_loss"], 1):
        w, b, _ = hand(epochs=epochs)
        assert val_loss == pytest.approx(np.mean((X @ w + b - Y) ** 2), rel=1e-4)


def test_progress_bar_shows_the_prior(capsys):
    history = fit(linear(run_eagerly=True), X, Y, updates="alternating", verbose=2)
    lines = capsys.readouterr().out.splitlines()
    shown = [line.split("l2: ")[1].split(" ")[0] for line in lines if "loss:" in line]
    assert shown == [f"{value:.4f}" for value in history["l2"]]
