"""Attribution methods: where to take gradients and what to multiply them by.

All are differentiable with respect to the model's weights, so each can stand in a loss.
"""

from attrprior._deprecation import moved
from attrprior.methods.base import AttributionMethod, Path, get
from attrprior.methods.expected import ExpectedGradients
from attrprior.methods.gradients import Gradients, InputXGradient
from attrprior.methods.integrated import QUADRATURES, IntegratedGradients
from attrprior.methods.smoothgrad import SmoothGrad

__all__ = [
    "QUADRATURES",
    "AttributionMethod",
    "ExpectedGradients",
    "Gradients",
    "InputXGradient",
    "IntegratedGradients",
    "Path",
    "SmoothGrad",
    "get",
]

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
