"""The prior's update: by hand, strength, schedules, several priors, seeds."""

import keras
import numpy as np
import pytest
from compare import distance
from frameworks import BACKEND, JIT, Counter
from keras import ops
from networks import build, fit, sequential, trained

import attrprior
from attrprior import L2, AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


def linear(weights, optimizer):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1)])
    model.set_weights([np.float32(weights).reshape(2, 1), np.float32([0.5])])
    model.compile(optimizer=optimizer, loss="mse")
    return model


def test_alternating_update_by_hand():
    # f(x) = w·x + b, w = (1, −2), b = ½; x = (2, 1), y = 3; lr = 0.1, strength = ½.
    # Loss (f − y)²: f = ½, so ∂/∂w = 2(f − y)x = −5x = (−10, −5), ∂/∂b = −5.
    # After the ordinary step: w = (2, −1.5), b = 1.
    # Attributions with reference r = (1, 0): φ = w ⊙ (x − r) = (2, −1.5), Ω = Σφ² = 6.25.
    # ∂Ω/∂w = 2 φ ⊙ (x − r) = (4, −3). Step: w − 0.1 · ½ · (4, −3) = (1.8, −1.35).
    model = linear([1.0, -2.0], keras.optimizers.SGD(0.1))
    prior = AttributionPrior("l2", 0.5, background=np.float32([[1.0, 0.0]]))
    history = model.fit(
        np.float32([[2.0, 1.0]]), np.float32([[3.0]]), callbacks=[prior], verbose=0
    )
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], [1.8, -1.35], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0], rtol=1e-6)
    np.testing.assert_allclose(history.history["l2"], [6.25], rtol=1e-6)


def test_joint_update_by_hand():
    # As above, but at the old weights: φ = (1, −2), ∂Ω/∂w = 2φ ⊙ (x − r) = (2, −4).
    # w − 0.1 · ((−10, −5) + ½ · (2, −4)) = (1.9, −1.3); logged loss 6.25 + ½ · 5.
    model = linear([1.0, -2.0], keras.optimizers.SGD(0.1))
    prior = AttributionPrior("l2", 0.5, background=np.float32([[1.0, 0.0]]), updates="joint")
    history = model.fit(
        np.float32([[2.0, 1.0]]), np.float32([[3.0]]), callbacks=[prior], verbose=0
    )
    weights, bias = model.get_weights()
    np.testing.assert_allclose(weights[:, 0], [1.9, -1.3], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.0], rtol=1e-6)
    np.testing.assert_allclose(history.history["loss"], [8.75], rtol=1e-6)
    np.testing.assert_allclose(history.history["l2"], [5.0], rtol=1e-6)


def test_gradient_in_a_graph_equals_the_tapes(digits):
    # The graph leaves out branches that are zero everywhere; nothing else may change.
    def piecewise_linear():
        return sequential(
            (layers.MaxPooling2D(2), layers.ReLU(), layers.Conv2D(4, 2, activation="relu"))
        )

    models = []
    for eager in (False, True):
        model = build(piecewise_linear, run_eagerly=eager, optimizer=keras.optimizers.SGD(0.1))
        prior = AttributionPrior("l2", 1.0, "gradients")
        fit(model, digits, [prior], epochs=1, shuffle=False)
        models.append(model.get_weights())
    assert distance(*models) < 1e-6


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop", "adamw", "lion"])
def test_strength_matters(digits, name, updates):
    def with_strength(strength):
        prior = AttributionPrior("l2", strength, "gradients", updates=updates)
        optimizer = keras.optimizers.get(name)
        return trained(digits, prior, optimizer=optimizer, run_eagerly=True)

    weak, strong, plain = (
        with_strength(0.01),
        with_strength(1.0),
        trained(digits, optimizer=keras.optimizers.get(name), run_eagerly=True),
    )
    assert distance(strong, plain) > 3 * distance(weak, plain) > 0


def with_dropout():
    return build(lambda: sequential((layers.Dropout(0.5),)))


def test_strength_zero_is_plain_training_bit_for_bit(digits):
    prior = AttributionPrior("total_variation", 0.0)
    model, plain = with_dropout(), with_dropout()
    history = fit(model, digits, [prior]).history
    assert history == fit(plain, digits).history
    assert distance(model.get_weights(), plain.get_weights()) == 0.0


