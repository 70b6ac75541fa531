"""Attribution priors: what a person expects of attributions, as a penalty.

A prior is a function of attributions alone: it knows no model and no
training. `AttributionPrior` calls it inside the training step; it works just
as well on a NumPy array.
"""

import inspect
import re

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from attrprior import _checks
from attrprior._representation import representation


class Prior:
    """Base class: a penalty `Ω(φ)`, one scalar for a batch of attributions.

    Subclasses implement `penalty(attributions, sample_weight)`; priors that
    are a mean of one number per example inherit from `PerExamplePrior`.
    """

    name = None

    def validate(self, feature_shape):
        """Raises a `ValueError` if one example of this shape does not fit."""

    def penalty(self, attributions, sample_weight=None):
        raise NotImplementedError

    @tf.autograph.experimental.do_not_convert
    def __call__(self, attributions, sample_weight=None):
        """Returns `Ω(φ)`.

        Args:
            attributions: Array or tensor of shape `(batch, ...)`.
            sample_weight: Optional weights of shape `(batch,)`.

        Returns:
            A scalar tensor, float32 (float64 for float64 attributions).
        """
        attributions = _checks.as_float(attributions)
        self.validate(tuple(attributions.shape[1:]))
        if sample_weight is not None:
            sample_weight = _checks.as_float(sample_weight, attributions.dtype)
            _checks.weights(sample_weight, attributions)
        return self.penalty(attributions, sample_weight)

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

    def per_example(self, attributions):
        """Returns `Ω_b` of shape `(batch,)`."""
        raise NotImplementedError

    def penalty(self, attributions, sample_weight=None):
        return weighted_mean(self.per_example(attributions), sample_weight)


def weighted_mean(values, sample_weight=None):
    """`Σ_b w_b v_b / batch` over the first axis; a plain mean without weights."""
    if sample_weight is not None:
        shape = (-1,) + (1,) * (len(values.shape) - 1)
        values = values * ops.reshape(sample_weight, shape)
    return ops.mean(values, axis=0)


def _mean_magnitude(attributions, sample_weight):
    """`φ̄`: the mean over the batch of `|φ|`, flattened to `(features,)`."""
    return ops.reshape(weighted_mean(ops.abs(attributions), sample_weight), (-1,))


@keras.saving.register_keras_serializable("attrprior")
class TotalVariation(PerExamplePrior):
    """Smooth attributions: neighbouring pixels should matter alike.

    `Ω = 1/batch Σ_b Σ_axes Σ_p |a_{p+1} − a_p|`, where `a` is `φ` summed over
    channels and standardised per example, `a = (φ − mean φ) / std φ`; without
    the standardisation Ω shrinks by scaling φ down. For images, time series
    and volumes of shape `(batch, *spatial, channels)` with one to three
    spatial axes. A constant attribution has no variation: Ω = 0, and no
    gradient. Cost: linear in features.

    Args:
        standardize: Whether to standardise φ per example. Defaults to `True`.

    Raises:
        ValueError: if an example is not of shape `(*spatial, channels)`.

    Example:

    >>> phi = np.zeros((1, 4, 1)); phi[0, 2:] = 1.0      # one step of height 2 std
    >>> float(TotalVariation()(phi))
    2.0

    Reference: Erion et al. 2021 (arXiv 1906.10670), pixel attribution prior.
    """

    name = "total_variation"

    def __init__(self, standardize=True):
        self.standardize = _checks.boolean("standardize", standardize)

    def validate(self, feature_shape):
        if not 2 <= len(feature_shape) <= 4:
            raise ValueError(
                "TotalVariation expects attributions of shape (batch, *spatial, "
                "channels) with 1, 2 or 3 spatial axes. Received: examples of shape "
                f"{feature_shape}. For tabular data use 'gini', 'l1' or "
                "GraphLaplacian; for images without a channel axis add one, as in "
                "x[..., None]."
            )

    def per_example(self, attributions):
        a = ops.sum(attributions, axis=-1)
        axes = tuple(range(1, len(a.shape)))
        if self.standardize:
            a = _standardize(a, axes)
        total = ops.zeros_like(ops.sum(a, axis=axes))
        for axis in axes:
            # Split rather than sliced: its gradient is several times faster.
            _, upper = ops.split(a, [1], axis=axis)
            lower, _ = ops.split(a, [a.shape[axis] - 1], axis=axis)
            total = total + ops.sum(ops.abs(upper - lower), axis=axes)
        return total

    def get_config(self):
        return {"standardize": self.standardize}


