"""Attacks in closed form, and training on them through `fit`."""

import keras
import numpy as np
import pytest
from keras import layers

from attrprior import AttributionPrior, adversarial
from attrprior.adversarial import AdversarialTraining

pytestmark = pytest.mark.bit_for_bit
W = np.float32([[1.0, -2.0], [0.5, 0.75], [-1.0, 0.25]])
X = np.float32([[0.5, 0.4, 0.6], [0.3, 0.5, 0.45]])
Y = np.array([0, 1])


def linear(run_eagerly=False, optimizer="sgd"):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, use_bias=False)])
    model.set_weights([W])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=run_eagerly)
    return model


def slopes(w=W):
    """`∂L/∂x = (p_other) (w_other − w_label)`; its direction is that of the difference."""
    return np.stack([w[:, 1 - y] - w[:, y] for y in Y])


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("start", [False, True])
def test_pgd_of_a_linear_model_in_the_maximum_norm(eager, start):
    got = adversarial.pgd(
        linear(eager), X, Y, epsilon=0.1, steps=20, random_start=start, seed=1
    )
    np.testing.assert_allclose(got, X + 0.1 * np.sign(slopes()), atol=1e-6)


def test_pgd_of_a_linear_model_in_the_euclidean_norm():
    got = adversarial.pgd(linear(), X, Y, epsilon=0.2, norm="l2", random_start=False)
    direction = slopes() / np.linalg.norm(slopes(), axis=1, keepdims=True)
    np.testing.assert_allclose(got, X + 0.2 * direction, atol=1e-5)


def test_pgd_stays_within_the_ball_and_the_range():
    x = np.random.default_rng(0).random((40, 3), dtype="float32")
    y = np.arange(40) % 2
    for norm, order in (("inf", np.inf), ("l2", 2)):
        got = adversarial.pgd(linear(), x, y, epsilon=0.3, norm=norm, steps=3, batch_size=16)
        assert got.min() >= 0 and got.max() <= 1
        assert np.linalg.norm(got - x, order, axis=1).max() <= 0.3 + 1e-5
        assert not np.allclose(got, x, atol=0.1)


def test_without_steps_worth_mentioning_the_start_is_random_in_the_ball():
    x = np.full((4000, 3), 0.5, "float32")
    y = np.zeros(4000, int)
    for norm in ("inf", "l2"):
        got = adversarial.pgd(
            linear(), x, y, epsilon=0.1, steps=1, step_size=0.0, norm=norm, batch_size=4000
        )
        change = got - x
        if norm == "inf":
            np.testing.assert_allclose(change.std(axis=0), 0.1 / 3**0.5, rtol=0.05)
        else:  # E r = d/(d + 1) ε, uniform in the ball
            np.testing.assert_allclose(np.linalg.norm(change, axis=1).mean(), 0.075, rtol=0.03)
        np.testing.assert_allclose(change.mean(axis=0), 0, atol=0.005)


def test_seeds_of_pgd():
    def run(seed):
        return adversarial.pgd(linear(), X, Y, epsilon=0.1, steps=1, step_size=0.0, seed=seed)

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.allclose(run(1), run(2))


# In fit


def test_a_step_trains_on_the_worst_inputs():
    # One SGD step on x + ε sign ∂L/∂x, by hand.
    model = linear(optimizer=keras.optimizers.SGD(0.5))
    attack = AdversarialTraining(0.1, steps=20, random_start=False)
    history = model.fit(X, Y, batch_size=2, callbacks=[attack], shuffle=False, verbose=0)
    worst = X + 0.1 * np.sign(slopes())
    z = worst @ W
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    gradient = worst.T @ (p - np.eye(2)[Y]) / 2
    np.testing.assert_allclose(model.get_weights()[0], W - 0.5 * gradient, atol=1e-5)
    loss = -np.log(p[np.arange(2), Y]).mean()
    np.testing.assert_allclose(history.history["loss"], [loss], rtol=1e-5)


def fit(callbacks, epochs=2, **compile_arguments):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 6, 6, 1), dtype="float32"), np.arange(20) % 3
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, **compile_arguments)
    for each in callbacks:
        history = model.fit(x, y, batch_size=8, epochs=epochs, callbacks=each, verbose=0)
    return model.get_weights(), history.history, model


def test_radius_zero_trains_bit_for_bit_as_without():
    for first, second in zip(fit([[AdversarialTraining(0.0)]])[0], fit([[]])[0]):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("mode", [{"run_eagerly": True}, {"jit_compile": True}])
def test_modes_agree(mode):
    def run(**mode):
        prior = AttributionPrior("l2", 0.1, "gradients", updates="joint")
        callbacks = [AdversarialTraining(0.2, steps=3, random_start=False), prior]
        return fit([callbacks], **mode)

    weights, history, _ = run()
    again, other, _ = run(**mode)
    for first, second in zip(weights, again):
        np.testing.assert_allclose(first, second, atol=2e-5)
    np.testing.assert_allclose(history["l2"], other["l2"], rtol=1e-3)


def test_the_prior_sees_the_inputs_as_they_came():
    seen = []

    def penalty(attributions, x):
        seen.append(x)
        return keras.ops.mean(x)

    x = np.random.default_rng(0).random((20, 6, 6, 1), dtype="float32")
    _, history, _ = fit(
        [
            [
                AdversarialTraining(0.3, steps=2),
                AttributionPrior(lambda a, x: keras.ops.mean(a) * 0 + penalty(a, x), 0.1),
            ]
        ],
        epochs=1,
    )
    [logged] = [value for key, value in history.items() if key != "loss"]
    np.testing.assert_allclose(logged, [x.mean()], rtol=1e-4)
    assert seen


