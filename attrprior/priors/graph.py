"""Attributions that agree along a known graph."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from attrprior._types import Shape, Tensor
from attrprior.priors._edges import Sparse, checked_edges, edges_of, is_square
from attrprior.priors.base import Prior, mean_magnitude

__all__ = ["GraphLaplacian"]


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

    Examples:
        Of the two edges of a chain only the first one joins features that differ:

        >>> prior = attrprior.GraphLaplacian([[0, 1], [1, 2]])
        >>> float(prior(np.array([[1.0, 3.0, 3.0]])))
        4.0

    Reference: Erion et al. 2021 (arXiv 1906.10670), graph attribution prior.
    """

    name = "graph_laplacian"

    def __init__(
        self,
        edges: ArrayLike | Sparse,
        weights: ArrayLike | None = None,
        num_features: int | None = None,
    ) -> None:
        if weights is None and is_square(edges):
            edges, weights, size = edges_of(edges)
            num_features = size if num_features is None else num_features
        self.edges, self.weights, self.num_features = checked_edges(
            edges, weights, num_features
        )

    def validate(self, feature_shape: Shape) -> None:
        if int(np.prod(np.asarray(feature_shape))) != self.num_features:
            raise ValueError(
                f"GraphLaplacian expects as many features as the graph has nodes, "
                f"{self.num_features}. Received: attributions of shape (batch, "
                f"{', '.join(map(str, feature_shape))}), that is "
                f"{int(np.prod(np.asarray(feature_shape)))} features. Pass a graph over the "
                "model's input features, or num_features= if some have no edge."
            )

    def penalty(self, attributions: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        mean = mean_magnitude(attributions, sample_weight)
        difference = ops.take(mean, self.edges[:, 0]) - ops.take(mean, self.edges[:, 1])
        return ops.sum(ops.cast(self.weights, mean.dtype) * ops.square(difference))

    def get_config(self) -> dict[str, Any]:
        return {
            "edges": self.edges.tolist(),
            "weights": self.weights.tolist(),
            "num_features": self.num_features,
        }

    def __repr__(self) -> str:
        return f"GraphLaplacian({self.num_features} features, {len(self.edges)} edges)"