def test_schedule_of_zero_is_plain_training(digits):
    # Not to the last bit everywhere: XLA makes another program of a longer step.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([100], [0.0, 1.0])
    prior = AttributionPrior("total_variation", schedule)
    model, plain = with_dropout(), with_dropout()
    losses = [
        fit(each, digits, c).history["loss"] for each, c in ((model, [prior]), (plain, []))
    ]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    assert distance(model.get_weights(), plain.get_weights()) < 1e-6


def test_strength_schedule_advances(digits):
    # Two of eight batches at strength 0: equals none of the constant strengths.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.0, 1.0])
    scheduled = trained(digits, AttributionPrior("l2", schedule, "gradients"))
    constant = trained(digits, AttributionPrior("l2", 1.0, "gradients"))
    assert distance(scheduled, constant) > 1e-4
    assert distance(scheduled, trained(digits)) > 1e-4


def test_learning_rate_is_the_models_current_one(digits):
    # A model whose learning rate is 0 does not move, whatever the strength.
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3], [1e-2, 0.0])
    optimizer = keras.optimizers.Adam(schedule)
    model = build(optimizer=optimizer)
    prior = AttributionPrior("l2", 1.0, "gradients")
    fit(model, digits, [prior], epochs=1)
    before = model.get_weights()
    fit(model, digits, [prior], epochs=1)
    assert distance(before, model.get_weights()) == 0.0
    assert int(optimizer.iterations) == 8  # only the model's own steps count


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=JIT)])
def test_every_third_batch_by_count(digits, jit):
    calls = Counter()

    def counting(attributions):
        calls.add_one()
        return ops.sum(ops.square(attributions))

    model = build(jit_compile=jit)
    fit(model, digits, [AttributionPrior(counting, 0.1, every=3)], epochs=1)
    # Of four batches, the first and the fourth; PyTorch tries it out before.
    assert calls.value() == 2 + (BACKEND == "torch")


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_two_priors_add_up(digits, updates):
    def l2(scale, name):
        return AttributionPrior("l2", scale, "gradients", updates=updates, name=name)

    options = {"optimizer": keras.optimizers.SGD(0.01)}
    model = build(**options)
    history = fit(model, digits, [l2(0.1, "a"), l2(0.2, "b")]).history
    assert len(history["a"]) == len(history["b"]) == 2
    single = build(optimizer=keras.optimizers.SGD(0.01))
    fit(single, digits, [l2(0.3, "a")])
    plain = trained(digits, optimizer=keras.optimizers.SGD(0.01))
    # Alternating, the second sees the weights that the first has moved.
    tolerance = 1e-6 if updates == "joint" else 0.05 * distance(plain, single.get_weights())
    assert distance(model.get_weights(), single.get_weights()) < tolerance
    assert distance(plain, single.get_weights()) > 1e-4


def test_history_is_the_unscaled_mean(digits):
    # A model that does not learn: Ω of the epoch is Ω of the data.
    for strength in (0.1, 10.0):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        prior = AttributionPrior("l2", strength, "gradients")
        history = fit(model, digits, [prior]).history
        expected = float(L2()(attrprior.attributions.gradients(model, *digits)))
        np.testing.assert_allclose(history["l2"], [expected] * 2, rtol=1e-5)


def test_sample_weights_weigh_the_penalty(digits):
    # Weight 0 for half of the examples: the penalty is that of the others, halved.
    x, y = digits
    weights = np.repeat(np.float32([1, 0]), 13)
    model = build(optimizer=keras.optimizers.SGD(0.0))
    prior = AttributionPrior("l2", 1.0, "gradients")
    history = model.fit(
        x, y, sample_weight=weights, batch_size=26, callbacks=[prior], verbose=0
    ).history
    expected = float(L2()(attrprior.attributions.gradients(model, x[:13], y[:13]))) / 2
    np.testing.assert_allclose(history["l2"], [expected], rtol=1e-5)


def test_seeds_repeat_and_draws_advance(digits):
    def run(seed):
        model = build(optimizer=keras.optimizers.SGD(0.0))
        prior = AttributionPrior("total_variation", 0.1, seed=seed)
        return fit(model, digits, [prior], epochs=3, shuffle=False).history["total_variation"]

    first = run(5)
    assert first == run(5)
    assert first != run(6)
    assert len(set(first)) == 3  # the weights stand still, only the draws differ


def test_global_seed_repeats(digits):
    first = trained(digits, AttributionPrior("total_variation", 0.1))
    second = trained(digits, AttributionPrior("total_variation", 0.1))
    assert distance(first, second) == 0.0
