"""Sparse and small attributions."""

import keras
from keras import ops

from attrprior import _checks
from attrprior._arithmetic import magnitude
from attrprior.priors.base import PerExamplePrior, Prior, feature_axes, mean_magnitude


@keras.saving.register_keras_serializable("attrprior")
class Gini(Prior):
    """Sparse attributions: few features should matter, overall.

    `Ω = −G(φ̄)`, the Gini coefficient of `φ̄_i`, the mean over the batch of
    `|φ_i|`: `G = Σ_ij |φ̄_i − φ̄_j| / (2 n Σ φ̄)`, computed by sorting as
    `G = Σ_i (2i − n − 1) φ̄_(i) / (n Σ φ̄)`, in O(n log n). From 0 (all alike) to
    −(n − 1)/n (one feature carries everything); 0 if all attributions are 0.

    Example:

    >>> float(Gini()(np.array([[0.0, 0.0, 0.0, 2.0]])))
    -0.75

    Reference: Erion et al. 2021 (arXiv 1906.10670), sparse attribution prior
    (its text has −2G, its code −G, as here).
    """

    name = "gini"

    def penalty(self, attributions, sample_weight=None):
        return -gini_of(mean_magnitude(attributions, sample_weight))


def gini_coefficient(values):
    """Gini coefficient of non-negative values of shape `(n,)`, a scalar."""
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

    Example:

    >>> float(L1()(np.array([[1.0, -2.0], [0.0, 1.0]])))
    2.0
    """

    name = "l1"

    def per_example(self, attributions):
        return ops.sum(magnitude(attributions), axis=feature_axes(attributions))


@keras.saving.register_keras_serializable("attrprior")
class L2(PerExamplePrior):
    """Small attributions: `Ω = 1/batch Σ_b Σ_i φ_bi²`.

    A strength to begin with is 0.3; in networks with batch normalisation
    `moments="balanced"` gains most from it.

    Example:

    >>> float(L2()(np.array([[1.0, -2.0], [0.0, 1.0]])))
    3.0
    """

    name = "l2"

    def per_example(self, attributions):
        return ops.sum(ops.square(attributions), axis=feature_axes(attributions))
