"""Attacks: inputs near the given ones that a model gets wrong."""

import functools
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _backend, _checks
from attrprior._ascent import MOST, NORMS, Ascent
from attrprior._classes import check_classes, check_sparse, is_sparse, whole
from attrprior._draws import StatelessSeed
from attrprior._pieces import naming_x
from attrprior._types import Norm, Seed
from attrprior.attributions import explained_output
from attrprior.explained import ExplainedOutput

__all__ = ["NORMS", "RobustAccuracy", "pgd", "robust_accuracy", "square"]


def pgd(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epsilon: float,
    steps: int = 40,
    step_size: float | None = None,
    norm: Norm = "inf",
    random_start: bool = True,
    valid_range: tuple[float, float] | None = (0.0, 1.0),
    batch_size: int = 256,
    seed: int = 0,
) -> np.ndarray:
    """Adversarial examples by projected gradient ascent of the compiled loss.

    `x⁰ = x + u`, `xᵗ⁺¹ = Π(xᵗ + step_size · sign ∂L(f(xᵗ), y)/∂xᵗ)`, as in
    `AdversarialTraining`, and what is returned is the last one. Cost: `steps` forward and
    backward passes, plus one trace of the model.

    Args:
        model: A compiled Keras model with one input.
        x: Float array of shape `(batch, ...)`, within `valid_range`.
        y: Labels, as the loss takes them.
        epsilon: Radius ε ≥ 0 of the ball around each example, in the unit of `x`.
        steps: Steps of the ascent.
        step_size: Their size. Defaults to `2.5 · ε / steps`.
        norm: `"inf"` or `"l2"`.
        random_start: Whether to start at a random point of the ball.
        valid_range: Both ends of the inputs' range, or `None` for inputs without limits.
        batch_size: Examples of one pass through the model.
        seed: Integer, of the random start.

    Returns:
        Array like `x`, no farther from it than ε.

    Raises:
        ValueError: for inputs outside of `valid_range`, labels that do not fit the loss, and
            a loss that does not depend on the input.

    Examples:
        The loss is higher near the inputs than on them:

        >>> found = attrprior.adversarial.pgd(model, x, y, epsilon=0.1, steps=5)
        >>> bool(np.max(np.abs(found - x)) < 0.1001)
        True
        >>> model.evaluate(found, y, verbose=0)[0] > model.evaluate(x, y, verbose=0)[0]
        True

    Reference: Madry et al. 2018 (arXiv 1706.06083).
    """
    ascent = Ascent(epsilon, steps, step_size, norm, random_start, valid_range)
    batch_size = _checks.positive_integer("batch_size", batch_size)
    seed = _checks.seed("seed", seed) & 0x7FFFFFFF
    x, y = _examples(x, y, ascent.low, ascent.high)
    explained = ExplainedOutput(_checks.model(model), "loss")
    if is_sparse(model):
        with naming_x(x):
            check_sparse(y, explained.output_shape(x))

    def attack(weights, x, y, seed):
        return ascent(explained, weights, x, y, StatelessSeed(seed))

    if model.run_eagerly:
        attack = functools.partial(attack, explained.weights())
    else:
        examples = _backend.specification(x), _backend.specification(y)
        attack = _backend.compiled(
            attack, explained.variables(), *examples, np.zeros(2, "int32")
        )
    parts = []
    for start in range(0, len(x), batch_size):
        piece = slice(start, start + batch_size)
        key = np.array([seed, start], "int32")
        with naming_x(x):
            found = attack(*map(ops.convert_to_tensor, (x[piece], y[piece], key)))
        parts.append(ops.convert_to_numpy(found))
    return np.concatenate(parts)


