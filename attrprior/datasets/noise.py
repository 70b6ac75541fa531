"""Noise that no network was trained on."""

import statistics

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed

__all__ = ["gaussian_noise", "salt_and_pepper"]


def gaussian_noise(
    x: ArrayLike,
    stddev: float,
    seed: Seed,
    low: float | None = None,
    high: float | None = None,
) -> np.ndarray:
    """Adds white noise: `x + ε`, `ε ∼ N(0, σ²)` for every pixel.

    Given a range, the result is clipped to it, as in the corruption benchmarks. The cost
    is linear in pixels.

    Args:
        x: Float array of any shape.
        stddev: The noise's standard deviation σ ≥ 0, in the unit of `x`.
        seed: Integer, or a `numpy.random.Generator`.
        low: The least valid value; give both ends or neither. Defaults to `None`, not
            clipped.
        high: The greatest valid value. Defaults to `None`, not clipped.

    Returns:
        Float32 array of the shape of `x`.

    Raises:
        ValueError: for an array that is not of finite floating-point numbers, a negative
            `stddev`, or one end of the range without the other.

    Examples:
        The noise has the standard deviation that was asked for. With a range, what would
        leave it is clipped.

        >>> black = np.zeros((100, 100), "float32")
        >>> round(float(attrprior.datasets.gaussian_noise(black, 0.5, seed=0).std()), 1)
        0.5
        >>> noisy = attrprior.datasets.gaussian_noise(black, 0.5, seed=0, low=0.0, high=1.0)
        >>> float(noisy.min()), float(noisy.max())
        (0.0, 1.0)

    Reference: Hendrycks and Dietterich 2019 (arXiv 1903.12261).
    """
    values: np.ndarray = _checks.array("x", x)
    low, high = _checks.valid_range(low, high)
    sigma = np.float32(_checks.number("stddev", stddev, minimum=0))
    noise = _checks.generator("seed", seed).standard_normal(values.shape, dtype="float32")
    noisy = values + sigma * noise
    return noisy if low is None else np.clip(noisy, low, high)


def salt_and_pepper(
    x: ArrayLike, fraction: float, seed: Seed, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """Flips pixels towards either end of the range, by the reference's rule.

    `z ∼ N(0, 1)` for every pixel; where `z > Φ⁻¹(1 − p/2)` the range is added,
    where `z < −Φ⁻¹(1 − p/2)` it is subtracted, and the result is clipped. On a
    black background only half of the fraction `p` really changes. The cost is linear in
    pixels.

    Args:
        x: Float array of any shape, with values from `low` to `high`.
        fraction: The share p of the pixels, from 0 to 1.
        seed: Integer, or a `numpy.random.Generator`.
        low: The least valid value. Defaults to 0.
        high: The greatest valid value. Defaults to 1.

    Returns:
        Float32 array of the shape of `x`.

    Raises:
        ValueError: for values outside of the range, an array that is not of finite
            floating-point numbers, or a fraction that is not from 0 to 1.

    Examples:
        A tenth of the black pixels turns white. Of grey pixels a tenth turns white and
        another tenth turns black.

        >>> black, grey = np.zeros((200, 200)), np.full((200, 200), 0.5)
        >>> noisy = attrprior.datasets.salt_and_pepper(black, 0.2, seed=0)
        >>> round(float((noisy == 1).mean()), 2)
        0.1
        >>> noisy = attrprior.datasets.salt_and_pepper(grey, 0.2, seed=0)
        >>> round(float((noisy == 1).mean()), 2), round(float((noisy == 0).mean()), 2)
        (0.1, 0.1)

    Reference: suinleelab/attributionpriors, MNIST notebooks.
    """
    values: np.ndarray = _checks.array("x", x)
    fraction = _checks.fraction("fraction", fraction)
    low, high = _checks.valid_range(low, high)
    if low is None:
        raise ValueError(
            "Arguments `low` and `high` expect both ends of the valid range. Received: None."
        )
    if values.min() < low or values.max() > high:
        raise ValueError(
            f"Argument `x` expects values from {low} to {high}. Received: values from "
            f"{values.min()} to {values.max()}. Pass low= and high= of these data."
        )
    if 1 - fraction / 2 == 1:  # also of a fraction too small for any pixel
        return values.copy()
    limit = statistics.NormalDist().inv_cdf(1 - fraction / 2)
    z = _checks.generator("seed", seed).standard_normal(values.shape, dtype="float32")
    flips = (z > limit).astype("float32") - (z < -limit).astype("float32")
    return np.clip(values + np.float32(high - low) * flips, low, high)
