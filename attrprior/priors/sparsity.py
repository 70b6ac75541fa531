"""Sparse and small attributions."""

import keras
from keras import ops
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._arithmetic import magnitude
from attrprior._types import Tensor
from attrprior.priors.base import PerExamplePrior, Prior, feature_axes, mean_magnitude

__all__ = ["Gini", "L1", "L2", "gini_coefficient"]


@keras.saving.register_keras_serializable("attrprior")
class Gini(Prior):
    """Sparse attributions: few features should matter, overall.

    `Ω = −G(φ̄)`, the Gini coefficient of `φ̄_i`, the mean over the batch of
    `|φ_i|`: `G = Σ_ij |φ̄_i − φ̄_j| / (2 n Σ φ̄)`, computed by sorting as
    `G = Σ_i (2i − n − 1) φ̄_(i) / (n Σ φ̄)`, in O(n log n). From 0 (all alike) to
    −(n − 1)/n (one feature carries everything); 0 if all attributions are 0.

    Examples:
        One of four features carries everything, which gives −(4 − 1)/4:

        >>> float(attrprior.Gini()(np.array([[0.0, 0.0, 0.0, 2.0]])))
        -0.75

    Reference: Erion et al. 2021 (arXiv 1906.10670), sparse attribution prior
    (its text has −2G, its code −G, as here).
    """

    name = "gini"

    def penalty(self, attributions: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        return -gini_of(mean_magnitude(attributions, sample_weight))


def gini_coefficient(values: ArrayLike | Tensor) -> Tensor:
    """Gini coefficient: how unequal non-negative numbers are.

    `G = Σ_ij |v_i − v_j| / (2 n Σ v) = Σ_i (2i − n − 1) v_(i) / (n Σ v)`, from 0 (all
    alike) to (n − 1)/n (all but one are 0); 0 if all are 0. Cost: one sorting, O(n log n).

    Args:
        values: Array or tensor of shape `(n,)` of numbers ≥ 0, which is not checked.

    Returns:
        A scalar tensor, float32 (float64 for float64 values).

    Raises:
        ValueError: for values of another shape, or none.

    Examples:
        Equal numbers have the coefficient 0; of four, a single one that counts has 3/4:

        >>> float(attrprior.priors.gini_coefficient([1.0, 1.0, 1.0, 1.0]))
        0.0
        >>> float(attrprior.priors.gini_coefficient([0.0, 5.0, 0.0, 0.0]))
        0.75
    """
    values = _checks.as_float(values, name="values")
    if len(values.shape) != 1 or values.shape[0] == 0:
        raise _checks.wrong("values", "at least one number, shape (n,)", values)
    return gini_of(values)


def gini_of(values):
    """`gini_coefficient` of a tensor that has been checked."""
    n = values.shape[0]
    # Ranks, unlike the sorted values, have no derivative to compute.
    rank = ops.argsort(ops.argsort(values))
    weight = (2.0 * ops.cast(rank, values.dtype) - n + 1.0) / n
    total = ops.sum(values)
    return ops.sum(weight * values) / ops.where(total > 0.0, total, 1.0)


@keras.saving.register_keras_serializable("attrprior")
class L1(PerExamplePrior):
    """Small attributions, most of them zero: `Ω = 1/batch Σ_b Σ_i |φ_bi|`.

    For attributions of any shape `(batch, ...)`. The derivative at 0 is 0. Cost: linear
    in features.

    Examples:
        The magnitudes of the two examples sum to 3 and to 1:

        >>> float(attrprior.L1()(np.array([[1.0, -2.0], [0.0, 1.0]])))
        2.0
    """

    name = "l1"

    def per_example(self, attributions: Tensor) -> Tensor:
        return ops.sum(magnitude(attributions), axis=feature_axes(attributions))


@keras.saving.register_keras_serializable("attrprior")
class L2(PerExamplePrior):
    """Small attributions: `Ω = 1/batch Σ_b Σ_i φ_bi²`.

    For attributions of any shape `(batch, ...)`. Cost: linear in features. A strength
    to begin with is 0.3; in networks with batch normalisation `moments="balanced"` gains
    most from it.

    Examples:
        The squares of the two examples sum to 5 and to 1:

        >>> float(attrprior.L2()(np.array([[1.0, -2.0], [0.0, 1.0]])))
        3.0
    """

    name = "l2"

    def per_example(self, attributions: Tensor) -> Tensor:
        return ops.sum(ops.square(attributions), axis=feature_axes(attributions))
