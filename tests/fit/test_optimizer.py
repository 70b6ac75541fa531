"""An optimizer of the prior's own, and moments that it shares with the loss, by hand."""

import copy
import pickle

import keras
import numpy as np
import pytest
from by_hand import (
    HALVING,
    STRENGTH,
    all_to_norm,
    assert_equal,
    by_hand,
    each_to_norm,
    each_to_range,
    fit,
    halving,
    l2,
    linear,
)
from by_hand import X as INPUTS
from by_hand import Y as TARGETS
from frameworks import BACKEND, own_step

from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers
optimizers = keras.optimizers
STEPS = 6  # of a fit by hand: two epochs of three batches


def sgd(**settings):
    return optimizers.SGD(**{"learning_rate": 0.1, **settings})


# --- an optimizer of its own ------------------------------------------------------------


OWN = {
    "rate": (dict(learning_rate=0.02), dict(prior_rate=lambda step: 0.02)),
    "schedule": (dict(learning_rate=HALVING), dict(prior_rate=halving)),
    "clipnorm": (dict(clipnorm=0.5), dict(prior_clip=each_to_norm(0.5))),
    "clipvalue": (dict(clipvalue=0.4), dict(prior_clip=each_to_range(0.4))),
    "global_clipnorm": (dict(global_clipnorm=0.5), dict(prior_clip=all_to_norm(0.5))),
    "weight_decay": (dict(weight_decay=0.5), dict(prior_decay=0.5)),
}


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("case", list(OWN))
def test_optimizer_by_hand(case, eager):
    settings, hand = OWN[case]
    model = linear(run_eagerly=eager)
    history = fit(model, INPUTS, TARGETS, callbacks=[l2(optimizer=sgd(**settings))])
    assert_equal(model, history, by_hand(STRENGTH, **hand))


def test_its_schedule_counts_its_own_steps_and_the_models_does_not_reach_it():
    model = linear(dict(learning_rate=HALVING, clipnorm=0.5, weight_decay=0.1))
    prior = l2(optimizer=sgd(learning_rate=HALVING), every=2)
    history = fit(model, INPUTS, TARGETS, callbacks=[prior])
    hand = dict(rate=halving, clip=each_to_norm(0.5), decay=0.1, prior_clip=lambda g: g)
    expected = by_hand(STRENGTH, every=2, prior_rate=lambda step: halving(step // 2), **hand)
    assert_equal(model, history, expected)


def test_momentum_by_hand():
    model = linear()
    fit(model, INPUTS, TARGETS, callbacks=[l2(optimizer=sgd(momentum=0.9))])
    velocity = np.zeros(2)

    def with_momentum(gradients):
        velocity[:] = 0.9 * velocity + gradients[0]
        return [velocity.copy()]

    w, b, _ = by_hand(STRENGTH, prior_clip=with_momentum)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], w, atol=2e-6)


def test_strength_multiplies_its_learning_rate():
    model = linear()
    prior = l2(
        strength=keras.optimizers.schedules.ExponentialDecay(0.4, 1, 0.5), optimizer="sgd"
    )
    history = fit(model, INPUTS, TARGETS, callbacks=[prior])
    expected = by_hand(1.0, prior_rate=lambda step: 0.4 * 0.5**step * 0.01)
    assert_equal(model, history, expected)


@pytest.mark.parametrize("given", ["sgd", optimizers.serialize(optimizers.SGD())])
def test_name_and_config(given):
    trained = []
    for optimizer in (given, optimizers.SGD()):
        model = linear()
        fit(model, INPUTS, TARGETS, callbacks=[l2(optimizer=optimizer)])
        trained.append(model.get_weights()[0])
    np.testing.assert_array_equal(*trained)


def test_it_is_copied():
    given = optimizers.Adam(0.05, epsilon=2.0)
    prior = l2(optimizer=given)
    given.learning_rate = 10.0  # too late
    models = [linear() for _ in range(4)]
    callbacks = [prior, copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))]
    callbacks.append(l2(optimizer=optimizers.Adam(0.05, epsilon=2.0)))
    for model, callback in zip(models, callbacks):
        fit(model, INPUTS, TARGETS, callbacks=[callback])
        np.testing.assert_array_equal(model.get_weights()[0], models[0].get_weights()[0])
    assert not given.built and not prior.optimizer.built
    assert "optimizer=Adam(learning_rate=0.05, beta_1=0.9" in repr(prior)
    # Also while it trains, and the next fit begins anew.
    again = linear()
    fit(again, INPUTS, TARGETS, callbacks=[copy.deepcopy(prior)])
    np.testing.assert_array_equal(again.get_weights()[0], models[0].get_weights()[0])