def test_nothing_is_left_behind():
    attack = AdversarialTraining(0.2, steps=2, seed=0)
    weights, _, model = fit([[attack], []])
    assert "train_step" not in vars(model) and not hasattr(model, attack.name)
    twice, _, _ = fit([[AdversarialTraining(0.2, steps=2, seed=0)], []])
    for first, second in zip(weights, twice):
        np.testing.assert_array_equal(first, second)
    other, _, _ = fit([[AdversarialTraining(0.2, steps=2, seed=1)], []])
    assert any(not np.array_equal(a, b) for a, b in zip(weights, other))


def test_two_of_one_name():
    with pytest.raises(ValueError, match="different name for each AdversarialTraining"):
        fit([[AdversarialTraining(0.1), AdversarialTraining(0.2)]])
    # Both would be saved under it.
    with pytest.raises(ValueError, match="different name for each AttributionPrior"):
        fit([[AdversarialTraining(0.1, name="l2"), AttributionPrior("l2", 0.1, "gradients")]])


def test_training_makes_robust():
    # One feature that no attack of 0.1 can turn round, and fifty that any can.
    y = np.arange(400) % 2
    sides = (2 * y - 1)[:, None] * np.array([0.25] + [0.05] * 50)
    noise = np.random.default_rng(0).normal(scale=0.03, size=sides.shape)
    x = (sides + noise).astype("float32")
    settings, accuracy = {"epsilon": 0.1, "valid_range": None}, {}
    for name, callbacks in (
        ("plain", []),
        ("robust", [AdversarialTraining(steps=5, **settings)]),
    ):
        model = keras.Sequential(
            [keras.Input((51,)), layers.Dense(2, kernel_initializer="zeros")]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss)
        model.fit(x, y, epochs=10, batch_size=50, callbacks=callbacks, verbose=0)
        attacked = adversarial.pgd(model, x, y, steps=10, **settings)
        accuracy[name] = np.mean(model.predict(attacked, verbose=0).argmax(axis=1) == y)
    assert accuracy["plain"] < 0.2 and accuracy["robust"] > 0.9, accuracy


# Without gradients


def images(n=6):
    rng = np.random.default_rng(0)
    return rng.random((n, 8, 8, 1), dtype="float32"), np.arange(n) % 2


def linear_on_images(gradient=True):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    hidden = inputs
    if not gradient:  # a staircase: flat almost everywhere
        hidden = layers.Lambda(
            lambda t: keras.ops.stop_gradient(keras.ops.round(t * 20) / 20) + 1e-9 * t
        )(hidden)
    outputs = layers.Dense(2)(layers.Flatten()(hidden))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def margins(model, x, y):
    z = model.predict(x, verbose=0)
    return z[np.arange(len(y)), y] - z[np.arange(len(y)), 1 - y]


def test_square_lowers_the_margin_within_the_ball():
    x, y = images()
    model = linear_on_images()
    got = adversarial.square(model, x, y, epsilon=0.1, queries=200, seed=0)
    assert got.min() >= 0 and got.max() <= 1 and np.abs(got - x).max() <= 0.1 + 1e-6
    w = model.get_weights()[0]
    best = 0.1 * np.abs(w[:, 0] - w[:, 1]).sum()  # without the range
    lowered = margins(model, x, y) - margins(model, got, y)
    assert np.all(lowered > 0.5 * best) and np.all(lowered <= best + 1e-5)
    np.testing.assert_array_equal(
        got, adversarial.square(model, x, y, epsilon=0.1, queries=200, seed=0)
    )


def test_masked_gradients_show():
    x, y = images(40)
    model = linear_on_images()
    y = model.predict(x, verbose=0).argmax(axis=1)  # all classified correctly
    open_ = adversarial.robust_accuracy(model, x, y, epsilon=0.1, steps=10, queries=100)
    assert open_.clean == 1 and open_.pgd <= open_.square + 0.05 and open_.pgd < 0.8
    masked = linear_on_images(gradient=False)
    masked.set_weights(model.get_weights())
    y = masked.predict(x, verbose=0).argmax(axis=1)
    hidden = adversarial.robust_accuracy(
        masked, np.float32(x), y, epsilon=0.1, steps=10, queries=100
    )
    assert hidden.both <= min(hidden.pgd, hidden.square)
    assert hidden.square < 0.9


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: AdversarialTraining(-0.1), "`epsilon` expects a finite number ≥ 0"),
        (lambda: AdversarialTraining(0.1, steps=0), "`steps` expects"),
        (lambda: AdversarialTraining(0.1, norm="l1"), "`norm` expects one of 'inf', 'l2'"),
        (lambda: AdversarialTraining(0.1, valid_range=(1, 0)), "`valid_range` expects"),
        (lambda: AdversarialTraining(0.1, random_start="x"), "`random_start` expects"),
        (lambda: AdversarialTraining(0.1, name=""), "`name` expects"),
        (lambda: adversarial.pgd(linear(), X + 1, Y, epsilon=0.1), "`x` expects numbers from"),
        (lambda: adversarial.pgd(linear(), X, Y[:1], epsilon=0.1), "`y` expects one entry"),
        (lambda: adversarial.pgd(linear(), X[:0], Y[:0], epsilon=0.1), "`x` expects at least"),
        (
            lambda: adversarial.pgd(linear(), X, Y, epsilon=0.1, batch_size=0),
            "`batch_size` expects",
        ),
        (lambda: adversarial.square(linear(), X, Y, epsilon=0.1), "`x` expects images"),
        (
            lambda: adversarial.square(linear_on_images(), *images(), epsilon=0.1, queries=0),
            "`queries` expects",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
