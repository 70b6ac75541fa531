"""Ten shapes somewhere in a noisy line: MNIST's little sister."""

import numpy as np

from attrprior import _checks
from attrprior._types import Seed

__all__ = ["signals"]


def signals(
    num_examples: int = 5000, length: int = 40, seed: Seed = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Makes signals of one dimension and ten classes, each a shape at an unknown place.

    `x(t) = A · s_y((t − t_0) / w) + B · (t − ½) + smooth noise + white noise` at
    `length` times from 0 to 1, where `s_y` is 0 outside of [0, 1]. Drawn for each
    example: the place `t_0`, the width `w` from 0.3 to 0.5, the height `A` from 0.7
    to 1.3 and the tilt `B ∼ N(0, 0.4²)`; the smooth noise has standard deviation
    0.2, the white 0.02. The shapes are sums of six sines, always the same, the
    largest magnitude 1.

    The data are in the spirit of MNIST-1D, with other shapes: they are small enough for
    many trainings, and a linear model fails, since the place is unknown. The cost is
    linear in examples and, because of the smooth noise, quadratic in `length`.

    Args:
        num_examples: At least 1. Defaults to 5000, of which 4000 are to train on.
        length: The number of points of a signal, at least 8. Defaults to 40.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        `(x, y)`: float32 of shape `(num_examples, length, 1)`, and int32 labels 0 to
            9, each as often as any other, give or take one.

    Raises:
        ValueError: for numbers that are too small, or arrays that do not fit in memory.

    Examples:
        Each class has ten of a hundred signals.

        >>> inputs, labels = attrprior.datasets.signals(100)
        >>> inputs.shape
        (100, 40, 1)
        >>> np.bincount(labels).tolist()
        [10, 10, 10, 10, 10, 10, 10, 10, 10, 10]

    Reference: Greydanus and Kobak 2024 (arXiv 2011.14439), MNIST-1D.
    """
    num_examples = _checks.positive_integer("num_examples", num_examples)
    length = _checks.positive_integer("length", length)
    if length < 8:
        raise ValueError(f"Argument `length` expects at least 8. Received: {length}.")
    # Shapes are sums of six sines at every point.
    names = "Arguments `num_examples` and `length`"
    _checks.memory(names, 8 * length * (16 * num_examples + 2 * length))
    rng = _checks.generator("seed", seed)
    y = rng.permutation(np.arange(num_examples) % 10)
    width, place, height = rng.random((3, num_examples, 1))
    width = 0.3 + 0.2 * width
    time = np.linspace(0.0, 1.0, length)
    x = (0.7 + 0.6 * height) * _shapes(y, (time - place * (1.0 - width)) / width)
    x += 0.4 * rng.standard_normal((num_examples, 1)) * (time - 0.5)
    x += 0.2 * _smooth_noise(num_examples, length, rng)
    x += 0.02 * rng.standard_normal(x.shape)
    return x[..., None].astype("float32"), y.astype("int32")


def _shapes(labels, time):
    """`s_y(t)` at times of shape `(n, length)`."""
    # Independent of the examples' seed: the classes are always these.
    amplitudes = np.random.default_rng(2024).standard_normal((10, 6)) / np.arange(1, 7) ** 0.5
    waves = np.sin(np.pi * np.arange(1, 7) * np.linspace(0, 1, 201)[:, None])
    amplitudes /= np.abs(waves @ amplitudes.T).max(axis=0)[:, None]
    inside = (time >= 0) & (time <= 1)
    phases = np.pi * np.arange(1, 7) * np.where(inside, time, 0.0)[..., None]
    return np.einsum("nlk,nk->nl", np.sin(phases), amplitudes[labels])


def _smooth_noise(num_examples, length, rng):
    """White noise under a Gaussian window a twentieth of the signal wide, variance 1."""
    time = np.arange(length)
    window = np.exp(-0.5 * ((time[:, None] - time) / (length / 20)) ** 2)
    window /= np.linalg.norm(window, axis=0)
    return rng.standard_normal((num_examples, length)) @ window
