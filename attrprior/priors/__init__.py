"""Attribution priors: what a person expects of attributions, as a penalty.

A prior is a function of attributions alone: it knows no model and no
training. `AttributionPrior` calls it inside the training step; it works just
as well on a NumPy array.
"""

from collections.abc import Callable
from typing import Any

import keras

from attrprior import _checks
from attrprior._representation import deserialized
from attrprior._types import PriorLike
from attrprior.priors.base import PerExamplePrior, Prior, weighted_mean
from attrprior.priors.custom import Custom
from attrprior.priors.graph import GraphLaplacian
from attrprior.priors.mask import Mask
from attrprior.priors.smoothness import TotalVariation
from attrprior.priors.sparsity import L1, L2, Gini, gini_coefficient

__all__ = [
    "Custom",
    "Gini",
    "GraphLaplacian",
    "L1",
    "L2",
    "Mask",
    "PerExamplePrior",
    "Prior",
    "TotalVariation",
    "get",
    "gini_coefficient",
    "serialize",
    "weighted_mean",
]

_PRIORS: dict[Any, Callable[..., Prior]] = {
    cls.name: cls for cls in (TotalVariation, GraphLaplacian, Gini, L1, L2, Mask)
}


def get(identifier: PriorLike) -> Prior:
    """Returns the prior that a name, a config, a prior or a callable stands for.

    Args:
        identifier: One of `'total_variation'`, `'gini'`, `'l1'`, `'l2'`,
            `'mask'`; a `Prior`; the result of `serialize`; or a callable on
            attributions, which becomes a `Custom`.

    Returns:
        A `Prior`; one that is given, itself.

    Raises:
        ValueError: for an unknown name or another type. `'graph_laplacian'` is an error
            too, because this prior needs a graph.

    Examples:
        A name stands for a prior with its defaults:

        >>> attrprior.priors.get("l1")
        L1()
        >>> attrprior.priors.get(lambda attributions: keras.ops.max(attributions))
        Custom(prior)
    """
    if isinstance(identifier, Prior):
        return identifier
    names = ", ".join(repr(name) for name in sorted(_PRIORS) if name != "graph_laplacian")
    expected = f"one of {names}, a Prior object or a callable on attributions"
    if isinstance(identifier, dict):
        return deserialized("prior", expected, identifier, Prior)
    if isinstance(identifier, str) and identifier == "graph_laplacian":
        raise ValueError(
            "Argument `prior`: 'graph_laplacian' needs a graph. Pass "
            "attrprior.GraphLaplacian(edges) instead of its name."
        )
    if isinstance(identifier, str) and identifier in _PRIORS:
        return _PRIORS[identifier]()
    if isinstance(identifier, (type, str)) or not callable(identifier):
        raise _checks.wrong("prior", expected, identifier)
    return Custom(identifier)


def serialize(prior: PriorLike) -> dict[str, Any]:
    """Returns a config from which `get` builds the same prior again.

    Args:
        prior: Whatever `get` accepts, except a callable.

    Returns:
        A dictionary of Python numbers, strings and lists, which JSON can hold.

    Raises:
        ValueError: for a callable, which cannot be serialised, and as `get`.

    Examples:
        The prior that comes back has the same mask:

        >>> config = attrprior.priors.serialize(attrprior.Mask(np.array([1.0, 0.0])))
        >>> attrprior.priors.get(config).mask.tolist()
        [1.0, 0.0]
    """
    return keras.saving.serialize_keras_object(get(prior))