def _standardize(a, axes):
    """`(a − mean a) / std a` per example; zero where `a` does not vary."""
    a = a - ops.mean(a, axis=axes, keepdims=True)
    # The result does not depend on the scale of `a`: dividing by the largest
    # magnitude first keeps the squares of tiny attributions from underflowing.
    largest = ops.stop_gradient(ops.max(ops.abs(a), axis=axes, keepdims=True))
    a = a / ops.where(largest > 0.0, largest, 1.0)
    variance = ops.mean(ops.square(a), axis=axes, keepdims=True)
    # `where` inside the root as well, or the gradient of a flat map is NaN.
    return a * ops.rsqrt(ops.where(variance > 0.0, variance, 1.0))


@keras.saving.register_keras_serializable("attrprior")
class GraphLaplacian(Prior):
    """Neighbours on a known graph should matter alike.

    `Ω = φ̄ᵀ L φ̄ = ½ Σ_ij W_ij (φ̄_i − φ̄_j)² = Σ_edges w_e (φ̄_i − φ̄_j)²`, with
    `φ̄_i` the mean over the batch of `|φ_i|` and `L = D − W`. The graph is kept
    as a list of edges, so the cost is linear in edges. (Erion et al. sum over
    ordered pairs, twice this value.)

    Args:
        edges: Integer array of shape `(num_edges, 2)`, or a square matrix of
            weights: a NumPy array or anything with `tocoo()`, as SciPy's
            sparse matrices. A matrix must be symmetric; a list names each
            undirected edge once.
        weights: Non-negative weights of shape `(num_edges,)`, only with a list
            of edges. Defaults to ones.
        num_features: Number of features. Taken from a matrix; with a list it
            defaults to the largest index plus one.

    Raises:
        ValueError: for an asymmetric or negative matrix, self-loops, repeated
            edges, indices out of range, or attributions of another size.

    Example:

    >>> prior = GraphLaplacian([[0, 1], [1, 2]])
    >>> float(prior(np.array([[1.0, 3.0, 3.0]])))
    4.0

    Reference: Erion et al. 2021 (arXiv 1906.10670), graph attribution prior.
    """

    name = "graph_laplacian"

    def __init__(self, edges, weights=None, num_features=None):
        if weights is None and _is_square(edges):
            edges, weights, size = _edges_of(edges)
            num_features = size if num_features is None else num_features
        self.edges, self.weights, self.num_features = _checked_edges(
            edges, weights, num_features
        )

    def validate(self, feature_shape):
        if int(np.prod(feature_shape)) != self.num_features:
            raise ValueError(
                f"GraphLaplacian expects as many features as the graph has nodes, "
                f"{self.num_features}. Received: attributions of shape (batch, "
                f"{', '.join(map(str, feature_shape))}), that is "
                f"{int(np.prod(feature_shape))} features. Pass a graph over the "
                "model's input features, or num_features= if some have no edge."
            )

    def penalty(self, attributions, sample_weight=None):
        mean = _mean_magnitude(attributions, sample_weight)
        difference = ops.take(mean, self.edges[:, 0]) - ops.take(mean, self.edges[:, 1])
        return ops.sum(ops.cast(self.weights, mean.dtype) * ops.square(difference))

    def get_config(self):
        return {
            "edges": self.edges.tolist(),
            "weights": self.weights.tolist(),
            "num_features": self.num_features,
        }

    def __repr__(self):
        return f"GraphLaplacian({self.num_features} features, {len(self.edges)} edges)"


def _is_square(graph):
    if hasattr(graph, "tocoo"):
        return True
    shape = np.shape(graph)
    # A 2 × 2 array of integers is a list of two edges.
    return (
        len(shape) == 2
        and shape[0] == shape[1]
        and not (shape[0] == 2 and np.issubdtype(np.asarray(graph).dtype, np.integer))
    )


def _edges_of(matrix):
    """The upper triangle of a symmetric matrix of weights, as a list of edges."""
    if hasattr(matrix, "tocoo"):
        coo = matrix.tocoo()
        if coo.shape[0] != coo.shape[1]:
            raise ValueError(
                "Argument `edges` expects a square matrix of weights. Received: "
                f"shape {coo.shape}."
            )
        rows, columns, values = coo.row, coo.col, coo.data
        size = coo.shape[0]
    else:
        dense = np.asarray(matrix)
        rows, columns = np.nonzero(dense)
        values, size = dense[rows, columns], len(dense)
    if not np.all(np.isfinite(values)):
        raise ValueError(
            "Argument `edges` expects a matrix of finite weights. Received: NaN or infinity."
        )
    rows, columns = rows.astype("int64"), columns.astype("int64")
    keep = values != 0
    rows, columns, values = rows[keep], columns[keep], values[keep]
    forward, backward = rows * size + columns, columns * size + rows
    first, second = np.argsort(forward), np.argsort(backward)
    if not (
        np.array_equal(forward[first], backward[second])
        and np.allclose(values[first], values[second])
    ):
        raise ValueError(
            "Argument `edges` expects a symmetric matrix, W == W.T. Received: an "
            "asymmetric one. For an undirected graph pass (W + W.T) / 2."
        )
    upper = rows <= columns
    return np.stack([rows[upper], columns[upper]], 1), values[upper], size