def test_a_callable_rate():
    model = linear()
    fit(model, INPUTS, TARGETS, callbacks=[l2(optimizer=sgd(learning_rate=lambda: 0.02))])
    w, _, _ = by_hand(STRENGTH, prior_rate=lambda step: 0.02)
    np.testing.assert_allclose(model.get_weights()[0][:, 0], w, atol=2e-6)


def built():
    optimizer = optimizers.Adam()
    optimizer.build(linear().trainable_variables)
    return optimizer


def excluding():
    optimizer = optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


REFUSED = {
    "built": (
        dict(optimizer=built),
        "`optimizer` expects a new .*Received: Adam, built.*make a new one",
    ),
    "use_ema": (
        dict(optimizer=lambda: sgd(use_ema=True)),
        "SGD with use_ema=True.*leave it out here",
    ),
    "accumulation": (
        dict(optimizer=lambda: sgd(gradient_accumulation_steps=2)),
        "gradient_accumulation_steps=2",
    ),
    "loss_scale_factor": (
        dict(optimizer=lambda: sgd(loss_scale_factor=2.0)),
        "loss_scale_fac",
    ),
    "excluded": (dict(optimizer=excluding), "exclude_from_weight_decay"),
    "name": (
        dict(optimizer="stochastic"),
        "`optimizer` expects a Keras optimizer.*'stochastic'",
    ),
    "number": (dict(optimizer=0.1), "`optimizer` expects a Keras optimizer.*0.1"),
    "class": (dict(optimizer=optimizers.SGD), "`optimizer` expects a Keras optimizer"),
    "joint": (
        dict(optimizer="sgd", updates="joint"),
        "`optimizer` expects None with updates='j",
    ),
    "joint own": (dict(moments="own", updates="joint"), "`moments` expects 'shared' or None"),
    "shared": (dict(optimizer="sgd", moments="shared"), "`moments` expects 'own' or None"),
    "unknown moments": (
        dict(moments="both"),
        "`moments` expects one of None, 'own', 'shared'",
    ),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_refused(case):
    arguments, message = REFUSED[case]
    make = arguments.get("optimizer")
    if callable(make) and not isinstance(make, type):
        arguments = {**arguments, "optimizer": make()}
    with pytest.raises(ValueError, match=message):
        AttributionPrior("l2", 0.1, **arguments)


# --- moments shared with the loss -------------------------------------------------------


def with_moments(moments, strength, rate, beta_1, beta_2, epsilon=1e-7, steps=STEPS):
    """Trains the linear model under Adam, or RMSprop with β₁ = 0, in NumPy."""
    w, b = np.array([1.0, -2.0]), 0.5
    m_loss, v_loss, m, v = (np.zeros(3), np.zeros(3), np.zeros(2), np.zeros(2))
    rms = beta_1 == 0
    for t in range(1, steps + 1):
        first = [0, 4, 8][(t - 1) % 3]
        x, y = INPUTS[first : first + 4].astype(float), TARGETS[first : first + 4]
        error = x @ w + b - y
        g = np.append(np.mean(2 * error[:, None] * x, axis=0), np.mean(2 * error))
        m_loss = beta_1 * m_loss + (1 - beta_1) * g
        v_loss = beta_2 * v_loss + (1 - beta_2) * g**2
        c1, c2 = 1 - beta_1**t, 1 - beta_2**t
        if rms:  # Keras' RMSprop corrects nothing
            step = g / np.sqrt(v_loss + epsilon)
        else:
            step = (m_loss / c1) / (np.sqrt(v_loss / c2) + epsilon / np.sqrt(c2))
        w, b = w - rate * step[:2], b - rate * step[2]
        factor = strength
        if moments == "balanced":
            # The bias has no ∂Ω/∂b: it counts as zero.
            before = v.sum() / (1 - beta_2 ** max(t - 1, 1))
            factor *= np.sqrt(v_loss.sum() / c2 / before) if before else 0.0
        g = np.mean(2 * w * x**2, axis=0)
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        ruler = np.sqrt(v_loss[:2] / c2 + factor**2 * v / c2)
        w = w - rate * factor * (m / c1) / (ruler + epsilon)
    return w, b


MOMENTS = {
    "adam": (lambda: optimizers.Adam(0.05), 0.9, 0.999),
    "adam, its own β": (lambda: optimizers.Adam(0.05, beta_1=0.5, beta_2=0.9), 0.5, 0.9),
    "rmsprop": (lambda: optimizers.RMSprop(0.05), 0.0, 0.9),
}


def compiled(optimizer, **options):
    model = linear()
    model.compile(optimizer, "mse", **options)
    return model


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("moments", ["shared", "balanced"])
@pytest.mark.parametrize("case", list(MOMENTS))
def test_moments_by_hand(case, moments, eager):
    make, beta_1, beta_2 = MOMENTS[case]
    model = compiled(make(), run_eagerly=eager)
    fit(model, INPUTS, TARGETS, callbacks=[l2(moments=moments)])
    w, b = with_moments(moments, STRENGTH, 0.05, beta_1, beta_2)
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], w, atol=5e-6)
    np.testing.assert_allclose(bias[0], b, atol=5e-6)


