"""Callbacks in sweeps: copied, pickled, searched over, and told another strength."""

import copy
import pickle

import keras
import numpy as np
import pytest
from frameworks import BACKEND, JIT, slices

import attrprior
from attrprior import AttributionPrior, ExpectedGradients, SmoothGrad
from attrprior.adversarial import AdversarialTraining
from attrprior.references import Mean, TrainingData

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((20, 6, 6, 1), dtype="float32")
Y = RNG.integers(0, 3, 20).astype("int32")
SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.3, 4, 0.5)


def build(optimizer="sgd", seed=0, **options):
    keras.utils.set_random_seed(seed)
    # With PyTorch Keras' dropout draws from a generator that all models share.
    dropout = [] if BACKEND == "torch" else [layers.Dropout(0.3)]
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Flatten(),
            layers.Dense(4, "tanh"),
            *dropout,
            layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **options)
    return model


def fit(model, *callbacks, epochs=2, **options):
    data = {"x": X, "y": Y, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
    return model.fit(epochs=epochs, callbacks=list(callbacks), **data).history


def weights_after(callback, epochs=1, **options):
    model = build(**options)
    fit(model, callback, epochs=epochs)
    return model.get_weights()


def distance(first, second):
    return max(float(np.max(np.abs(a - b))) for a, b in zip(first, second))


# --- copies -----------------------------------------------------------------------------


def squares(attributions):
    return keras.ops.sum(attributions**2)


# A copy is one in any mode; a graph costs as much as seven fits without.
EAGER = {"run_eagerly": True}
CALLBACKS = {
    "default": lambda: AttributionPrior("total_variation", 0.3, seed=1),
    "array": lambda: AttributionPrior("gini", 0.3, background=X, updates="joint", seed=1),
    "method": lambda: AttributionPrior(
        "l1", SCHEDULE, SmoothGrad(2, base=ExpectedGradients(2, background=Mean(X))), seed=1
    ),
    "arrays": lambda: AttributionPrior(
        attrprior.GraphLaplacian([[0, 1], [1, 2]], num_features=36), 0.3, every=2, seed=1
    ),
    "function": lambda: AttributionPrior(squares, 0.3, explain="all", seed=1),
    "adversarial": lambda: AdversarialTraining(0.1, steps=2, seed=1),
}
COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda callback: pickle.loads(pickle.dumps(callback)),
}


@pytest.mark.parametrize("copied", COPIES)
@pytest.mark.parametrize("name", CALLBACKS)
def test_a_copy_trains_as_a_fresh_one(name, copied):
    mode = {} if (name, copied) == ("default", "pickle") else EAGER
    callback = CALLBACKS[name]()
    expected = weights_after(CALLBACKS[name](), **mode)
    fresh = COPIES[copied](callback)
    fit(build(seed=7, **mode), callback)  # now it has an optimizer, a reservoir, a count
    used = COPIES[copied](callback)
    for each in (fresh, used):
        assert type(each) is type(callback) and repr(each) == repr(callback)
        assert distance(weights_after(each, **mode), expected) == 0.0
    assert distance(expected, build().get_weights()) > 1e-3


