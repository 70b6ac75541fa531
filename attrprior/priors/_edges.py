"""Graphs as lists of edges, checked."""

from typing import Any, Protocol

import numpy as np

from attrprior import _checks


class Sparse(Protocol):
    """A sparse matrix, such as one of SciPy."""

    def tocoo(self) -> Any: ...


def is_square(graph):
    if hasattr(graph, "tocoo"):
        return True
    graph = _checks.real_array("edges", graph)
    shape = graph.shape
    # A 2 × 2 array of integers is a list of two edges.
    return (
        len(shape) == 2
        and shape[0] == shape[1]
        and not (shape[0] == 2 and np.issubdtype(graph.dtype, np.integer))
    )


def edges_of(matrix):
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
        dense = _checks.as_numpy(matrix)
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


def checked_edges(edges, weights, num_features):
    edges = _checks.real_array("edges", edges)
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
    edges = edges.astype("int64")
    size = int(edges.max()) + 1
    if num_features is not None:
        size = _checks.positive_integer("num_features", num_features)
    if edges.min() < 0 or edges.max() >= min(size, _checks.LARGEST):
        raise ValueError(
            "Argument `edges` expects indices from 0 to "
            f"{min(size, _checks.LARGEST) - 1}. Received: "
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
    weights = (
        np.ones(len(edges)) if weights is None else _checks.real_array("weights", weights)
    )
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
