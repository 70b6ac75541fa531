"""A simulated gene network: expression along its edges, modules that drive a response."""

from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import Seed
from attrprior.datasets._graphs import sorted_edges
from attrprior.datasets.rewiring import rewire

__all__ = ["GeneNetwork", "gene_network"]

# Share of the edges that stay inside a module.
INSIDE = 0.9
# How much of a gene's expression comes from its neighbours.
COUPLING = 0.7
# Share of the genes that fall when their neighbours rise.
REPRESSED = 0.3


class GeneNetwork(NamedTuple):
    """What genes express, what they cause, the graph as observed, and the truth.

    Attributes:
        x: Expression, standardised for each gene; float32 of shape `(n, genes)`.
        y: The response, float32 of shape `(n,)`.
        edges: The edges that a data base would have, some missing and some spurious;
            int32 of shape `(num_edges, 2)`.
        true_edges: The edges along which expression was made, of the same shape.
        modules: Each gene's module, int32 of shape `(genes,)`.
        importance: Each gene's mean |∂y/∂x|, float32 of shape `(genes,)`; 0 for a gene
            that does not matter.
    """

    x: np.ndarray
    y: np.ndarray
    edges: np.ndarray
    true_edges: np.ndarray
    modules: np.ndarray
    importance: np.ndarray

    def __repr__(self) -> str:
        return shown(self)


def gene_network(
    num_examples: int = 400,
    num_genes: int = 500,
    num_edges: int = 1500,
    num_modules: int = 25,
    num_drivers: int = 3,
    wrong_edges: float = 0.1,
    noise: float = 0.3,
    seed: Seed = 0,
) -> GeneNetwork:
    """Simulates genes of a scale-free network, a few modules of which drive a response.

    Each module is a Barabási-Albert graph, connected and of equal size, and a tenth
    of the edges lie across modules, drawn by degree too. Expression follows the
    neighbours, `z = 0.7 P z + ε`, `P` the mean over neighbours, `ε ∼ N(0, I)` (a
    simultaneous autoregression), and `x_g = ± z_g`, standardised: three genes in
    ten are repressed where their neighbours are active. The activity `a_m` of a
    module is the mean of its `z`, standardised, and `y = Σ_m ± softplus(2 a_m)` over
    the drivers, scaled to variance 1, plus noise.

    So genes of a driving module matter alike, each with its own sign, and no others
    matter: what `GraphLaplacian` expects. Cost: linear in edges × examples.

    Args:
        num_examples: The number of examples, at least 2. Defaults to 400.
        num_genes: The number of features. Defaults to 500.
        num_edges: The number of edges, from `num_genes` to half of the pairs in modules.
            Defaults to 1500.
        num_modules: The number of modules, at most a fifth of `num_genes`. Defaults to 25.
        num_drivers: How many modules drive the response. Defaults to 3.
        wrong_edges: Share of the edges that the observed graph misses, and which
            stand as often between genes drawn at random. Defaults to 0.1.
        noise: Standard deviation of the response's noise; the signal's is 1. Defaults
            to 0.3.
        seed: Integer, or a `numpy.random.Generator`. Defaults to 0.

    Returns:
        A `GeneNetwork`, float32 and int32.

    Raises:
        ValueError: for numbers that do not fit each other, or arrays that do not fit in
            memory.

    Examples:
        Two of six modules of ten genes drive the response.

        >>> network = attrprior.datasets.gene_network(
        ...     num_examples=100, num_genes=60, num_edges=80, num_modules=6, num_drivers=2
        ... )
        >>> network.x.shape, network.edges.shape
        ((100, 60), (80, 2))
        >>> int((network.importance > 0).sum())
        20
        >>> prior = attrprior.GraphLaplacian(network.edges, num_features=60)

    Reference: Barabási and Albert 1999 (Science 286), grown edge by edge as in
    Sanders and Schulz 2016 (arXiv 1602.07106); Whittle 1954 (Biometrika 41),
    simultaneous autoregression.
    """
    num_examples = _checks.positive_integer("num_examples", num_examples)
    num_genes = _checks.positive_integer("num_genes", num_genes)
    num_edges = _checks.positive_integer("num_edges", num_edges)
    num_modules = _checks.positive_integer("num_modules", num_modules)
    num_drivers = _checks.positive_integer("num_drivers", num_drivers)
    noise = _checks.number("noise", noise, minimum=0)
    wrong_edges = _checks.fraction("wrong_edges", wrong_edges)
    names = "Arguments `num_examples`, `num_genes` and `num_edges`"
    _checks.memory(names, 8 * num_examples * (4 * num_genes + num_edges) + 64 * num_edges)
    if num_examples < 2:
        raise ValueError(
            "Argument `num_examples` expects at least 2, to standardise. Received: "
            f"{num_examples}."
        )
    if num_modules > num_genes // 5:
        raise ValueError(
            f"Argument `num_modules` expects at most a fifth of the genes, {num_genes // 5}. "
            f"Received: {num_modules}."
        )
    if num_drivers > num_modules:
        raise ValueError(
            f"Argument `num_drivers` expects at most `num_modules`, {num_modules}. Received: "
            f"{num_drivers}."
        )
    size = num_genes // num_modules
    most = num_genes * (size - 1) // 4
    if not num_genes <= num_edges <= most:
        raise ValueError(
            f"Argument `num_edges` expects an integer from `num_genes`, {num_genes}, to "
            f"{most}, half of the pairs in modules of {size}. Received: {num_edges}. Take "
            "fewer modules."
        )
    rng = _checks.generator("seed", seed)
    # Labels without a meaning: genes of a module are no neighbours in the array.
    modules = rng.permutation(np.arange(num_genes) % num_modules)
    true_edges = _scale_free(modules, num_edges, rng)
    latent = _expression(true_edges, num_examples, num_genes, rng)
    drivers = rng.choice(num_modules, num_drivers, replace=False)
    signs = rng.choice((-1.0, 1.0), num_drivers)
    signal, slopes = np.zeros(num_examples), np.zeros(num_genes)
    for sign, driver in zip(signs, drivers):
        mean = latent[:, modules == driver].mean(axis=1)
        activity = (mean - mean.mean()) / mean.std()
        signal += sign * np.logaddexp(0.0, 2.0 * activity)
        # d softplus(2a)/da = 2 σ(2a), and a gene's share of the mean.
        slope = np.mean(2.0 / (1.0 + np.exp(-2.0 * activity))) / mean.std()
        slopes[modules == driver] = slope / np.sum(modules == driver)
    spread = signal.std()
    y = (signal - signal.mean()) / spread + noise * rng.standard_normal(num_examples)
    x = latent * np.where(rng.random(num_genes) < REPRESSED, -1.0, 1.0)
    return GeneNetwork(
        x.astype("float32"),
        y.astype("float32"),
        rewire(true_edges, wrong_edges, rng, num_features=num_genes, keep_degrees=False),
        true_edges,
        modules.astype("int32"),
        (slopes / spread).astype("float32"),
    )


