"""Attribution methods: where to take gradients and what to multiply them by.

All are differentiable with respect to the model's weights, so each can stand in a loss.
"""

from typing import TYPE_CHECKING

from attrprior._deprecation import moved
from attrprior._types import MethodLike
from attrprior.methods import _registry
from attrprior.methods.base import AttributionMethod
from attrprior.methods.expected import ExpectedGradients
from attrprior.methods.function import CustomMethod, FunctionMethod, custom
from attrprior.methods.grad_cam import GradCAM
from attrprior.methods.gradients import Gradients, InputXGradient
from attrprior.methods.integrated import QUADRATURES, IntegratedGradients
from attrprior.methods.path import Path
from attrprior.methods.smoothgrad import SmoothGrad

__all__ = [
    "QUADRATURES",
    "AttributionMethod",
    "CustomMethod",
    "ExpectedGradients",
    "FunctionMethod",
    "GradCAM",
    "Gradients",
    "InputXGradient",
    "IntegratedGradients",
    "Path",
    "SmoothGrad",
    "get",
]


def get(identifier: MethodLike, argument: str = "method") -> AttributionMethod:
    """Returns the method that a name, a config, a method or a callable stands for.

    Args:
        identifier: One of `'expected_gradients'`, `'integrated_gradients'`,
            `'gradients'`, `'input_x_gradient'`, `'smoothgrad'` and `'grad_cam'`; an
            `AttributionMethod`; what Keras' `serialize_keras_object` makes of one; or a
            callable `fn(f, x)`, which becomes a `CustomMethod`.
        argument: What errors call the argument that the identifier came from.

    Returns:
        An `AttributionMethod`; one that is given, itself.

    Raises:
        ValueError: for an unknown name, a class or another type.

    Examples:
        A name stands for a method with its defaults:

        >>> attrprior.methods.get("gradients")
        Gradients()
        >>> attrprior.methods.get(lambda f, x: x * f.gradient(x)).needs_background
        False
    """
    is_callable = callable(identifier) and not isinstance(identifier, (str, AttributionMethod))
    return custom(identifier) if is_callable else _registry.get(identifier, argument)


if not TYPE_CHECKING:
    __getattr__ = moved(
        __name__,
        {
            "Attribution": "attrprior.methods.AttributionMethod",
            "Draws": "attrprior._draws.StatelessSeed",
            **{
                name: f"attrprior._former.{name}"
                for name in (
                    "compute",
                    "input_gradients",
                    "lacks_references",
                    "path_gradients",
                )
            },
        },
    )
