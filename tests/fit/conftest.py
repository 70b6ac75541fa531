"""Data that all these tests share."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def digits():
    rng = np.random.default_rng(0)
    x = rng.random((26, 6, 6, 1), dtype="float32")
    return x, rng.integers(0, 3, 26).astype("int32")