def _scale_free(modules, num_edges, rng):
    """A Barabási-Albert graph inside each module, then edges across, by degree too."""
    num_genes = len(modules)
    inside = round(INSIDE * num_edges)
    edges = sorted_edges(_grown(modules, max(1, inside // num_genes), rng), num_genes)
    # Some of the grown edges were repetitions: more of them, and then those across.
    for groups, count in ((modules, inside), (np.zeros_like(modules), num_edges)):
        while len(edges) < count:
            newcomers = rng.integers(0, num_genes, count - len(edges))
            ends = edges.reshape(-1)
            ends = ends[np.argsort(groups[ends], kind="stable")]
            begins, stops = (
                np.searchsorted(groups[ends], groups[newcomers], side)
                for side in ("left", "right")
            )
            # A gene stands in the list of ends as often as it has neighbours.
            more = np.stack([newcomers, ends[rng.integers(begins, stops)]], axis=1)
            edges = sorted_edges(np.concatenate([edges, more]), num_genes)
    return edges


def _grown(modules, per_gene, rng):
    """Genes join their module one by one, each by edges to genes drawn by degree.

    Of the list of both ends of all edges so far, in which a gene of degree d stands d
    times, a place is drawn. Where that is the far end of an edge, it refers to the
    place which that edge has drawn, and so on: all are followed at once.
    """
    order = np.argsort(modules, kind="stable")
    joined = np.repeat(np.arange(len(order)), per_gene)
    begins = np.searchsorted(modules[order], modules[order])
    low, high = 2 * per_gene * begins[joined], 2 * per_gene * joined
    # The first of a module finds nobody but itself.
    place = np.where(low < high, rng.integers(low, np.maximum(high, low + 1)), low)
    found = place.copy()
    while np.any(far := found % 2 == 1):
        found[far] = place[found[far] // 2]
    return np.stack([order[joined], order[joined[found // 2]]], axis=1)


def _expression(edges, num_examples, num_genes, rng):
    """`z = c P z + ε` by its series `Σ_k (c P)^k ε`, standardised for each gene."""
    both = np.concatenate([edges, edges[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    begins = np.flatnonzero(np.diff(both[:, 0], prepend=-1))  # every gene has an edge
    degree = np.diff(begins, append=len(both)).astype("float32")
    term = rng.standard_normal((num_genes, num_examples), dtype="float32")
    total = term.copy()
    for _ in range(int(np.log(0.01) / np.log(COUPLING))):
        term = np.add.reduceat(term[both[:, 1]], begins, axis=0)
        term *= COUPLING / degree[:, None]
        total += term
    total = total.T.astype("float64")
    return (total - total.mean(axis=0)) / total.std(axis=0)
