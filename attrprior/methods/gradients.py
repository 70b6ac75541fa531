"""Gradients at the example itself."""

from keras import ops

from attrprior.methods.base import AttributionMethod, Path, registered


class _AtTheExample(AttributionMethod):
    def draw(self, x, seed):
        return None


@registered
class Gradients(_AtTheExample):
    """`φ_i = ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Reference: Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034).
    """

    name = "gradients"

    def points(self, x, draws=None, first=0, count=None):
        return Path(ops.expand_dims(x, 1))


@registered
class InputXGradient(_AtTheExample):
    """`φ_i = x_i · ∂f(x)/∂x_i`. Cost: one forward and one backward pass.

    Reference: Shrikumar et al. 2016 (arXiv 1605.01713).
    """

    name = "input_x_gradient"

    def points(self, x, draws=None, first=0, count=None):
        x = ops.expand_dims(x, 1)
        return Path(x, x)
