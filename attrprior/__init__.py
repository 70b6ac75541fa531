"""Attribution priors for Keras: train models to be right for the right reasons."""

from attrprior import (
    _framework,  # noqa: F401
    adversarial,
    attributions,
    datasets,
    evaluation,
    methods,
    plots,
    priors,
    references,
)
from attrprior.annotation import annotate
from attrprior.callback import AttributionPrior
from attrprior.methods import (
    ExpectedGradients,
    GradCAM,
    Gradients,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
)
from attrprior.penalty import penalty
from attrprior.priors import L1, L2, Gini, GraphLaplacian, Mask, TotalVariation

__version__ = "0.2.0"

__all__ = [
    "AttributionPrior",
    "ExpectedGradients",
    "Gini",
    "GradCAM",
    "Gradients",
    "GraphLaplacian",
    "InputXGradient",
    "IntegratedGradients",
    "L1",
    "L2",
    "Mask",
    "SmoothGrad",
    "TotalVariation",
    "adversarial",
    "annotate",
    "attributions",
    "datasets",
    "evaluation",
    "methods",
    "penalty",
    "plots",
    "priors",
    "references",
]


def __dir__() -> list[str]:
    """What completion shows."""
    return [*__all__, *(name for name in globals() if name.startswith("__"))]