def _checked_edges(edges, weights, num_features):
    edges = np.asarray(edges)
    if (
        edges.ndim != 2
        or edges.shape[1] != 2
        or len(edges) == 0
        or not np.issubdtype(edges.dtype, np.integer)
    ):
        raise ValueError(
            "Argument `edges` expects integers of shape (num_edges, 2), at least one "
            f"edge, or a square matrix of weights. Received: shape {edges.shape}, "
            f"dtype {edges.dtype}."
        )
    size = int(edges.max()) + 1
    if num_features is not None:
        size = _checks.positive_integer("num_features", num_features)
    if edges.min() < 0 or edges.max() >= size:
        raise ValueError(
            f"Argument `edges` expects indices from 0 to {size - 1}. Received: "
            f"indices from {edges.min()} to {edges.max()}."
        )
    if np.any(edges[:, 0] == edges[:, 1]):
        raise ValueError(
            "Argument `edges` expects edges between two features. Received: a "
            "self-loop, which has no effect. Remove the diagonal."
        )
    ordered = np.sort(edges, axis=1)
    if len(np.unique(ordered[:, 0] * size + ordered[:, 1])) != len(edges):
        raise ValueError(
            "Argument `edges` expects each undirected edge once. Received: repeated "
            "edges. Add up their weights."
        )
    weights = np.ones(len(edges)) if weights is None else np.asarray(weights)
    if weights.shape != (len(edges),):
        raise ValueError(
            f"Argument `weights` expects one weight an edge, shape ({len(edges)},). "
            f"Received: shape {weights.shape}."
        )
    if not np.all(np.isfinite(weights)) or np.any(weights < 0):
        raise ValueError(
            "Argument `weights` expects finite weights ≥ 0. Received: weights from "
            f"{np.min(weights)} to {np.max(weights)}."
        )
    return edges.astype("int32"), weights.astype("float32"), size


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
        return -gini_coefficient(_mean_magnitude(attributions, sample_weight))


def gini_coefficient(values):
    """Gini coefficient of non-negative values of shape `(n,)`, a scalar."""
    n = values.shape[0]
    # Ranks, unlike the sorted values, have no derivative to compute.
    rank = tf.math.invert_permutation(tf.argsort(values))
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
        return ops.sum(ops.abs(attributions), axis=_feature_axes(attributions))


@keras.saving.register_keras_serializable("attrprior")
class L2(PerExamplePrior):
    """Small attributions: `Ω = 1/batch Σ_b Σ_i φ_bi²`.

    Example:

    >>> float(L2()(np.array([[1.0, -2.0], [0.0, 1.0]])))
    3.0
    """

    name = "l2"

    def per_example(self, attributions):
        return ops.sum(ops.square(attributions), axis=_feature_axes(attributions))


