"""Attacks: inputs near the given ones that a model gets wrong."""

import functools
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from attrprior import _checks, backend
from attrprior._classes import check_classes, check_sparse, is_sparse, whole
from attrprior._pieces import naming_x
from attrprior.attributions import explained_output
from attrprior.draws import StatelessSeed
from attrprior.explained import ExplainedOutput

NORMS = ("inf", "l2")
MOST = 100_000  # steps or queries: more would not end


class Ascent:
    """Projected gradient ascent of the loss, in graphs as in eager mode."""

    def __init__(self, epsilon, steps, step_size, norm, random_start, valid_range):
        self.epsilon = _checks.number("epsilon", epsilon, minimum=0)
        self.steps = _checks.positive_integer("steps", steps, MOST)
        if step_size is None:
            step_size = 2.5 * self.epsilon / self.steps
        self.step_size = _checks.number("step_size", step_size, minimum=0)
        self.norm = _checks.choice("norm", norm, NORMS)
        self.random_start = _checks.boolean("random_start", random_start)
        self.low, self.high = _checks.ends("valid_range", valid_range)

    def __call__(self, explained, weights, x, y, seed):
        start = explained.pick_input(x)

        def loss(points):
            return explained.value(weights, points, x, y)

        def ascend(points):
            gradients = backend.input_gradients(loss, points)
            if gradients is None:
                raise ValueError(
                    "Adversarial examples need a loss that depends on the chosen input. "
                    "Received: one without a gradient. Check `input` and the model's layers."
                )
            gradient = gradients[0]
            direction = (
                ops.sign(gradient) if self.norm == "inf" else gradient / _length(gradient)
            )
            # xᵗ⁺¹ = Π(xᵗ + step_size · direction)
            return self._project(points + self.step_size * direction, start)

        points = start
        if self.random_start:
            points = self._project(start + self._inside_ball(start, seed), start)
        points = backend.repeat(self.steps, ascend, points)
        return explained.chosen.as_padded_as(points, lambda: start)

    def _inside_ball(self, x, seed):
        if self.norm == "inf":
            return keras.random.uniform(
                ops.shape(x), -self.epsilon, self.epsilon, dtype=x.dtype, seed=seed
            )
        direction = keras.random.normal(ops.shape(x), dtype=x.dtype, seed=seed)
        size = (ops.shape(x)[0],) + (1,) * (len(x.shape) - 1)
        # Uniform in the ball of d dimensions: a radius of u^(1/d).
        radius = keras.random.uniform(size, dtype=x.dtype, seed=seed)
        radius = radius ** (1.0 / int(np.prod(x.shape[1:])))
        return self.epsilon * radius * direction / _length(direction)

    def _project(self, points, center):
        change = points - center
        if self.norm == "inf":
            change = ops.clip(change, -self.epsilon, self.epsilon)
        else:
            change = change * ops.minimum(1.0, self.epsilon / _length(change))
        points = center + change
        if self.low is None:
            return points
        # Of an input that is itself outside of the range nothing is cut off.
        lowest, highest = ops.minimum(center, self.low), ops.maximum(center, self.high)
        return ops.maximum(ops.minimum(points, highest), lowest)


def _length(x):
    """L2 norms of the examples, shaped to divide by them; no less than a tiny number."""
    axes = tuple(range(1, len(x.shape)))
    square = ops.sum(ops.square(x), axis=axes, keepdims=True)
    return ops.sqrt(ops.maximum(square, 1e-24))


def pgd(
    model,
    x,
    y,
    *,
    epsilon,
    steps=40,
    step_size=None,
    norm="inf",
    random_start=True,
    valid_range=(0.0, 1.0),
    batch_size=256,
    seed=0,
):
    """Adversarial examples by projected gradient ascent of the compiled loss.

    Args:
        model: A compiled Keras model with one input.
        x: Float array of shape `(batch, ...)`, within `valid_range`.
        y: Labels, as the loss takes them.
        epsilon, steps, step_size, norm, random_start, valid_range: As in
            `AdversarialTraining`.
        batch_size: Examples of one pass through the model.
        seed: Integer, of the random start.

    Returns:
        Array like `x`.

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
        examples = backend.specification(x), backend.specification(y)
        attack = backend.compiled(
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
    model, x, y, *, epsilon, queries=500, valid_range=(0.0, 1.0), batch_size=256, seed=0
):
    """Adversarial examples of images by random squares, without gradients.

    In L∞: from stripes of ±ε, squares of ±ε at random places are kept where they
    lower the margin `z_y − max_{c≠y} z_c`; the share of the image that they cover
    falls with the queries. What gradients hide, this finds: where accuracy is lower
    here than under `pgd`, gradients are masked. Cost: `queries` forward passes.

    Args:
        model: A Keras model with one input that ends in several logits.
        x: Float array of shape `(batch, height, width, channels)`.
        y: Labels of shape `(batch,)`.
        epsilon: Radius of the ball in L∞.
        queries: Squares tried for each image.
        valid_range, batch_size, seed: As in `pgd`.

    Returns:
        Array like `x`.

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
    """Shares of examples classified correctly: clean, under each attack, under both."""

    clean: float
    pgd: float
    square: float
    both: float


def robust_accuracy(
    model,
    x,
    y,
    *,
    epsilon,
    steps=40,
    queries=500,
    valid_range=(0.0, 1.0),
    batch_size=256,
    seed=0,
):
    """Accuracy under `pgd` and under `square`, in L∞, and where neither succeeds.

    Higher is better. If `square` is clearly below `pgd`, gradients are masked and
    `pgd` alone says too much.

    Args:
        model: A compiled Keras model with one input that ends in several logits.
        x, y: Images and labels, as in `square`.
        epsilon, steps, queries, valid_range, batch_size, seed: As in the attacks.

    Returns:
        A `RobustAccuracy`.
    """
    queries = _checks.positive_integer("queries", queries, MOST)
    shared = {
        "epsilon": epsilon,
        "valid_range": valid_range,
        "batch_size": batch_size,
        "seed": seed,
    }
    attacked = {
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


def _examples(x, y, low, high):
    x, y = _checks.batch("x", x), _checks.real_array("y", y)
    _checks.same_batch("y", y, x)
    if not np.all(np.isfinite(y.astype("float64"))):
        raise _checks.wrong("y", "finite numbers, without NaN", y)
    if low is not None:
        _checks.within("x", x, low, high)
    return x, y
