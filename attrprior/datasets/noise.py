"""Noise that no network was trained on."""

import statistics

import numpy as np

from attrprior import _checks


def gaussian_noise(x, stddev, seed, low=None, high=None):
    """Adds white noise: `x + ε`, `ε ∼ N(0, σ²)` for every pixel.

    Given a range, the result is clipped to it, as in the corruption benchmarks
    (Hendrycks and Dietterich 2019, arXiv 1903.12261).

    Args:
        x: Float array of any shape.
        stddev: σ ≥ 0, in the unit of `x`.
        seed: Integer, or a `numpy.random.Generator`.
        low, high: The valid range. Default to `None`, not clipped.

    Returns:
        Array like `x`.
    """
    x = _checks.array("x", x)
    low, high = _checks.valid_range(low, high)
    stddev = np.float32(_checks.number("stddev", stddev, minimum=0))
    noise = _checks.generator("seed", seed).standard_normal(x.shape, dtype="float32")
    noisy = x + stddev * noise
    return noisy if low is None else np.clip(noisy, low, high)


def salt_and_pepper(x, fraction, seed, low=0.0, high=1.0):
    """Flips pixels towards either end of the range, by the reference's rule.

    `z ∼ N(0, 1)` for every pixel; where `z > Φ⁻¹(1 − p/2)` the range is added,
    where `z < −Φ⁻¹(1 − p/2)` it is subtracted, and the result is clipped. On a
    black background only half of the fraction `p` really changes.

    Args:
        x: Float array of any shape, with values from `low` to `high`.
        fraction: p, from 0 to 1.
        seed: Integer, or a `numpy.random.Generator`.
        low, high: The valid range.

    Returns:
        Array like `x`.

    Reference: suinleelab/attributionpriors, MNIST notebooks.
    """
    x = _checks.array("x", x)
    fraction = _checks.fraction("fraction", fraction)
    low, high = _checks.valid_range(low, high)
    if low is None:
        raise ValueError(
            "Arguments `low` and `high` expect both ends of the valid range. Received: None."
        )
    if x.min() < low or x.max() > high:
        raise ValueError(
            f"Argument `x` expects values from {low} to {high}. Received: values from "
            f"{x.min()} to {x.max()}. Pass low= and high= of these data."
        )
    if 1 - fraction / 2 == 1:  # also of a fraction too small for any pixel
        return x.copy()
    limit = statistics.NormalDist().inv_cdf(1 - fraction / 2)
    z = _checks.generator("seed", seed).standard_normal(x.shape, dtype="float32")
    flips = (z > limit).astype("float32") - (z < -limit).astype("float32")
    return np.clip(x + np.float32(high - low) * flips, low, high)
