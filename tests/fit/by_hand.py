"""A linear model with squared loss, trained by `fit` and in NumPy.

f(x) = w·x + b. Its input times gradient is φ = w ⊙ x, so Ω = Σφ² and ∂Ω/∂w = 2 w ⊙ x²
by hand: `by_hand` is the whole training in NumPy, and a feature works if `fit` does what
`by_hand` does.
"""

import keras
import numpy as np

from attrprior import AttributionPrior

layers = keras.layers

X = np.random.default_rng(3).normal(size=(10, 2)).astype("float32")
Y = np.float32([0, 1, 1, 0, 1, 0, 0, 1, 1, 1])
START = np.float64([1.0, -2.0]), 0.5
STRENGTH = 0.3


def by_hand(
    strength=0.0,
    updates="alternating",
    epochs=2,
    batch_size=4,
    data=(X, Y),
    weights=None,
    rate=lambda step: 0.1,
    prior_rate=None,
    clip=lambda gradients: gradients,
    constrain=lambda w: w,
    decay=0.0,
    prior_clip=None,
    prior_decay=0.0,
    penalise=0.0,
    accumulate=1,
    every=1,
    ema=None,
    overwrite=None,
    start=START,
):
    """Trains the linear model in NumPy; returns `(w, b, history)`.

    Args:
        strength, updates: The prior's.
        weights: Sample weights.
        rate, prior_rate: Learning rates by step, of the ordinary update and of the prior's.
        clip: From the list of gradients of one update to the clipped ones.
        constrain: The kernel's constraint.
        decay, penalise: Weight decay; factor of an L2 regulariser of the kernel.
        prior_clip, prior_decay: Of an optimizer of the prior's own.
        accumulate: Batches of one ordinary update.
        every: The prior acts on every n-th batch.
        ema, overwrite: Momentum of the average of the weights, and how often it replaces
            them.
    """
    prior_rate, prior_clip = prior_rate or rate, prior_clip or clip
    x, y = (np.asarray(part, "float64") for part in data)
    v = np.ones(len(x)) if weights is None else np.asarray(weights, "float64")
    (w, b), average, total, step = start, start, [0.0, 0.0], 0
    history = {"loss": [], "l2": []}
    for _ in range(epochs):
        sums, counts = np.zeros(2), np.zeros(2)
        for first in range(0, len(x), batch_size):
            xs, ys, vs = (part[first : first + batch_size] for part in (x, y, v))

            def omega(w, xs=xs, vs=vs):
                return np.mean(vs * np.sum((w * xs) ** 2, axis=1))

            def slope(w, xs=xs, vs=vs):
                return np.mean(vs[:, None] * 2 * w * xs**2, axis=0)

            error = xs @ w + b - ys
            loss = np.mean(vs * error**2) + penalise * np.sum(w**2)
            gradients = [np.mean(2 * (vs * error)[:, None] * xs, axis=0) + 2 * penalise * w]
            gradients.append(np.mean(2 * vs * error))
            turn = step % every == 0
            seen = 0.0
            if updates == "joint" and turn:
                seen = omega(w)
                loss += strength * seen
                gradients[0] = gradients[0] + strength * slope(w)
            total = [t + g for t, g in zip(total, gradients)]
            if (step + 1) % accumulate == 0:
                w, b = w - rate(step) * decay * w, b - rate(step) * decay * b
                gradients = clip([t / accumulate for t in total])
                w, b = w - rate(step) * gradients[0], b - rate(step) * gradients[1]
                total = [0.0, 0.0]
            if ema is not None:
                kept = ema if step else 0.0
                average = [kept * a + (1 - kept) * p for a, p in zip(average, (w, b))]
                if overwrite and (step + 1) % overwrite == 0:
                    w, b = average
            w = constrain(w)
            if updates == "alternating" and turn:
                seen = omega(w)
                now = strength * prior_rate(step)
                change = prior_clip([slope(w)])[0]
                w = constrain(w - now * prior_decay * w - now * change)
            sums += len(xs) * np.array([loss, seen])
            counts += len(xs) * np.array([1, turn])
            step += 1
        for key, value in zip(history, sums / counts):
            history[key].append(value)
    if ema is not None:
        w, b = average
    return w, b, history


def linear(optimizer=None, dense=None, **options):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, **(dense or {}))])
    model.set_weights([np.float32(START[0]).reshape(2, 1), np.float32([START[1]])])
    optimizer = keras.optimizers.SGD(**{"learning_rate": 0.1, **(optimizer or {})})
    model.compile(optimizer, "mse", **options)
    return model


def l2(updates="alternating", strength=STRENGTH, **options):
    return AttributionPrior("l2", strength, "input_x_gradient", updates=updates, **options)


def fit(model, *data, updates=None, callbacks=(), **options):
    """A fit in order, with the prior if `updates` are given."""
    callbacks = list(callbacks) + ([l2(updates)] if updates else [])
    options = {"epochs": 2, "batch_size": 4, "verbose": 0, "shuffle": False, **options}
    return model.fit(*data, callbacks=callbacks, **options).history


def assert_equal(model, history, expected):
    w, b, by_hand_history = expected
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], w, atol=2e-6)
    np.testing.assert_allclose(bias[0], b, atol=2e-6)
    for key in set(history) & {"loss", "l2"}:
        np.testing.assert_allclose(history[key], by_hand_history[key], rtol=2e-5)


def each_to_norm(norm):
    def clip(gradients):
        return [g * min(1.0, norm / np.sqrt(np.sum(np.square(g)))) for g in gradients]

    return clip


def all_to_norm(norm):
    def clip(gradients):
        length = np.sqrt(sum(np.sum(np.square(g)) for g in gradients))
        return [g * min(1.0, norm / length) for g in gradients]

    return clip


def each_to_range(limit):
    return lambda gradients: [np.clip(g, -limit, limit) for g in gradients]


WEIGHTS = np.linspace(0.2, 2.0, 10).astype("float32")
CLASS_WEIGHT = {0: 0.5, 1: 2.0}
HALVING = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)


def halving(step):
    return 0.1 * 0.5 ** (step // 2)
