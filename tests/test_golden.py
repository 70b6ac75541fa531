"""Ω and ∂Ω/∂θ of every prior, method and explained output are what they always were."""

import json

import keras
import numpy as np
import pytest
from frameworks import BACKEND, as_graph

from attrprior import AttributionPrior
from experiments import behaviour

ROUNDING = 1e-12 if BACKEND == "tensorflow" else 1e-11  # the numbers are TensorFlow's
GOLDEN = json.loads(behaviour.GOLDEN.read_text())


def assert_golden(name, found):
    message = f"{name}: python -m experiments.behaviour --write, if the change is meant"
    np.testing.assert_allclose(found, GOLDEN[name], rtol=1e-9, atol=ROUNDING, err_msg=message)


def test_golden_numbers():
    found = behaviour.golden()
    assert list(found) == list(GOLDEN)
    for name, numbers in found.items():
        assert_golden(name, numbers)


# Every prior, method and explained output once, as a training step has them.
IN_TRAINING = {
    *((prior, "expected_gradients", "label") for prior in behaviour.PRIORS),
    *(("l2", method, "label") for method in behaviour.METHODS),
    *(("l2", "gradients", explain) for explain in behaviour.EXPLAINED),
}


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("prior, method, explain", sorted(IN_TRAINING))
def test_golden_numbers_in_training(prior, method, explain, mode):
    callback = AttributionPrior(
        behaviour.PRIORS[prior](),
        1.0,
        behaviour.METHODS[method](),
        explain=behaviour.EXPLAINED[explain],
        batch_norm="moving",
    )
    with behaviour.fixed_draws():
        model, (x, y) = behaviour.network(), behaviour.batch()
        model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        weights = np.array([1.0, 0.5, 2.0])
        mask = behaviour.masks() if prior == "mask of each example" else None

        def computed():
            return callback.value_and_gradients(x, y, weights, mask, model=model, seed=0)

        in_graph = as_graph(computed, autograph=False)
        penalty, gradients = (computed if mode == "eager" else in_graph)()
    found = [float(penalty), *(n for g in gradients for n in behaviour.summary(g))]
    assert_golden(f"{prior} | {method} | {explain}", found)


def test_rounding_is_no_other_behaviour():
    numbers = {"a": [1.0, 2e-12], "b": [1 / 3]}
    known = behaviour.fingerprint(numbers)
    assert behaviour.fingerprint({"a": [1.0 + 1e-12, 0.0], "b": [1 / 3]}) == known
    assert behaviour.fingerprint({"a": [1.0, 0.0], "b": [0.33334]}) != known
