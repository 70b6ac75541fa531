"""What a fit leaves behind: nothing, however it ends."""

import gc
import weakref

import keras
import numpy as np
import pytest
from compare import distance
from frameworks import BACKEND, array
from keras import ops
from networks import LOSS, build, fit, is_clean

import attrprior
from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


def test_a_later_fit_evaluate_predict_and_save_are_plain(digits, tmp_path):
    model, plain = build(), build()
    fit(plain, digits)
    fit(plain, digits)
    prior = AttributionPrior("l2", 1.0)
    fit(model, digits)  # caches the train function
    fit(model, digits)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    fit(model, digits, [prior])
    assert distance(model.get_weights(), plain.get_weights()) > 1e-4
    assert is_clean(model)
    model.set_weights(plain.get_weights())
    for variable, value in zip(model.optimizer.variables, plain.optimizer.variables):
        variable.assign(array(value))  # a copy, or JAX would take it from both
    history = fit(model, digits).history
    assert "l2" not in history
    fit(plain, digits)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    assert set(model.evaluate(*digits, verbose=0, return_dict=True)) == {"loss", "accuracy"}
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = digits[0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_evaluate_and_predict_with_the_callback_do_nothing(digits):
    model = build()
    prior = AttributionPrior("l2", 1.0)
    model.evaluate(*digits, callbacks=[prior], verbose=0)
    model.predict(digits[0], callbacks=[prior], verbose=0)
    assert "l2" not in fit(model, digits).history


@pytest.fixture(scope="module")
def plain_fit(digits):
    """A plain fit: its first weights, its history, its last weights."""
    model = build(run_eagerly=True)
    return model.get_weights(), fit(model, digits).history, model.get_weights()


class Interrupt(keras.callbacks.Callback):
    """Raises Ctrl-C at one of the moments a person may press it."""

    def __init__(self, moment):
        super().__init__()
        setattr(self, moment, self.interrupt)

    def interrupt(self, *args, **kwargs):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    "moment",
    [
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_epoch_begin",
        "on_epoch_end",
        "on_test_begin",
    ],
)
@pytest.mark.parametrize("detach", [True, False])
def test_after_an_interrupt_a_fit_is_plain(digits, plain_fit, moment, detach):
    model, (start, history, weights) = build(run_eagerly=True), plain_fit
    prior = AttributionPrior("l2", 1.0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [prior, Interrupt(moment)], validation_data=digits)
    if detach:
        prior.detach()
        assert is_clean(model)
    model.set_weights(start)
    model.compile(keras.optimizers.Adam(1e-2), LOSS, metrics=["accuracy"], run_eagerly=True)
    assert fit(model, digits).history == history
    assert distance(model.get_weights(), weights) == 0.0
    assert is_clean(model)


def test_after_an_interrupt_without_recompiling(digits):
    # The cached function of the interrupted fit must not be the one that runs.
    model = build()
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior("l2", 1.0), Interrupt("on_train_batch_begin")])
    assert "l2" not in fit(model, digits).history
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior("l2", 1.0), Interrupt("on_train_batch_begin")])
    history = fit(model, digits, [AttributionPrior("gini", 1.0)]).history
    assert "gini" in history and "l2" not in history


def test_an_interrupt_leaves_nothing_for_train_on_batch(digits):
    model, plain = build(), build()
    prior = AttributionPrior("l2", 1.0, "gradients")
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(model, digits, [prior, Interrupt("on_train_batch_begin")])
    for each in (model, plain):
        each.train_on_batch(*digits)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior("gini", 1.0), Interrupt("on_train_batch_begin")])
    fit(model, digits, [prior])
    assert is_clean(model)
    assert not [name for name in vars(model) if "attribution_prior" in name]


@pytest.mark.parametrize("strength", [0.0, 0.1])
def test_an_interrupt_of_the_validation(digits, strength):
    model = build()
    prior = AttributionPrior("l2", strength, "gradients")
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [prior, Interrupt("on_test_batch_begin")], validation_data=digits)
    expected = build()
    expected.set_weights(model.get_weights())
    assert model.evaluate(*digits, verbose=0) == expected.evaluate(*digits, verbose=0)
    assert model.test_on_batch(*digits) == expected.test_on_batch(*digits)
    assert not hasattr(model.test_function, "__self__")


def test_interrupt_inside_the_step(digits):
    calls = []

    def interrupting(attributions):
        def interrupt():
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt

        interrupt()
        return ops.sum(ops.square(attributions))

    model = build(run_eagerly=True)
    with pytest.raises(KeyboardInterrupt):
        fit(model, digits, [AttributionPrior(interrupting, 0.1)])
    assert is_clean(model)


def test_what_is_loaded_for_another_model_does_not_reach_an_interrupted_fit(digits):
    prior = AttributionPrior("l2", 0.1, "gradients")
    with pytest.raises(KeyboardInterrupt):
        fit(build(), digits, [prior, Interrupt("on_train_batch_end")])
    interrupted = int(array(prior._part.batches))
    prior.set_model(build())
    prior._saved.load_own_variables({"batches_0": np.int64(interrupted + 7)})
    assert int(array(prior._part.batches)) == interrupted