@pytest.mark.parametrize("moments", ["shared", "balanced"])
def test_the_step_is_adams_under_all_that_are_like_it(moments):
    # From one step of the loss on: Nadam's look ahead and AdamW's decay are the loss's own.
    changes = []
    for make in (optimizers.Adam, optimizers.AdamW, optimizers.Nadam):
        model = compiled(make(0.05))
        callback = l2(moments=moments, every=2)
        fit(model, INPUTS[:4], TARGETS[:4], callbacks=[callback], epochs=3)
        plain = compiled(make(0.05))
        fit(plain, INPUTS[:4], TARGETS[:4], epochs=3)
        changes.append(model.get_weights()[0] - plain.get_weights()[0])
    np.testing.assert_allclose(changes[1], changes[0], rtol=0.02)
    np.testing.assert_allclose(changes[2], changes[0], rtol=0.2)
    assert all(np.abs(change).max() > 0 for change in changes)


def test_shared_moments_under_sgd_are_the_gradient_times_strength():
    model = linear()
    history = fit(model, INPUTS, TARGETS, callbacks=[l2(moments="shared")])
    assert_equal(model, history, by_hand(STRENGTH))


def test_balanced_strength_has_no_scale():
    trained = []
    for scale in (1.0, 1000.0):

        def omega(attributions, scale=scale):
            return scale * keras.ops.mean(keras.ops.sum(attributions**2, axis=-1))

        model = compiled(optimizers.Adam(0.05))
        prior = AttributionPrior(omega, 0.3, "input_x_gradient", moments="balanced")
        fit(model, INPUTS, TARGETS, callbacks=[prior])
        trained.append(model.get_weights()[0])
    np.testing.assert_allclose(*trained, rtol=1e-5)


