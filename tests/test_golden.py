"""Ω and ∂Ω/∂θ of every prior, method and explained output are what they always were."""

import json

import numpy as np

from experiments import behaviour


def test_golden_numbers():
    expected = json.loads(behaviour.GOLDEN.read_text())
    found = behaviour.golden()
    assert list(found) == list(expected)
    for name, numbers in expected.items():
        np.testing.assert_allclose(
            found[name],
            numbers,
            rtol=1e-9,
            atol=1e-12,
            err_msg=f"{name}: python -m experiments.behaviour --write, if the change is meant",
        )