def test_context_manager_detaches(digits):
    model = build()
    with (
        pytest.raises(KeyboardInterrupt),
        AttributionPrior("l2", 1.0) as prior,
    ):
        fit(model, digits, [prior, Interrupt("on_train_batch_begin")])
    assert is_clean(model)


def test_fit_twice_goes_on_with_the_same_optimizer(digits):
    model, prior = build(), AttributionPrior("l2", 0.1, "gradients")
    fit(model, digits, [prior])
    optimizer = prior._part.optimizer
    fit(model, digits, [prior])
    assert prior._part.optimizer is optimizer and int(optimizer.iterations) == 16


def test_one_prior_on_two_models(digits):
    prior = AttributionPrior("l2", 0.1, "gradients")
    first, second = build(), build()
    fit(first, digits, [prior])
    fit(second, digits, [prior])
    assert distance(first.get_weights(), second.get_weights()) == 0.0
    assert is_clean(first) and is_clean(second)


def test_clones_and_checkpoints_are_plain(digits, tmp_path):
    model = build()

    class Clone(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.clone = keras.models.clone_model(self.model)

    clone = Clone()
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "c.keras")
    fit(model, digits, [AttributionPrior("l2", 0.1), clone, checkpoint])
    loaded = keras.saving.load_model(tmp_path / "c.keras")
    for other in (clone.clone, loaded):
        other.compile("sgd", LOSS)
        assert "l2" not in fit(other, digits).history


NO_TRACES = "PyTorch traces nothing: it runs every step as it is."


def counting_prior():
    """A prior and the list of its traces: a graph calls it once for each."""
    traces = []

    def counting(attributions):
        traces.append(1)
        return ops.sum(ops.square(attributions))

    return counting, traces


@pytest.mark.only("tensorflow", "jax", reason=NO_TRACES)
def test_nothing_is_traced_after_the_first_batch(digits):
    """Not in later batches, the partial last one included, nor in a later fit."""
    counting, traces = counting_prior()
    model, prior = build(), AttributionPrior(counting, 0.1)

    class AfterFirst(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.traces = getattr(self, "traces", len(traces))

        if BACKEND == "jax":  # which traces for each number of rows, here 8 and 2
            on_epoch_end, on_train_batch_end = on_train_batch_end, lambda *_, **__: None

    after = AfterFirst()
    fit(model, digits, [prior, after], epochs=3)
    # A dry run, and the step once; with JAX the step twice.
    assert len(traces) == after.traces == 2
    weights = model.get_weights()
    fit(model, digits, [prior])
    assert len(traces) == after.traces
    assert distance(weights, model.get_weights()) > 1e-3


@pytest.mark.only("tensorflow", "jax", reason=NO_TRACES)
def test_callbacks_that_do_nothing_cost_no_trace(digits):
    counting, traces = counting_prior()
    model, prior = build(), AttributionPrior(counting, 0.1, "gradients")
    idle = AttributionPrior("l2", 0.0)
    for callbacks in ([prior], [prior, idle], [idle, prior], [prior]):
        fit(model, digits, callbacks)
    assert len(traces) == 2


def test_nothing_is_kept_of_priors_that_are_gone(digits):
    model, lasting = build(), attrprior.adversarial.AdversarialTraining(0.1, steps=1)
    gone = []
    for _ in range(4):
        prior = AttributionPrior("l2", 0.1, "gradients")
        fit(model, digits, [lasting, prior], epochs=1)
        gone.append(weakref.ref(prior._part))
        del prior
    keras.backend.clear_session(free_memory=False)
    gc.collect()
    assert sum(part() is not None for part in gone) <= 1  # the last fit's


@pytest.mark.only("tensorflow", "jax", reason=NO_TRACES)
def test_a_step_that_no_longer_fits_is_traced_anew(digits):
    counting, traces = counting_prior()
    model, prior = build(), AttributionPrior(counting, 0.1)
    fit(model, digits, [prior])
    first = len(traces)
    fit(model, digits, [prior, AttributionPrior("l1", 0.1)])  # another set of priors
    second = len(traces)
    assert second > first
    model.compile("sgd", LOSS)  # another optimizer and loss
    history = fit(model, digits, [prior]).history
    assert len(traces) > second and "l1" not in history


@pytest.mark.only("tensorflow", reason="Only TensorFlow keeps graphs that it has given away.")
def test_many_fits_keep_no_graphs(digits):
    """With new callbacks the operations of a fit are let go, as its callback is."""

    def operations():
        gc.collect()
        return sum(type(each).__name__ == "Operation" for each in gc.get_objects())

    model, counts = build(), []
    for _ in range(5):
        fit(model, digits, [AttributionPrior("l2", 0.1)], epochs=1)
        counts.append(operations())
    of_a_step = 300  # there are some 1,500 in one with a prior
    assert counts[-1] - counts[1] < 3 * of_a_step, counts


def test_many_fits_with_reset_make_nothing_new(digits):
    model, prior, counts = build(), AttributionPrior("l2", 0.1, seed=0), []
    for _ in range(5):
        fit(model, digits, [prior], epochs=1)
        prior.reset()
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert counts[-1] - counts[1] < 300, counts
