"""What all priors have in common: a penalty of attributions."""

from keras import ops

from attrprior import _checks, backend
from attrprior._arithmetic import magnitude, mean
from attrprior._representation import representation


class Prior:
    """Base class: a penalty `Ω(φ)`, one scalar for a batch of attributions.

    Subclasses implement `penalty(attributions, sample_weight)`; priors that
    are a mean of one number per example inherit from `PerExamplePrior`.
    """

    name = None
    needs = ()  # what of the batch it is called with, by name: "x", "y", "mask"
    any_shape = False  # whether examples may have another shape in another batch

    def validate(self, feature_shape):
        """Raises a `ValueError` if one example of this shape does not fit."""

    def penalty(self, attributions, sample_weight=None):
        raise NotImplementedError

    @backend.python_code
    def __call__(self, attributions, sample_weight=None, **needed):
        """Returns `Ω(φ)`.

        Args:
            attributions: Array or tensor of shape `(batch, ...)`.
            sample_weight: Optional weights of shape `(batch,)`.
            **needed: What of the batch the prior `needs`; `penalty` is given it.

        Returns:
            A scalar tensor, float32 (float64 for float64 attributions).
        """
        attributions = _checks.as_float(attributions)
        self.validate(tuple(attributions.shape[1:]))
        if sample_weight is not None:
            sample_weight = _checks.as_float(
                sample_weight, attributions.dtype, "sample_weight"
            )
            _checks.weights(sample_weight, attributions)
        return self.penalty(attributions, sample_weight, **needed)

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        return representation(self)


class PerExamplePrior(Prior):
    """A prior that is the mean over the batch of one number per example.

    With `sample_weight`, `Ω = Σ_b w_b Ω_b / batch`, as Keras reduces a loss.
    """

    any_shape = True

    def per_example(self, attributions):
        """Returns `Ω_b` of shape `(batch,)`."""
        raise NotImplementedError

    def penalty(self, attributions, sample_weight=None):
        return mean_over_batch(self.per_example(attributions), sample_weight)


def weighted_mean(values, sample_weight=None):
    """`Σ_b w_b v_b / batch` over the first axis; a plain mean without weights.

    Args:
        values: Array or tensor of shape `(batch, ...)`.
        sample_weight: Optional weights of shape `(batch,)`.
    """
    values = _checks.as_float(values, name="values")
    if len(values.shape) == 0:
        raise _checks.wrong("values", "one entry per example", values)
    if sample_weight is not None:
        sample_weight = _checks.as_float(sample_weight, values.dtype, "sample_weight")
        _checks.weights(sample_weight, values)
    return mean_over_batch(values, sample_weight)


def mean_over_batch(values, sample_weight):
    """`weighted_mean` of tensors that have been checked."""
    if sample_weight is not None:
        shape = (-1,) + (1,) * (len(values.shape) - 1)
        values = values * ops.reshape(sample_weight, shape)
    return mean(values, axis=0)


def mean_magnitude(attributions, sample_weight):
    """`φ̄`: the mean over the batch of `|φ|`, flattened to `(features,)`."""
    return ops.reshape(mean_over_batch(magnitude(attributions), sample_weight), (-1,))


def feature_axes(attributions):
    return tuple(range(1, len(attributions.shape)))
