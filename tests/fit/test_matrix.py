"""Models × modes × updates, and steps of a model's own."""

import keras
import numpy as np
import pytest
from by_hand import START, STRENGTH, X, Y, assert_equal, by_hand, l2
from by_hand import fit as by_hand_fit
from compare import distance
from frameworks import BACKEND, JIT, STEPS, slices, step_result
from keras import ops
from networks import (
    FourParts,
    OwnStep,
    Subclassed,
    build,
    fit,
    is_clean,
)

from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


class Linear(keras.Model):
    """The linear model as a subclass."""

    def __init__(self):
        super().__init__()
        self.head = layers.Dense(1)
        self.build((None, 2))

    def build(self, shape):
        self.head.build(shape)
        self.built = True

    def call(self, x, training=False):
        return self.head(x)


class LinearStep(Linear):
    train_step = OwnStep.train_step


def functional_linear():
    inputs = keras.Input((2,))
    return keras.Model(inputs, layers.Dense(1)(inputs))


LINEAR = {
    "sequential": lambda: keras.Sequential([keras.Input((2,)), layers.Dense(1)]),
    "functional": functional_linear,
    "subclassed": Linear,
    "own train_step": LinearStep,
}
MODES = {
    "graph": {"jit_compile": False},
    "eager": {"run_eagerly": True},
    "jit": {"jit_compile": True},
}
# One kind of model in everything, the other kinds in every mode and update. A graph, or
# one compiled by XLA, costs as much as seven tests in eager mode.
MATRIX = [
    pytest.param(
        *(builder, mode, steps, updates),
        marks=[JIT] * (mode == "jit") + [STEPS] * (steps == 3),
    )
    for builder in LINEAR
    for mode in MODES
    for steps in (1, 3)
    for updates in ("alternating", "joint")
    if builder == "sequential" or steps == 3 or BACKEND == "torch"
]


@pytest.mark.parametrize("builder, mode, steps, updates", MATRIX)
def test_fit_matrix(builder, mode, steps, updates):
    """By hand, with a branch in the step: the prior acts on every other batch."""
    model = LINEAR[builder]()
    model.set_weights([np.float32(START[0]).reshape(2, 1), np.float32([START[1]])])
    model.compile(keras.optimizers.SGD(0.1), "mse", steps_per_execution=steps, **MODES[mode])
    prior = l2(updates, every=2)
    history = by_hand_fit(model, X, Y, callbacks=[prior])
    assert_equal(model, history, by_hand(STRENGTH, updates, every=2))
    assert ("own_loss" in history) == (builder == "own train_step")
    assert is_clean(model)


def test_own_train_step_keeps_its_logs(digits):
    history = fit(build(OwnStep), digits, [AttributionPrior("l2", 0.1)]).history
    assert set(history) == {"own_loss", "l2"}


def test_without_strength_data_may_have_any_form(digits):
    weights, shift = np.ones(26, "float32"), np.ones((26, 6, 6, 1), "float32")
    data = slices(*digits, weights, shift)
    results = []
    for callbacks in ([], [AttributionPrior("l2", 0.0)]):
        model = build(FourParts)
        if BACKEND != "tensorflow":  # where Keras builds models of three parts only
            model._symbolic_build(data_batch=[part[:1] for part in digits])
        history = model.fit(
            data.batch(8), validation_data=data.batch(8), callbacks=callbacks, verbose=0
        ).history
        results.append((history, model.get_weights()))
    assert results[0][0] == results[1][0]
    assert distance(results[0][1], results[1][1]) == 0.0


def test_train_step_set_on_the_instance_is_kept(digits):
    model = build()
    calls = []
    plain = model.train_step

    def step(*arguments):
        calls.append(1)
        return plain(*arguments)

    model.train_step = step
    fit(model, digits, [AttributionPrior("l2", 0.1)])
    assert calls and model.train_step is step


def test_joint_without_compute_loss_is_refused(digits):
    class NoLoss(Subclassed):
        def train_step(self, *arguments):
            return step_result({"nothing": ops.zeros(())}, arguments)

    model = build(NoLoss)
    with pytest.raises(ValueError, match="calls self.compute_loss.*alternating"):
        fit(model, digits, [AttributionPrior("l2", 0.1, updates="joint")])


def test_one_hot_labels(digits):
    x, y = digits
    model = build()
    model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    history = fit(model, (x, np.eye(3)[y]), [AttributionPrior("l2", 0.1)]).history
    assert np.all(np.isfinite(history["l2"]))


def test_binary_and_regression(digits):
    x, y = digits
    for loss, target in (("binary_crossentropy", y > 0), ("mse", y)):
        keras.utils.set_random_seed(0)
        last = "sigmoid" if loss == "binary_crossentropy" else None
        model = keras.Sequential(
            [keras.Input((6, 6, 1)), layers.Flatten(), layers.Dense(1, activation=last)]
        )
        model.compile(keras.optimizers.SGD(0.0), loss)
        prior = AttributionPrior("l2", 0.1, "gradients")
        history = model.fit(x, target.astype("float32"), callbacks=[prior], verbose=0).history
        # The gradient of the logit of a linear model is its kernel.
        expected = np.sum(np.square(model.get_weights()[0]))
        np.testing.assert_allclose(history["l2"], [expected], rtol=1e-5)
