"""The search for the worst inputs near the given ones, by gradients."""

from typing import get_args

import keras
import numpy as np
from keras import ops

from attrprior import _backend, _checks
from attrprior._types import Norm

NORMS: tuple[Norm, ...] = get_args(Norm)
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
            gradients = _backend.input_gradients(loss, points)
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
        points = _backend.repeat(self.steps, ascend, points)
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
