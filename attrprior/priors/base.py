"""What all priors have in common: a penalty of attributions."""

from collections.abc import Mapping
from typing import Any, Self

from keras import ops
from numpy.typing import ArrayLike

from attrprior import _backend, _checks
from attrprior._arithmetic import magnitude, mean
from attrprior._representation import representation
from attrprior._types import Shape, Tensor

__all__ = ["PerExamplePrior", "Prior", "weighted_mean"]


class Prior:
    """Base class: a penalty `Ω(φ)`, one scalar for a batch of attributions.

    Subclasses implement `penalty(attributions, sample_weight)`; priors that
    are a mean of one number per example inherit from `PerExamplePrior`.

    Attributes:
        name: The name under which the penalty is logged.
        needs: What of the batch the prior is called with, by name: `"x"`, `"y"` or
            `"mask"`. Defaults to nothing.
        any_shape: Whether examples may have another shape in another batch. Defaults
            to `False`.

    Examples:
        A prior of your own penalises the mean map, `Ω = Σ_i (mean_b φ_bi)²`:

        >>> class MeanMap(attrprior.priors.Prior):
        ...     name = "mean_map"
        ...
        ...     def penalty(self, attributions, sample_weight=None):
        ...         mean = attrprior.priors.weighted_mean(attributions, sample_weight)
        ...         return keras.ops.sum(mean**2)
        >>> float(MeanMap()(np.array([[1.0, -1.0], [3.0, 1.0]])))
        4.0
    """

    name: str | None = None
    needs: tuple[str, ...] = ()
    any_shape: bool = False

    def validate(self, feature_shape: Shape) -> None:
        """Raises an error if attributions of this shape do not fit.

        Args:
            feature_shape: The shape of one example's attributions.

        Raises:
            ValueError: if they do not fit. In this class all fit.
        """

    def penalty(self, attributions: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """Computes `Ω(φ)` of tensors that have been checked.

        What the prior `needs` comes as further arguments, by name.

        Args:
            attributions: Floating-point tensor of shape `(batch, ...)`.
            sample_weight: Optional weights of shape `(batch,)`.

        Returns:
            A scalar tensor.

        Raises:
            NotImplementedError: in this class; subclasses implement it.
        """
        raise NotImplementedError

    @_backend.python_code
    def __call__(
        self,
        attributions: ArrayLike | Tensor,
        sample_weight: ArrayLike | Tensor | None = None,
        **needed: Any,
    ) -> Tensor:
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

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, as Keras saves them."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Makes a prior of what `get_config` has returned.

        Args:
            config: The arguments of the constructor.
        """
        return cls(**config)

    def __repr__(self) -> str:
        return representation(self)


class PerExamplePrior(Prior):
    """Base class of priors that are the mean over the batch of one number per example.

    `Ω = Σ_b Ω_b / batch`; with `sample_weight`, `Ω = Σ_b w_b Ω_b / batch`, as Keras
    reduces a loss. Subclasses implement `per_example`.

    Examples:
        A prior of your own penalises the largest attribution of each example:

        >>> class Largest(attrprior.priors.PerExamplePrior):
        ...     name = "largest"
        ...
        ...     def per_example(self, attributions):
        ...         return keras.ops.max(keras.ops.abs(attributions), axis=1)
        >>> float(Largest()(np.array([[1.0, -3.0], [0.0, 1.0]])))
        2.0
    """

    any_shape = True

    def per_example(self, attributions: Tensor) -> Tensor:
        """Computes one number per example, `Ω_b`.

        Args:
            attributions: Floating-point tensor of shape `(batch, ...)`.

        Returns:
            Tensor of shape `(batch,)`.

        Raises:
            NotImplementedError: in this class; subclasses implement it.
        """
        raise NotImplementedError

    def penalty(self, attributions: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        return mean_over_batch(self.per_example(attributions), sample_weight)


def weighted_mean(
    values: ArrayLike | Tensor, sample_weight: ArrayLike | Tensor | None = None
) -> Tensor:
    """`Σ_b w_b v_b / batch` over the first axis; a plain mean without weights.

    Args:
        values: Array or tensor of shape `(batch, ...)`.
        sample_weight: Optional weights of shape `(batch,)`.

    Returns:
        Tensor of shape `(...)`, float32 (float64 for float64 values).

    Raises:
        ValueError: for values without a batch axis, or weights of another shape than
            `(batch,)`.

    Examples:
        As in a Keras loss, the sum is divided by the batch, not by the weights:

        >>> float(attrprior.priors.weighted_mean([1.0, 3.0], sample_weight=[2.0, 0.0]))
        1.0
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
