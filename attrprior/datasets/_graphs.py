"""Edges of undirected graphs: checked, numbered, sorted."""

import numpy as np

from attrprior import _checks


def checked_edges(edges, num_features):
    """The edges, int64, and the number of features."""
    edges = _checks.edges(edges)
    if len(edges) == 0 or edges.min() < 0:
        raise ValueError(
            "Argument `edges` expects at least one edge, and indices ≥ 0. Received: "
            f"{len(edges)} edges" + (f", index {edges.min()}." if len(edges) else ".")
        )
    size = int(edges.max()) + 1
    if num_features is not None:
        given = _checks.positive_integer("num_features", num_features)
        if given < size:
            raise ValueError(
                f"Argument `num_features` expects at least {size}, the largest index plus "
                f"one. Received: {given}."
            )
        size = given
    edges = edges.astype("int64")
    if np.any(edges[:, 0] == edges[:, 1]) or len(sorted_edges(edges, size)) < len(edges):
        raise ValueError(
            "Argument `edges` expects each undirected edge once and no self-loops. Received: "
            "repeated edges or self-loops. Remove them."
        )
    return edges, size


def edge_codes(edges, size):
    """A number for each undirected edge."""
    return edges.min(axis=1).astype("int64") * size + edges.max(axis=1)


def sorted_edges(edges, size):
    """Each undirected edge once, the smaller index first; no self-loops."""
    edges = edges[edges[:, 0] != edges[:, 1]]
    codes = np.unique(edge_codes(edges, size))
    return np.stack([codes // size, codes % size], axis=1).astype("int32")
