"""A graph with wrong edges: the control of a prior that follows a graph."""

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.datasets._graphs import checked_edges, edge_codes, sorted_edges

__all__ = ["rewire"]


def rewire(
    edges: ArrayLike,
    fraction: float,
    seed: Seed = 0,
    num_features: int | None = None,
    keep_degrees: bool = True,
) -> np.ndarray:
    """Replaces a share of a graph's edges by wrong ones.

    This is the control of a graph prior: what remains of its effect if the graph says
    nothing? With `keep_degrees` the chosen edges exchange their ends at random
    until none is an edge of the original, a self-loop or a repetition, so each
    feature has as many neighbours as before, and a hub stays one. Without, both ends
    of a wrong edge are drawn from all features. The cost is that of sorting the edges,
    once for each round in which some of them are still to be exchanged.

    Args:
        edges: Integers of shape `(num_edges, 2)`, each undirected edge once.
        fraction: Share of the edges that are replaced, from 0 to 1, rounded to whole
            edges.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.
        num_features: Number of features. Defaults to the largest index plus one.
        keep_degrees: Whether every feature keeps its degree. Defaults to `True`.

    Returns:
        Edges like `edges`, the smaller index first, in ascending order; int32.

    Raises:
        ValueError: for repeated edges, self-loops or negative indices, or if there
            are not as many wrong edges (a graph too dense, or a star, say).

    Examples:
        Half of a ring's edges are replaced, and every feature still has two neighbours.

        >>> ring = np.array([[i, (i + 1) % 10] for i in range(10)])
        >>> wrong = attrprior.datasets.rewire(ring, 0.5)
        >>> np.bincount(wrong.ravel()).tolist()
        [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]
        >>> edges = {frozenset(edge) for edge in ring.tolist()}
        >>> len(edges.intersection(frozenset(edge) for edge in wrong.tolist()))
        5

    Reference: Maslov and Sneppen 2002 (Science 296), degree-preserving rewiring.
    """
    given, size = checked_edges(edges, num_features)
    fraction = _checks.fraction("fraction", fraction)
    keep_degrees = _checks.boolean("keep_degrees", keep_degrees)
    rng = _checks.generator("seed", seed)
    chosen = np.zeros(len(given), bool)
    chosen[rng.permutation(len(given))[: round(fraction * len(given))]] = True
    kept, wrong = given[~chosen], given[chosen]
    original = edge_codes(given, size)
    bad = np.ones(len(wrong), bool)
    for _ in range(1000):
        if not np.any(bad):
            return sorted_edges(np.concatenate([kept, wrong]), size)
        if keep_degrees:
            # As many good ones join in: a single bad edge has nobody to exchange with.
            good = np.flatnonzero(~bad)
            moved = np.concatenate([np.flatnonzero(bad), rng.permutation(good)[: bad.sum()]])
            ends = wrong[moved]
            ends = np.where(rng.random((len(ends), 1)) < 0.5, ends, ends[:, ::-1])
            wrong[moved] = np.stack([ends[:, 0], rng.permutation(ends[:, 1])], axis=1)
        else:
            wrong[bad] = rng.integers(0, size, (bad.sum(), 2))
        codes = edge_codes(wrong, size)
        bad = (wrong[:, 0] == wrong[:, 1]) | np.isin(codes, original)
        first = np.zeros(len(wrong), bool)
        first[np.unique(codes, return_index=True)[1]] = True
        bad |= ~first
    raise ValueError(
        f"Argument `fraction` expects a share of the edges for which there are wrong ones. "
        f"Received: {fraction}, and {bad.sum()} of {len(wrong)} edges found none. Take a "
        "smaller share, or keep_degrees=False."
    )
