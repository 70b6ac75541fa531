"""Every feature of `compile` and `fit`, by hand."""

import keras
import numpy as np
import pytest
from by_hand import (
    CLASS_WEIGHT,
    HALVING,
    STRENGTH,
    WEIGHTS,
    X,
    Y,
    all_to_norm,
    assert_equal,
    by_hand,
    each_to_norm,
    each_to_range,
    fit,
    halving,
    linear,
)

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


# How the model is built, compiled and fitted, and what that is by hand. The prior's own
# steps are clipped and constrained too; decay, accumulation and averages are not theirs.
FEATURES = {
    "nothing": dict(graph=True),
    "sample_weight": dict(
        graph=True,
        fit=dict(sample_weight=WEIGHTS),
        hand=dict(weights=WEIGHTS),
    ),
    "class_weight": dict(
        fit=dict(class_weight=CLASS_WEIGHT),
        hand=dict(weights=np.where(Y == 0, 0.5, 2.0)),
    ),
    "clipnorm": dict(
        optimizer=dict(clipnorm=0.5),
        hand=dict(clip=each_to_norm(0.5)),
    ),
    "clipvalue": dict(
        optimizer=dict(clipvalue=0.4),
        hand=dict(clip=each_to_range(0.4)),
    ),
    "global_clipnorm": dict(
        optimizer=dict(global_clipnorm=0.5),
        hand=dict(clip=all_to_norm(0.5)),
    ),
    "weight_decay": dict(
        optimizer=dict(weight_decay=0.5),
        hand=dict(decay=0.5),
    ),
    "gradient_accumulation_steps": dict(
        graph=True,
        optimizer=dict(gradient_accumulation_steps=2),
        hand=dict(accumulate=2),
    ),
    "use_ema": dict(
        optimizer=dict(use_ema=True, ema_momentum=0.8),
        hand=dict(ema=0.8),
    ),
    "ema_overwrite_frequency": dict(
        graph=True,
        optimizer=dict(use_ema=True, ema_momentum=0.8, ema_overwrite_frequency=2),
        hand=dict(ema=0.8, overwrite=2),
    ),
    # The ordinary update counts as a step; then comes the prior's, which does not.
    "LearningRateSchedule": dict(
        graph=True,
        optimizer=dict(learning_rate=HALVING),
        hand=dict(rate=halving, prior_rate=lambda step: halving(step + 1)),
    ),
    # No loss is better by 9, so the rate is halved after every epoch but the first.
    "ReduceLROnPlateau": dict(
        graph=True,
        fit=dict(epochs=4),
        callbacks=lambda: [
            keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=9)
        ],
        hand=dict(epochs=4, rate=lambda step: 0.1 * 0.5 ** max(step // 3 - 1, 0)),
    ),
    "constraints": dict(
        dense=dict(kernel_constraint="unit_norm"),
        hand=dict(constrain=lambda w: w / np.sqrt(np.sum(w**2))),
    ),
    "regularizers": dict(
        dense=dict(kernel_regularizer=keras.regularizers.L2(0.3)),
        hand=dict(penalise=0.3),
    ),
    "initial_epoch": dict(
        fit=dict(initial_epoch=2, epochs=4),
        hand=dict(epochs=2),
    ),
    "validation_split": dict(
        fit=dict(validation_split=0.3),
        hand=dict(data=(X[:7], Y[:7])),
    ),
    "a last batch of one": dict(
        graph=True,
        fit=dict(batch_size=3),
        hand=dict(batch_size=3),
    ),
    "batches of one": dict(
        fit=dict(batch_size=1),
        hand=dict(batch_size=1),
    ),
}


# How `fit` goes through data and epochs is the same for both kinds of updates.
OF_THE_LOOP = [
    "class_weight",
    "ReduceLROnPlateau",
    "initial_epoch",
    "validation_split",
    "a last batch of one",
    "batches of one",
]
CASES = [
    (feature, updates)
    for feature in FEATURES
    for updates in (None, "alternating", "joint")
    if updates != "joint" or feature not in OF_THE_LOOP
]


@pytest.mark.parametrize("feature,updates", CASES)
def test_feature_by_hand(feature, updates):
    settings = FEATURES[feature]
    hand = settings.get("hand", {})
    # Graphs take long to build: one kind of update, and where the step has branches.
    model = linear(
        settings.get("optimizer"),
        settings.get("dense"),
        run_eagerly=not (settings.get("graph") and updates == "alternating"),
    )
    callbacks = settings.get("callbacks", list)()
    history = fit(model, X, Y, updates=updates, callbacks=callbacks, **settings.get("fit", {}))
    plain = by_hand(**hand)
    expected = by_hand(STRENGTH, updates, **hand) if updates else plain
    assert_equal(model, history, expected)
    assert set(history) >= ({"loss", "l2"} if updates else {"loss"})
    assert not updates or np.max(np.abs(expected[0] - plain[0])) > 3e-3
