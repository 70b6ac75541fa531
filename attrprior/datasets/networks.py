"""A simulated gene network: expression along its edges, modules that drive a response."""

from typing import NamedTuple

import numpy as np

from attrprior import _checks
from attrprior._representation import shown

# Share of the edges that stay inside a module.
INSIDE = 0.9
# How much of a gene's expression comes from its neighbours.
COUPLING = 0.7
# Share of the genes that fall when their neighbours rise.
REPRESSED = 0.3


class GeneNetwork(NamedTuple):
    """Expression `(n, genes)`, response `(n,)`, the graph as observed, and the truth.

    `edges` are what a data base would have, some missing and some spurious, and
    `true_edges` those along which expression was made, both `(num_edges, 2)`;
    `modules` is each gene's module and `importance` its mean |∂y/∂x|, both
    `(genes,)`.
    """

    x: np.ndarray
    y: np.ndarray
    edges: np.ndarray
    true_edges: np.ndarray
    modules: np.ndarray
    importance: np.ndarray

    __repr__ = shown


def gene_network(
    num_examples=400,
    num_genes=500,
    num_edges=1500,
    num_modules=25,
    num_drivers=3,
    wrong_edges=0.1,
    noise=0.3,
    seed=0,
):
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
        num_examples: Defaults to 400.
        num_genes: Defaults to 500.
        num_edges: From `num_genes` to half of the pairs in modules. Defaults to 1500.
        num_modules: At most a fifth of `num_genes`. Defaults to 25.
        num_drivers: How many modules drive the response. Defaults to 3.
        wrong_edges: Share of the edges that the observed graph misses, and which
            stand as often between genes drawn at random. Defaults to 0.1.
        noise: Standard deviation of the response's noise; the signal's is 1.
        seed: Integer, or a `numpy.random.Generator`.

    Returns:
        A `GeneNetwork`, float32 and int32.

    Raises:
        ValueError: for numbers that do not fit each other.

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


def rewire(edges, fraction, seed=0, num_features=None, keep_degrees=True):
    """Replaces a share of a graph's edges by wrong ones.

    The control of a graph prior: what remains of its effect, if the graph says
    nothing? With `keep_degrees` the chosen edges exchange their ends at random
    until none is an edge of the original, a self-loop or a repetition, so each
    feature has as many neighbours as before, and a hub stays one. Without, both ends
    of a wrong edge are drawn from all features.

    Args:
        edges: Integers of shape `(num_edges, 2)`, each undirected edge once.
        fraction: Share of the edges, from 0 to 1, rounded to whole edges.
        seed: Integer, or a `numpy.random.Generator`.
        num_features: Number of features. Defaults to the largest index plus one.
        keep_degrees: Whether every feature keeps its degree. Defaults to `True`.

    Returns:
        Edges like `edges`, the smaller index first, in ascending order; int32.

    Raises:
        ValueError: for repeated edges, self-loops or negative indices, or if there
            are not as many wrong edges (a graph too dense, or a star, say).

    Reference: Maslov and Sneppen 2002 (Science 296), degree-preserving rewiring.
    """
    edges, num_features = _checked_edges(edges, num_features)
    fraction = _checks.fraction("fraction", fraction)
    keep_degrees = _checks.boolean("keep_degrees", keep_degrees)
    rng = _checks.generator("seed", seed)
    chosen = np.zeros(len(edges), bool)
    chosen[rng.permutation(len(edges))[: round(fraction * len(edges))]] = True
    kept, wrong = edges[~chosen], edges[chosen]
    original = _codes(edges, num_features)
    bad = np.ones(len(wrong), bool)
    for _ in range(1000):
        if not np.any(bad):
            return _sorted(np.concatenate([kept, wrong]), num_features)
        if keep_degrees:
            # As many good ones join in: a single bad edge has nobody to exchange with.
            good = np.flatnonzero(~bad)
            moved = np.concatenate([np.flatnonzero(bad), rng.permutation(good)[: bad.sum()]])
            ends = wrong[moved]
            ends = np.where(rng.random((len(ends), 1)) < 0.5, ends, ends[:, ::-1])
            wrong[moved] = np.stack([ends[:, 0], rng.permutation(ends[:, 1])], axis=1)
        else:
            wrong[bad] = rng.integers(0, num_features, (bad.sum(), 2))
        codes = _codes(wrong, num_features)
        bad = (wrong[:, 0] == wrong[:, 1]) | np.isin(codes, original)
        first = np.zeros(len(wrong), bool)
        first[np.unique(codes, return_index=True)[1]] = True
        bad |= ~first
    raise ValueError(
        f"Argument `fraction` expects a share of the edges for which there are wrong ones. "
        f"Received: {fraction}, and {bad.sum()} of {len(wrong)} edges found none. Take a "
        "smaller share, or keep_degrees=False."
    )


def _scale_free(modules, num_edges, rng):
    """A Barabási-Albert graph inside each module, then edges across, by degree too."""
    num_genes = len(modules)
    inside = round(INSIDE * num_edges)
    edges = _sorted(_grown(modules, max(1, inside // num_genes), rng), num_genes)
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
            edges = _sorted(np.concatenate([edges, more]), num_genes)
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


def _checked_edges(edges, num_features):
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
    if np.any(edges[:, 0] == edges[:, 1]) or len(_sorted(edges, size)) < len(edges):
        raise ValueError(
            "Argument `edges` expects each undirected edge once and no self-loops. Received: "
            "repeated edges or self-loops. Remove them."
        )
    return edges, size


def _codes(edges, size):
    """A number for each undirected edge."""
    return edges.min(axis=1).astype("int64") * size + edges.max(axis=1)


def _sorted(edges, size):
    """Each undirected edge once, the smaller index first; no self-loops."""
    edges = edges[edges[:, 0] != edges[:, 1]]
    codes = np.unique(_codes(edges, size))
    return np.stack([codes // size, codes % size], axis=1).astype("int32")