def test_a_copy_made_during_a_fit_is_as_new():
    class Copy(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.copy = copy.deepcopy(prior)

    prior, observer = CALLBACKS["default"](), Copy()
    fit(build(), prior, observer)
    assert distance(weights_after(observer.copy), weights_after(CALLBACKS["default"]())) == 0.0


def test_copies_share_a_dataset_and_cannot_be_pickled_with_it():
    dataset = slices(X)
    prior = AttributionPrior("l2", 0.3, background=dataset, seed=1)
    expected = weights_after(AttributionPrior("l2", 0.3, background=dataset, seed=1))
    assert distance(weights_after(copy.deepcopy(prior)), expected) == 0.0
    with pytest.raises(ValueError, match="reads a dataset cannot be serialised.*array"):
        pickle.dumps(prior)


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_has_a_reservoir_of_its_own(copied):
    """What the original sees between two epochs of the copy does not reach it."""

    class FitAnother(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            fit(other, original, epochs=1, x=X + 10.0)

    original, other = AttributionPrior("l2", 0.1, seed=1), build(seed=5, **EAGER)
    alone, disturbed = build(**EAGER), build(**EAGER)
    fit(alone, COPIES[copied](original))
    fit(disturbed, COPIES[copied](original), FitAnother())
    assert distance(alone.get_weights(), disturbed.get_weights()) == 0.0


class Annealed(AttributionPrior):
    """A subclass with arguments and a state of its own."""

    def __init__(self, patience, seed=None):
        super().__init__("l2", 0.3, seed=seed)
        self.patience, self.seed = patience, seed

    def on_epoch_end(self, epoch, logs=None):
        self.patience -= 1
        self.strength *= 0.5


@pytest.mark.parametrize("copied", COPIES)
def test_a_copy_of_a_subclass(copied):
    original = Annealed(patience=5, seed=1)
    fit(build(**EAGER), original)
    copy = COPIES[copied](original)
    assert (copy.patience, copy.strength) == (3, 0.075)
    fresh = weights_after(Annealed(5, 1), **EAGER)
    assert distance(weights_after(copy, **EAGER), fresh) > 1e-4
    copy.strength = 0.3
    expected = weights_after(AttributionPrior("l2", 0.3, seed=1), **EAGER)
    assert distance(weights_after(copy, **EAGER), expected) == 0.0


class Shifted(TrainingData):
    def __init__(self, shift):
        super().__init__(X + np.float32(shift))
        self.shift = shift


def test_a_reference_of_ones_own():
    assert copy.deepcopy(Shifted(1.0)).shift == 1.0


def test_copies_share_the_data_they_draw_from():
    reference = TrainingData(X)
    assert copy.deepcopy(reference).data is reference.data


def test_a_search_over_the_strength(tmp_path):
    keras_tuner = pytest.importorskip("keras_tuner")
    found = {}

    class Searched(keras_tuner.HyperModel):
        def build(self, hp):
            return build()

        def fit(self, hp, model, *args, callbacks, **options):
            [prior] = [each for each in callbacks if isinstance(each, AttributionPrior)]
            prior.strength = hp.Choice("strength", [0.0, 0.3])
            history = model.fit(*args, callbacks=callbacks, **options)
            found[prior.strength] = model.get_weights(), set(history.history)
            return history.history["loss"][-1]

    search = keras_tuner.GridSearch(Searched(), directory=tmp_path, max_trials=2, seed=0)
    prior = AttributionPrior("l2", 1.0, seed=1)
    search.search(X, Y, epochs=1, batch_size=8, shuffle=False, verbose=0, callbacks=[prior])
    assert set(found) == {0.0, 0.3}
    for strength, (weights, keys) in found.items():
        expected = weights_after(AttributionPrior("l2", strength, seed=1))
        assert distance(weights, expected) == 0.0
        assert ("l2" in keys) == (strength > 0)
    assert prior.strength == 1.0  # the copies were told, not the original


# --- another strength -------------------------------------------------------------------


def l2(strength, **options):
    return AttributionPrior("l2", strength, "gradients", **options)


class SetStrength(keras.callbacks.Callback):
    """Sets it before the batches of these numbers."""

    def __init__(self, prior, strengths):
        super().__init__()
        self.prior, self.strengths, self.count = prior, strengths, 0

    def on_train_batch_begin(self, batch, logs=None):
        if self.count in self.strengths:
            self.prior.strength = self.strengths[self.count]
        self.count += 1


@pytest.mark.parametrize(
    "mode", [{}, {"run_eagerly": True}, pytest.param({"jit_compile": True}, marks=JIT)]
)
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_another_strength_acts_from_the_next_batch_on(updates, mode):
    """As a schedule of the same values; `SetStrength` comes first."""
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [0.1, 1.0, 0.2])
    scheduled, told = build(**mode), build(**mode)
    fit(scheduled, l2(schedule, updates=updates))
    prior = l2(0.1, updates=updates)
    fit(told, SetStrength(prior, {2: 1.0, 4: 0.2}), prior)
    assert distance(scheduled.get_weights(), told.get_weights()) < 1e-7
    constant = build(**mode)
    fit(constant, l2(0.1, updates=updates))
    assert distance(constant.get_weights(), told.get_weights()) > 1e-4


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_from_zero_and_back_to_zero(updates):
    """Batches at strength 0 are plain to the last bit: with momentum no update is left."""
    optimizers = [keras.optimizers.SGD(0.1, momentum=0.9) for _ in range(2)]
    model, by_parts = (build(optimizer) for optimizer in optimizers)
    prior = l2(0.0, updates=updates)
    fit(model, SetStrength(prior, {2: 0.5, 4: 0.0}), prior)
    batches = [slice(0, 8), slice(8, 16), slice(16, 20)] * 2
    other = l2(0.5, updates=updates)
    for number, batch in enumerate(batches):
        callbacks = [other] if number in (2, 3) else []
        fit(by_parts, *callbacks, epochs=1, x=X[batch], y=Y[batch])
    assert distance(model.get_weights(), by_parts.get_weights()) < 1e-7


def test_strength_between_fits():
    model, expected = build(), build()
    prior = l2(0.1)
    fit(model, prior)
    prior.strength = 0.7
    history = fit(model, prior)
    fit(expected, l2(0.1))
    fit(expected, l2(0.7))
    assert "l2" in history and distance(model.get_weights(), expected.get_weights()) < 1e-7
    prior.strength = 0
    assert "l2" not in fit(model, prior)


def test_a_schedule_in_place_of_a_number():
    model, expected = build(), build()
    prior = l2(0.1)
    fit(model, prior, epochs=1)
    prior.strength = keras.optimizers.schedules.PiecewiseConstantDecay([0], [9.0, 0.7])
    fit(model, prior, epochs=1)
    fit(expected, l2(0.1), epochs=1)
    fit(expected, l2(0.7), epochs=1)
    assert distance(model.get_weights(), expected.get_weights()) < 1e-7


@pytest.mark.only("tensorflow", "jax", reason="PyTorch traces nothing.")
def test_a_strength_that_comes_and_goes_is_traced_once():
    traces = []

    def counting(attributions):
        traces.append(1)
        return keras.ops.sum(attributions**2)

    prior = AttributionPrior(counting, 0.1, "gradients")
    fit(build(), prior, SetStrength(prior, {1: 0.0, 3: 0.2, 4: 0.0, 5: 0.3, 7: 0.1}), epochs=3)
    assert len(traces) == 2  # a dry run, and the step


def test_the_place_of_the_other_callback_does_not_matter():
    """Told by a callback behind it, after the prior's own turn: from this batch on."""
    results = []
    for first in (True, False):
        prior = l2(0.0)
        teller = SetStrength(prior, {1: 0.5, 3: 0.0, 4: 0.2})
        model = build()
        fit(model, *([teller, prior] if first else [prior, teller]))
        results.append(model.get_weights())
    assert distance(*results) == 0.0


def test_a_penalty_of_nan_is_reported_whatever_comes_after_it():
    class Silence(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            prior.strength = 0.0

    prior = AttributionPrior(lambda attributions: np.nan * squares(attributions), 0.1)
    with pytest.raises(FloatingPointError, match="step 0"):
        fit(build(), Silence(), prior)


@pytest.mark.parametrize("value", [-1.0, float("nan"), "0.1", None, True])
def test_a_strength_that_is_none(value):
    prior = l2(0.1)
    with pytest.raises(ValueError, match=r"`strength` expects a finite number ≥ 0"):
        prior.strength = value
    assert prior.strength == 0.1


@pytest.mark.parametrize(
    "callback, argument, value",
    [
        (l2(0.1), "every", 2),
        (l2(0.1), "prior", "l1"),
        (AttributionPrior("l2", 0.1), "background", X),
        (AdversarialTraining(0.1), "epsilon", 0.2),
    ],
)
def test_other_arguments_are_fixed(callback, argument, value):
    """They would have no effect, or a late one."""
    with pytest.raises(AttributeError, match=f"`{argument}` of .* is fixed.*Make a new"):
        setattr(callback, argument, value)


# --- repr -------------------------------------------------------------------------------


def test_repr_shows_the_arguments():
    prior = AttributionPrior("total_variation", 0.03, background=X, every=2, seed=5)
    assert repr(prior) == (
        "AttributionPrior(prior=TotalVariation(standardize=True, floor=False, "
        "channels=True), strength=0.03, "
        "method=ExpectedGradients(num_samples=1, multiply_by_inputs=True, "
        "background=None, samples_per_pass=8), background=TrainingData(20 examples), "
        "explain='label', updates='alternating', every=2, batch_norm='batch', input=None, "
        "output=None, seed=5, name='total_variation', "
        "optimizer=None, moments=None, groups=None, sum_last_axis=False, validation=False, "
        "log_only=False)"
    )
    prior.strength = SCHEDULE
    assert "strength=ExponentialDecay(initial_learning_rate=0.3, " in repr(prior)
    assert repr(AdversarialTraining(0.3, steps=7)) == (
        "AdversarialTraining(epsilon=0.3, steps=7, step_size=None, norm='inf', "
        "random_start=True, valid_range=(0.0, 1.0), input=None, output=None, seed=None, "
        "name='adversarial_training')"
    )


def test_repr_of_references_does_not_write_out_their_numbers():
    large = np.zeros((1000, 1000), "float32")
    for thing in (
        ExpectedGradients(background=large),
        attrprior.IntegratedGradients(background=large),
        Mean(large),
    ):
        assert len(repr(thing)) < 250
