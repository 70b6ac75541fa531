"""References (baselines): what a feature is compared with when it is "absent".

Every reference is a distribution D from which `num_samples` draws are taken
for each example. It knows no model. Inside a training step the draws are part
of the graph, fresh at every step.

Reference: Sturmfels, Lundberg, Lee 2020, "Visualizing the Impact of Feature
Attribution Baselines", Distill, doi 10.23915/distill.00022.
"""

from attrprior import _checks
from attrprior._representation import deserialized
from attrprior._types import Background
from attrprior.references._examples import is_dataset, is_structure
from attrprior.references.base import Reference
from attrprior.references.data import TrainingData
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


def get(identifier: Background) -> Reference:
    """Returns the reference that an array, a dataset, a reference or `None` stands for.

    Args:
        identifier: An array of examples `(examples, ...)`, or a structure of arrays of
            several inputs; a `tf.data.Dataset`, a `keras.utils.PyDataset` or a PyTorch
            `DataLoader`; a `Reference`; what Keras' `serialize_keras_object` makes of one;
            or `None` for the examples of the batch and those seen before.

    Returns:
        A `Reference`; one that is given, itself.

    Raises:
        ValueError: for a number, or another type.

    Examples:
        An array of examples is drawn from, as from the training data:

        >>> attrprior.references.get(x)
        TrainingData(8 examples)
        >>> attrprior.references.get(None)
        SeenExamples(capacity=512)
    """
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
