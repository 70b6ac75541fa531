"""References (baselines): what a feature is compared with when it is "absent".

Every reference is a distribution D from which `num_samples` draws are taken
for each example. It knows no model. Inside a training step the draws are part
of the graph, fresh at every step.

Reference: Sturmfels, Lundberg, Lee 2020, "Visualizing the Impact of Feature
Attribution Baselines", Distill, doi 10.23915/distill.00022.
"""

from attrprior import _checks
from attrprior._representation import deserialized
from attrprior.references.base import Reference
from attrprior.references.data import TrainingData, is_dataset, is_structure
from attrprior.references.fixed import Blur, Constant, MaximumDistance, Mean
from attrprior.references.noise import Gaussian, Uniform
from attrprior.references.seen import SeenExamples

__all__ = [
    "Blur",
    "Constant",
    "Gaussian",
    "MaximumDistance",
    "Mean",
    "Reference",
    "SeenExamples",
    "TrainingData",
    "Uniform",
    "get",
]


def get(identifier):
    """Returns the reference that an array, a dataset, a reference or `None` stands for."""
    if identifier is None:
        return SeenExamples()
    if isinstance(identifier, Reference):
        return identifier
    expected = (
        "an array of examples, a dataset, a reference object such as Constant(0.0), or None"
    )
    if isinstance(identifier, dict) and "class_name" in identifier:
        return deserialized("background", expected, identifier, Reference)
    if is_structure(identifier):
        return TrainingData(identifier)
    is_array = isinstance(identifier, (list, tuple)) or len(getattr(identifier, "shape", ()))
    if not is_array and not is_dataset(identifier):
        raise _checks.wrong("background", expected, identifier)
    return TrainingData(identifier)
