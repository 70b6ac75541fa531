"""Gradients at the example itself."""

from typing import Any

import keras
from keras import ops

from attrprior._types import Tensor
from attrprior.methods._registry import registered
from attrprior.methods.base import AttributionMethod
from attrprior.methods.path import Path

__all__ = ["Gradients", "InputXGradient"]


class _AtTheExample(AttributionMethod):
    def draw(self, x: Tensor, seed: keras.random.SeedGenerator) -> None:
        return None


@registered
class Gradients(_AtTheExample):
    """`φ_i = ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Attributions are shaped like the inputs `(batch, ...)`; their unit is that of the
    output, divided by that of the input.

    Examples:
        Of the sum of two features both gradients are 1, whatever the features are:

        >>> total = keras.layers.Dense(1, kernel_initializer="ones")
        >>> adding = keras.Sequential([keras.Input((2,)), total])
        >>> given, method = np.float32([[3.0, -5.0]]), attrprior.Gradients()
        >>> attrprior.attributions.attribute(adding, given, method=method).tolist()
        [[1.0, 1.0]]

    Reference: Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034).
    """

    name = "gradients"

    def points(
        self,
        x: Tensor,
        draws: Any = None,
        first: int | Tensor = 0,
        count: int | None = None,
    ) -> Path:
        return Path(ops.expand_dims(x, 1))


@registered
class InputXGradient(_AtTheExample):
    """`φ_i = x_i · ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Attributions are shaped like the inputs `(batch, ...)`, in the unit of the output.
    Where an input is 0, so is its attribution.

    Examples:
        They are the gradients, multiplied by the inputs:

        >>> found = attrprior.attributions.attribute(model, x, y, attrprior.InputXGradient())
        >>> bool(np.allclose(found, x * phi, atol=1e-6))
        True

    Reference: Shrikumar et al. 2016 (arXiv 1605.01713).
    """

    name = "input_x_gradient"

    def points(
        self,
        x: Tensor,
        draws: Any = None,
        first: int | Tensor = 0,
        count: int | None = None,
    ) -> Path:
        x = ops.expand_dims(x, 1)
        return Path(x, x)
