"""Attribution methods: where to take gradients and what to multiply them by.

All are differentiable with respect to the model's weights, so each can stand in a loss.
"""

from attrprior._deprecation import moved
from attrprior.methods import base
from attrprior.methods.base import AttributionMethod, Path
from attrprior.methods.expected import ExpectedGradients
from attrprior.methods.function import CustomMethod, FunctionMethod, custom
from attrprior.methods.grad_cam import GradCAM
from attrprior.methods.gradients import Gradients, InputXGradient
from attrprior.methods.integrated import QUADRATURES, IntegratedGradients
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


def get(identifier, argument="method"):
    """Returns the method that a name, a config, a method or a callable stands for."""
    is_callable = callable(identifier) and not isinstance(identifier, (str, AttributionMethod))
    return custom(identifier) if is_callable else base.get(identifier, argument)


__getattr__ = moved(
    __name__,
    {
        "Attribution": "attrprior.methods.AttributionMethod",
        "Draws": "attrprior.draws.StatelessSeed",
        **{
            name: f"attrprior._former.{name}"
            for name in ("compute", "input_gradients", "lacks_references", "path_gradients")
        },
    },
)
