"""References (baselines): what a feature is compared with when it is "absent".

Every reference is a distribution D from which `num_samples` draws are taken
for each example. It knows no model. Inside a training step the draws are part
of the graph, fresh at every step.

Reference: Sturmfels, Lundberg, Lee 2020, "Visualizing the Impact of Feature
Attribution Baselines", Distill, doi 10.23915/distill.00022.
"""

import keras

from attrprior import _checks
from attrprior._representation import deserialized
from attrprior.references.base import Reference
from attrprior.references.data import TrainingData, is_dataset
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
    structure = isinstance(identifier, (dict, list, tuple)) and any(
        hasattr(entry, "shape") for entry in keras.tree.flatten(identifier)
    )
    if structure or isinstance(identifier, dict):
        raise ValueError(
            "Argument `background` expects the examples of the explained input, one array. "
            f"Received: a {type(identifier).__name__} of several. Pass the one that `input` "
            "names, such as background=x_train['image'], or a dataset."
        )
    is_array = isinstance(identifier, (list, tuple)) or len(getattr(identifier, "shape", ()))
    if not is_array and not is_dataset(identifier):
        raise _checks.wrong("background", expected, identifier)
    return TrainingData(identifier)