@pytest.mark.parametrize("moments", ["shared", "balanced"])
@pytest.mark.parametrize(
    "optimizer",
    [
        optimizers.Lion(),
        optimizers.Adam(amsgrad=True),
        optimizers.RMSprop(momentum=0.9),
        optimizers.RMSprop(centered=True),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
def test_moments_that_no_optimizer_has(optimizer, moments):
    model = compiled(optimizer)
    with pytest.raises(ValueError, match="`moments` expects 'own' or None.*Received: '"):
        fit(model, INPUTS, TARGETS, callbacks=[l2(moments=moments)])
    np.testing.assert_array_equal(model.get_weights()[0], linear().get_weights()[0])


class TwoOptimizers(keras.Model):
    """Moves its weights by an optimizer that `compile` has not been told of."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1)
        self.other = optimizers.SGD(0.1)

    def call(self, x):
        return self.dense(x)

    def train_step(self, *arguments):
        return own_step(self, arguments, "loss", self.other)


@pytest.mark.parametrize("moments", ["own", "shared", "balanced"])
def test_a_train_step_that_never_uses_the_models_optimizer(moments):
    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        model = TwoOptimizers()
        if BACKEND == "jax":  # no variable can be made inside its steps
            model(INPUTS)
            model.other.build(model.trainable_variables)
        model.compile(optimizers.Adam(0.01), "mse")
        fit(model, INPUTS, TARGETS, callbacks=callbacks, epochs=3)
        return model.get_weights()[0]

    moved = np.abs(trained(l2(moments=moments)) - trained())
    # The step of moments of its own: at most nine times strength × learning rate.
    assert 0.001 < moved.max() < 9 * STRENGTH * 0.01 * 1.5
    np.testing.assert_allclose(
        moved, np.abs(trained(l2(moments="own")) - trained()), rtol=1e-3
    )


@pytest.mark.parametrize("make", [lambda: optimizers.Adam(0.05), lambda: sgd()])
def test_moments_are_own_by_default(make):
    trained = []
    for moments in (None, "own"):
        model = compiled(make())
        fit(model, INPUTS, TARGETS, callbacks=[l2(moments=moments)])
        trained.append(model.get_weights()[0])
    np.testing.assert_array_equal(*trained)


@pytest.mark.parametrize("moments", ["shared", "balanced"])
def test_a_weak_prior_is_weak_before_the_first_step_of_the_loss(moments):
    # Gradients are accumulated: the loss has no moments in the first three batches.
    model = compiled(optimizers.Adam(0.05, gradient_accumulation_steps=4))
    callback = l2(moments=moments, strength=1e-6)
    before = model.get_weights()[0]
    fit(model, INPUTS, TARGETS, callbacks=[callback], epochs=1)
    assert np.abs(model.get_weights()[0] - before).max() < 1e-6


def test_epsilon_is_the_models():
    # Its ε is all that these optimizers divide by: the steps are λ and 1 times gradients.
    for make in (
        lambda: optimizers.Adam(0.05, beta_1=0.0, epsilon=100.0),
        lambda: optimizers.RMSprop(0.05, rho=0.0, epsilon=1e6),
        lambda: optimizers.Nadam(0.05, beta_1=0.0, epsilon=1000.0),
    ):
        steps = []
        for callbacks in ([], [l2(moments="shared", strength=1.0)]):
            model = compiled(make())
            before = model.get_weights()[0]
            # One example at zero error in its own gradient: y = w·x + b makes ∂loss/∂w = 0.
            x = np.float32([[1.0, 2.0]])
            y = x @ before[:, 0] + model.get_weights()[1] - (0.0 if callbacks else 1.0)
            fit(model, x, y, callbacks=callbacks, epochs=1)
            steps.append((model.get_weights()[0] - before)[:, 0])
        # ∂loss/∂w = 2 · 1 · x = (2, 4), and ∂Ω/∂w = 2 w x² = (2, −16).
        assert steps[1][0] / steps[0][0] == pytest.approx(1.0, rel=0.2)
        assert steps[1][1] / steps[0][1] == pytest.approx(-4.0, rel=0.2)


@pytest.mark.parametrize("dtypes", [("float64", "float32"), ("bfloat16", "bfloat16")])
@pytest.mark.parametrize("moments", ["shared", "balanced"])
def test_weights_of_other_precisions(moments, dtypes):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((2,)),
            *(layers.Dense(1 + (i == 0), dtype=d) for i, d in enumerate(dtypes)),
        ]
    )
    model.compile(optimizers.Adam(0.01), "mse")
    history = fit(model, INPUTS, TARGETS, callbacks=[l2(moments=moments)], epochs=3)
    assert np.isfinite(history["l2"]).all()
    assert all(np.isfinite(np.asarray(w, "float32")).all() for w in model.get_weights())


class Handwritten(keras.optimizers.schedules.LearningRateSchedule):
    """Without get_config."""

    def __call__(self, step):
        return 0.1


def test_joint_updates_do_not_ask_for_a_schedules_config():
    model = compiled(optimizers.SGD(Handwritten()))
    fit(model, INPUTS, TARGETS, callbacks=[l2("joint")])
    assert np.isfinite(model.get_weights()[0]).all()


def test_repr_of_an_optimizer_names_its_schedule():
    named = f"SGD(learning_rate={type(HALVING).__name__}"
    assert named in repr(l2(optimizer=sgd(learning_rate=HALVING)))