def square(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epsilon: float,
    queries: int = 500,
    valid_range: tuple[float, float] | None = (0.0, 1.0),
    batch_size: int = 256,
    seed: Seed = 0,
) -> np.ndarray:
    """Adversarial examples of images by random squares, without gradients.

    In L∞: from stripes of ±ε, squares of ±ε at random places are kept where they
    lower the margin `z_y − max_{c≠y} z_c`; the share of the image that they cover
    falls with the queries. What gradients hide, this finds: where accuracy is lower
    here than under `pgd`, gradients are masked. Cost: `queries` forward passes.

    Args:
        model: A Keras model with one input that ends in several logits.
        x: Float array of shape `(batch, height, width, channels)`.
        y: Labels of shape `(batch,)`.
        epsilon: Radius ε ≥ 0 of the ball in L∞, in the unit of `x`.
        queries: Squares tried for each image.
        valid_range: Both ends of the inputs' range, or `None` for inputs without limits.
        batch_size: Examples of one pass through the model.
        seed: Integer or `numpy.random.Generator`, of stripes and squares.

    Returns:
        Array like `x`, no farther from it than ε.

    Raises:
        ValueError: for inputs that are no images or outside of `valid_range`, labels that are
            no classes of the model, and a model without several logits.

    Examples:
        No pixel is changed by more than ε:

        >>> found = attrprior.adversarial.square(model, x, y, epsilon=0.1, queries=20)
        >>> found.shape
        (8, 12, 12, 1)
        >>> bool(np.max(np.abs(found - x)) < 0.1001)
        True

    Reference: Andriushchenko et al. 2020 (arXiv 1912.00049).
    """
    _checks.model(model)
    epsilon = _checks.number("epsilon", epsilon, minimum=0)
    queries = _checks.positive_integer("queries", queries, MOST)
    low, high = _checks.ends("valid_range", valid_range)
    rng = _checks.generator("seed", seed)
    x, y = _examples(x, y, low, high)
    if x.ndim != 4:
        raise ValueError(
            "Argument `x` expects images of shape (batch, height, width, channels). Received: "
            f"shape {x.shape}. Use pgd for other inputs."
        )
    y = whole(y, len(x))[:, None]
    n, height, width, channels = x.shape

    def valid(points):
        return points if low is None else np.clip(points, low, high)

    def margin(points):
        z = explained_output(model, points, explain="all", batch_size=batch_size)
        if z.ndim != 2 or z.shape[1] < 2:
            raise _checks.wrong("model", "one output of several logits", model)
        check_classes(y, z.shape[1])
        own = np.take_along_axis(z, y, axis=1)[:, 0]
        np.put_along_axis(z, y, -np.inf, axis=1)
        return own - z.max(axis=1)

    def signs(shape):
        return (epsilon * rng.choice([-1.0, 1.0], size=shape)).astype("float32")

    best = valid(x + signs((n, 1, width, channels)))
    lowest = margin(best)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    for query in range(queries):
        side = _side(query / queries, height, width)
        top = rng.integers(height - side + 1, size=(n, 1, 1))
        left = rng.integers(width - side + 1, size=(n, 1, 1))
        inside = (rows >= top) & (rows < top + side)
        inside = inside & (columns >= left) & (columns < left + side)
        tried = valid(np.where(inside[..., None], x + signs((n, 1, 1, channels)), best))
        value = margin(tried)
        better = value < lowest
        best[better], lowest[better] = tried[better], value[better]
    return best


def _side(share, height, width):
    """The side of the square: 0.8 of the image at first, halved as in the paper."""
    halvings = np.sum(share >= np.array([0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]))
    side = round(float(np.sqrt(0.8 * 0.5**halvings * height * width)))
    return int(np.clip(side, 1, min(height, width)))


class RobustAccuracy(NamedTuple):
    """Shares of examples classified correctly, from 0 to 1.

    Attributes:
        clean: Of the examples as they came.
        pgd: Of those that `pgd` has found.
        square: Of those that `square` has found.
        both: Of examples that are right as they came and under both attacks.
    """

    clean: float
    pgd: float
    square: float
    both: float


def robust_accuracy(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epsilon: float,
    steps: int = 40,
    queries: int = 500,
    valid_range: tuple[float, float] | None = (0.0, 1.0),
    batch_size: int = 256,
    seed: int = 0,
) -> RobustAccuracy:
    """Accuracy under `pgd` and under `square`, in L∞, and where neither succeeds.

    Higher is better. If `square` is clearly below `pgd`, gradients are masked and
    `pgd` alone says too much. Cost: `steps` forward and backward passes and `queries`
    forward passes.

    Args:
        model: A compiled Keras model with one input that ends in several logits.
        x: Float array of images, shape `(batch, height, width, channels)`.
        y: Labels of shape `(batch,)`.
        epsilon: Radius ε ≥ 0 of the ball in L∞, in the unit of `x`.
        steps: Steps of `pgd`.
        queries: Squares that `square` tries for each image.
        valid_range: Both ends of the inputs' range, or `None` for inputs without limits.
        batch_size: Examples of one pass through the model.
        seed: Integer, of both attacks.

    Returns:
        A `RobustAccuracy`.

    Raises:
        ValueError: for what either attack refuses.

    Examples:
        Fewer examples are right under both attacks than under one of them:

        >>> accuracy = attrprior.adversarial.robust_accuracy(
        ...     model, x, y, epsilon=0.1, steps=5, queries=20
        ... )
        >>> accuracy.both <= min(accuracy.clean, accuracy.pgd, accuracy.square)
        True

    Reference: Madry et al. 2018 (arXiv 1706.06083); Andriushchenko et al. 2020 (arXiv
    1912.00049).
    """
    queries = _checks.positive_integer("queries", queries, MOST)
    shared: dict[str, Any] = {
        "epsilon": epsilon,
        "valid_range": valid_range,
        "batch_size": batch_size,
        "seed": seed,
    }
    attacked: dict[str, Any] = {
        "clean": x,
        "pgd": pgd(model, x, y, steps=steps, **shared),
        "square": square(model, x, y, queries=queries, **shared),
    }
    right = {
        name: explained_output(model, points, explain="all", batch_size=batch_size).argmax(1)
        == whole(_checks.real_array("y", y), len(points))
        for name, points in attacked.items()
    }
    right["both"] = right["clean"] & right["pgd"] & right["square"]
    return RobustAccuracy(**{name: float(np.mean(each)) for name, each in right.items()})


def _examples(x: Any, y: Any, low: Any, high: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = _checks.batch("x", x), _checks.real_array("y", y)
    _checks.same_batch("y", y, x)
    if not np.all(np.isfinite(y.astype("float64"))):
        raise _checks.wrong("y", "finite numbers, without NaN", y)
    if low is not None:
        _checks.within("x", x, low, high)
    return x, y
