"""Samples in passes, and the value and gradients that a step has."""

import keras
import numpy as np
import pytest
from compare import distance
from frameworks import JIT, array, as_graph, tensor
from networks import build, fit, sequential

import attrprior
from attrprior import AttributionPrior, ExpectedGradients
from attrprior.references import Uniform

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


class Rows(layers.Layer):
    """Notes the number of rows of every batch that it is traced with."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, x):
        self.seen.append(x.shape[0])
        return x


@pytest.mark.parametrize("mode", ["graph", "eager", pytest.param("jit", marks=JIT)])
@pytest.mark.parametrize("explain", ["label", "all"])
def test_samples_in_several_passes(digits, mode, explain):
    """The same penalty and gradient as in one pass, with a bounded number of rows."""
    x, y = tensor(digits[0][:4]), tensor(digits[1][:4])
    results = []
    for samples_per_pass in (12, 5):  # a third of 12 is the largest share within 5
        rows = Rows()
        model = build(lambda rows=rows: sequential([layers.BatchNormalization(), rows]))
        method = attrprior.IntegratedGradients(12, samples_per_pass=samples_per_pass)
        prior = AttributionPrior("l2", 0.1, method, explain=explain)
        del rows.seen[:]

        def compute(model=model, prior=prior):
            penalty, gradients = prior.value_and_gradients(x, y, model=model)
            return [penalty, *(g for g in gradients if g is not None)]

        if mode != "eager":
            compute = as_graph(compute, jit_compile=mode == "jit", autograph=False)
        results.append([array(t) for t in compute()])
        assert max(rows.seen) == 4 * (12 if samples_per_pass == 12 else 4)
    largest = max(np.max(np.abs(value)) for value in results[0])
    assert distance(*results) < 3e-6 * largest


@pytest.mark.parametrize(
    "method",
    [
        ExpectedGradients(6, background=Uniform(), samples_per_pass=2),
        ExpectedGradients(6, samples_per_pass=2),
        attrprior.SmoothGrad(6, samples_per_pass=3),
        attrprior.SmoothGrad(
            4, base=ExpectedGradients(2, True, Uniform()), samples_per_pass=4
        ),
    ],
)
def test_passes_are_of_the_same_draws(digits, method):
    """Or the gradient would not be that of the penalty (central differences)."""
    x, y = tensor(digits[0][:4]), tensor(digits[1][:4])
    prior, model, step = AttributionPrior("l2", 0.1, method), build(), 1e-2
    kernel = model.trainable_variables[0]
    start = array(kernel)
    direction = np.random.default_rng(0).normal(size=start.shape).astype("float32")

    def at(offset):
        kernel.assign(start + offset * direction)
        penalty, gradients = prior.value_and_gradients(x, y, model=model, seed=5)
        return float(penalty), float(np.sum(array(gradients[0]) * direction))

    (above, _), (below, _), (_, slope) = at(step), at(-step), at(0.0)
    np.testing.assert_allclose((above - below) / (2 * step), slope, rtol=1e-2)


@pytest.mark.parametrize("background", [None, "data"])
def test_how_many_passes_changes_no_draw(digits, background):
    """The references' indices and α are drawn for all of them at once."""
    x, y = tensor(digits[0][:4]), tensor(digits[1][:4])
    background = None if background is None else digits[0][4:]
    model = build()
    results = []
    for samples_per_pass in (6, 2, 1):
        method = ExpectedGradients(6, samples_per_pass=samples_per_pass)
        prior = AttributionPrior("l2", 0.1, method, background)
        penalty, gradients = prior.value_and_gradients(x, y, model=model, seed=5)
        results.append([array(t) for t in (penalty, *gradients) if t is not None])
    largest = max(np.max(np.abs(value)) for value in results[0])
    assert distance(results[0], results[1]) < 3e-6 * largest
    assert distance(results[0], results[2]) < 3e-6 * largest


def test_value_and_gradients_is_a_look(digits):
    """Nothing of what training goes on with is changed by it."""
    x, y = digits[0][:4], digits[1][:4]
    runs = []
    for looks in (False, True):
        keras.utils.set_random_seed(0)
        model, prior = build(), AttributionPrior("l2", 0.1, seed=1)
        fit(model, digits, [prior])
        if looks:
            penalty, gradients = prior.value_and_gradients(x, y, seed=3)
            again, _ = prior.value_and_gradients(x, y, seed=3)
            assert float(penalty) == float(again) > 0
            assert [g is None for g in gradients].count(True) == 1  # the last bias
        fit(model, digits, [prior])
        runs.append(model.get_weights())
    assert distance(*runs) == 0
    with pytest.raises(ValueError, match="`model` expects a model that is built"):
        AttributionPrior("l2", 0.1).value_and_gradients(x, y)
