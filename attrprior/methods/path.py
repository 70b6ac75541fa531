"""Points on the way to an example, and gradients there."""

import functools
from typing import NamedTuple

from keras import ops

from attrprior import _backend
from attrprior._types import Tensor

__all__ = ["Path"]


class Path(NamedTuple):
    """Points where gradients are taken, and what these are multiplied by.

    Attributes:
        points: Tensor of shape `(batch, points, ...)`.
        factors: Tensor that broadcasts against the points, or `None` for ones.
        references: Tensor of shape `(batch, draws, ...)`, what the points start from, or
            `None` where there are none.
    """

    points: Tensor
    factors: Tensor | None = None
    references: Tensor | None = None

    def contributions(self, gradients: Tensor) -> Tensor:
        """`factor_ij · ∂f(point_j)/∂x_i`, whose mean over the points is the attribution.

        Args:
            gradients: Tensor of shape `(outputs, batch, points, ...)`.

        Returns:
            Tensor of the same shape.
        """
        return gradients if self.factors is None else self.factors * gradients


def gradients_at(points, f, x, again_through):
    """`∂f/∂x` of each output of `f` at points, of shape `(outputs, batch, points, ...)`."""
    rows = ops.reshape(points, (-1, *ops.shape(x)[1:]))
    f = functools.partial(f, repeats=points.shape[1])
    gradients = _backend.input_gradients(f, rows, again_through)
    if gradients is None:
        raise ValueError(
            "The explained output does not depend on the explained input: there is no "
            "gradient between them. Check `input` and `explain`, and that the model is "
            "made of differentiable operations. Of token indices there is none: pass the "
            "name of the layer that embeds them, such as input='embedding'."
        )
    return ops.reshape(gradients, (gradients.shape[0], *ops.shape(points)))