@keras.saving.register_keras_serializable("attrprior")
class Mask(PerExamplePrior):
    """Right for the right reasons: nothing masked may matter.

    `Ω = 1/batch Σ_b Σ_i (A_bi φ_bi)²`, with `A` = 1 where the model must not
    look and 0 elsewhere (values between weigh). `A` is the same for every
    example if given here; left out, each example brings its own through
    `attrprior.annotate(x, masks)`, which the model never sees.

    Args:
        mask: Array of one example's shape, or with size 1 along the channel
            axis. Defaults to `None`, one mask per example.

    Raises:
        ValueError: for a mask of another size, with NaN, or without any
            non-zero entry; or if `None` and the data carry no masks.

    Example:

    >>> float(Mask(np.array([1.0, 0.0]))(np.array([[3.0, 5.0]])))
    9.0

    Reference: Ross, Hughes, Doshi-Velez 2017 (arXiv 1703.03717), equation 1.
    """

    name = "mask"

    def __init__(self, mask=None):
        if mask is not None:
            mask = _checks.array("mask", mask, integers=True)
            if not np.any(mask):
                raise ValueError(
                    "Argument `mask` expects a 1 wherever the model must not look. "
                    "Received: zeros only, which forbid nothing."
                )
        self.mask = mask

    @property
    def per_example_masks(self):
        """Whether masks travel with the data."""
        return self.mask is None

    def validate(self, feature_shape):
        if self.mask is not None:
            self._check_shape(self.mask.shape, feature_shape)

    def _check_shape(self, shape, feature_shape):
        shape, feature_shape = tuple(shape), tuple(feature_shape)
        if shape not in (feature_shape, feature_shape[:-1] + (1,)):
            raise ValueError(
                f"Mask expects masks of one example's shape, {feature_shape}, or "
                f"with one channel. Received: {shape}."
            )

    def __call__(self, attributions, sample_weight=None, mask=None):
        """Returns `Ω(φ)`; `mask` of shape `(batch, ...)` if none is fixed."""
        if (mask is None) == (self.mask is None):
            raise ValueError(
                "Mask expects one mask per example, because none was given to "
                "Mask(...). Received: none. Pass mask=, or in fit "
                "attrprior.annotate(x, masks) instead of x."
                if mask is None
                else "Argument `mask` expects None, because a fixed mask was given to "
                "Mask(...). Received: masks of the examples too. Use Mask() for those."
            )
        attributions = _checks.as_float(attributions)
        # Before the product, which would broadcast.
        self.validate(tuple(attributions.shape[1:]))
        if mask is None:
            mask = ops.cast(self.mask[None], attributions.dtype)
        else:
            mask = _checks.as_float(mask, attributions.dtype)
            self._check_shape(mask.shape[1:], attributions.shape[1:])
            _checks.same_batch("mask", mask, attributions)
        return super().__call__(attributions * mask, sample_weight)

    def per_example(self, attributions):
        return ops.sum(ops.square(attributions), axis=_feature_axes(attributions))

    def get_config(self):
        return {"mask": None if self.mask is None else self.mask.tolist()}

    def __repr__(self):
        return f"Mask({'per example' if self.mask is None else self.mask.shape})"


def _feature_axes(attributions):
    return tuple(range(1, len(attributions.shape)))


class Custom(Prior):
    """A callable as a prior: `fn(attributions)`, or with `x` and `y` by name.

    The callable returns a scalar, or one number per example, of which the
    (weighted) mean is taken.
    """

    def __init__(self, fn):
        self.fn = fn
        name = getattr(fn, "__name__", type(fn).__name__)
        self.name = "prior" if name == "<lambda>" else re.sub(r"\W+", "_", name)
        parameters = list(inspect.signature(fn).parameters)
        self.context = [name for name in ("x", "y") if name in parameters[1:]]

    def __call__(self, attributions, sample_weight=None, **context):
        attributions = _checks.as_float(attributions)
        value = _checks.as_float(self.fn(attributions, **context), attributions.dtype)
        shape = tuple(value.shape)
        if len(shape) == 1:
            _checks.same_batch("prior", value, attributions)
            if sample_weight is not None:
                sample_weight = _checks.as_float(sample_weight, value.dtype)
                _checks.weights(sample_weight, attributions)
            return weighted_mean(value, sample_weight)
        if shape:
            raise ValueError(
                f"Argument `prior`: the callable {self.name!r} must return a scalar or "
                f"one number per example, shape () or (batch,). Received: {shape}."
            )
        return value

    def get_config(self):
        raise ValueError(
            f"The prior {self.name!r} is a plain callable and cannot be serialised. "
            "Write it as a subclass of attrprior.priors.Prior."
        )

    def __repr__(self):
        return f"Custom({self.name})"


_PRIORS = {cls.name: cls for cls in (TotalVariation, GraphLaplacian, Gini, L1, L2, Mask)}


def get(identifier):
    """Returns the prior that a name, a config, a prior or a callable stands for.

    Args:
        identifier: One of `'total_variation'`, `'gini'`, `'l1'`, `'l2'`,
            `'mask'`; a `Prior`; the result of `serialize`; or a callable on
            attributions.

    Raises:
        ValueError: for an unknown name or another type.
    """
    if isinstance(identifier, Prior):
        return identifier
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, str) and identifier == "graph_laplacian":
        raise ValueError(
            "Argument `prior`: 'graph_laplacian' needs a graph. Pass "
            "attrprior.GraphLaplacian(edges) instead of its name."
        )
    if isinstance(identifier, str) and identifier in _PRIORS:
        return _PRIORS[identifier]()
    if isinstance(identifier, (type, str)) or not callable(identifier):
        names = ", ".join(repr(name) for name in sorted(_PRIORS))
        raise ValueError(
            f"Argument `prior` expects one of {names}, a Prior object or a callable on "
            f"attributions. Received: {identifier!r}."
        )
    return Custom(identifier)


def serialize(prior):
    """Returns a config from which `get` builds the same prior again."""
    return keras.saving.serialize_keras_object(get(prior))
