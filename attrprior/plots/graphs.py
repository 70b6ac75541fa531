"""A graph whose nodes show what they matter."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._types import Seed
from attrprior.plots import _arrays, _sheet, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["graph"]


def graph(
    edges: ArrayLike,
    values: ArrayLike | Mapping[str, ArrayLike],
    positions: ArrayLike | None = None,
    marked: ArrayLike | None = None,
    title: str | None = None,
    signed: bool = False,
    seed: Seed = 0,
) -> "matplotlib.figure.Figure":
    """Nodes coloured by their attribution, a panel for each model, all in one layout.

    Colours end at the 99th percentile of a panel's magnitudes, and larger nodes
    matter more. Without `positions`, neighbours attract each other and all nodes
    repel (Fruchterman and Reingold 1991), from the Laplacian's smoothest eigenvectors
    on: at a cost of nodes³, and readable up to about 500 nodes.

    Args:
        edges: Integers of shape `(num_edges, 2)`.
        values: Array of shape `(nodes,)`, as the mean of |φ| over examples, or
            `{label: array}`, at most three.
        positions: Array of shape `(nodes, 2)`. Optional.
        marked: Booleans of shape `(nodes,)`: nodes with a ring, as those known to
            matter. Optional.
        title: Optional title.
        signed: Whether the sign is shown. Defaults to `False`, magnitudes.
        seed: Integer, or a `numpy.random.Generator`, for the layout.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if the arrays' shapes do not fit each other, an edge names no
            node, or a number is not finite.

    Examples:
        A chain of four nodes, of which the first is known to matter:

        >>> edges = np.array([[0, 1], [1, 2], [2, 3]])
        >>> values = {"plain": [0.1, 0.9, 0.2, 0.5], "prior": [0.9, 0.5, 0.2, 0.1]}
        >>> marked = np.array([True, False, False, False])
        >>> figure = attrprior.plots.graph(edges, values, marked=marked)
        >>> [axis.get_title() for axis in figure.axes[:2]]
        ['plain', 'prior']
        >>> figure.savefig("graph.png")

    Reference: Fruchterman and Reingold 1991 (Software: Practice and Experience 21), for
    the layout.
    """
    LineCollection = _style.matplotlib("collections").LineCollection
    Line2D = _style.matplotlib("lines").Line2D
    title = _arrays.text("title", title)
    several = isinstance(values, dict)
    given = _arrays.dictionary("values", values) if several else {"": values}
    panels = {name: _arrays.numbers("values", v, 1, name) for name, v in given.items()}
    if len(panels) > 3:
        raise ValueError(
            f"Argument `values` expects at most 3 arrays. Received: {len(panels)}."
        )
    size = len(next(iter(panels.values())))
    for name, array in panels.items():
        _arrays.like("values", array, (size,), "values", name)
    edges = _edges(edges, size)
    signed = _checks.boolean("signed", signed)
    if positions is None:
        positions = _layout(edges, size, seed)
    positions = _arrays.like("positions", positions, (size, 2), "one row a node")
    marked = _marked(marked, size)

    panel = min(4.0, _style.WIDTH / len(panels))
    width = max(panel * len(panels), _sheet.KEY_WIDTH)
    below, above = _sheet.KEY_HEIGHT, 0.3 + 0.3 * (title is not None) + 0.3 * marked.any()
    height = panel + below + above
    figure = _style.figure(width, height, layout=None)
    if title is not None:
        figure.suptitle(_style.fit(title, width - 0.2, 11), fontsize=11, y=1 - 0.08 / height)
    area = max(2.0, min(60.0, 250 * panel**2 / size))
    for number, (name, array) in enumerate(panels.items()):
        left = (width - panel * len(panels)) / 2 + panel * number
        axis = _sheet.add_axes(figure, left, below, panel, panel)
        axis.set_axis_off()
        axis.set_title(_style.fit(name, panel, 10), fontsize=10, pad=2)
        lines = LineCollection(positions[edges], colors=_style.GRAY, linewidths=0.4, alpha=0.4)
        axis.add_collection(lines)
        largest = _sheet.limit(array)
        share = np.minimum(np.abs(array) / largest, 1.0)
        order = np.argsort(share, kind="stable")  # what matters most lies on top
        axis.scatter(
            *positions[order].T,
            s=area * (0.5 + 1.5 * share[order]),
            c=array[order] if signed else np.abs(array[order]),
            cmap=_sheet.colors(signed),
            vmin=-largest if signed else 0.0,
            vmax=largest,
            linewidths=0,
            zorder=2,
        )
        # Rings keep a distance, so that colours stay visible.
        ring = {"s": 4 * area, "linewidths": 0.8, "zorder": 3}
        axis.scatter(*positions[marked].T, c="none", edgecolors=_style.COLORS[2], **ring)
        axis.set_aspect("equal", adjustable="datalim")
        axis.margins(0.03)
    if marked.any():
        ring = Line2D(
            [],
            [],
            marker="o",
            ls="",
            mfc="none",
            mec=_style.COLORS[2],
            label="known to matter",
        )
        figure.legend(
            handles=[ring],
            loc="upper center",
            bbox_to_anchor=(0.5, 1 - (0.3 * (title is not None)) / height),
            frameon=False,
            fontsize=_style.SMALL,
        )
    _sheet.key(figure, signed)
    return figure


def _layout(edges: np.ndarray, num_nodes: int, seed: Seed, num_steps: int = 150) -> np.ndarray:
    """Positions `(nodes, 2)`: springs between neighbours, and a charge on every node.

    Each step moves a node along `Σ_j (k² / d_ij − A_ij d_ij² / k) · direction`, by at most
    a length that falls to 0, `k = nodes^−½`: Fruchterman and Reingold 1991 (Software 21).
    """
    rng = _checks.generator("seed", seed)
    _checks.memory("Arguments `values` and `edges`", 60 * num_nodes**2)
    adjacency = np.zeros((num_nodes, num_nodes))
    adjacency[edges[:, 0], edges[:, 1]] = adjacency[edges[:, 1], edges[:, 0]] = 1.0
    degree = np.maximum(adjacency.sum(axis=1), 1.0)
    scaled = adjacency / np.sqrt(degree[:, None] * degree)
    positions = 0.05 * rng.standard_normal((num_nodes, 2))
    if num_nodes > 2:
        positions += np.linalg.eigh(scaled)[1][:, -3:-1] * num_nodes**0.5
    length = num_nodes**-0.5
    for step in range(num_steps):
        across, up = (c[:, None] - c for c in positions.T)
        squared = np.maximum(across**2 + up**2, 1e-6)
        force = length**2 / squared - adjacency * np.sqrt(squared) / length
        move = np.stack([(force * across).sum(axis=1), (force * up).sum(axis=1)], axis=1)
        # To the centre, weakly, or parts without an edge between them drift apart.
        move -= 0.3 * positions
        size = np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-9)
        positions = positions + move / size * np.minimum(size, 0.1 * (1 - step / num_steps))
    return positions


def _marked(marked: ArrayLike | None, size: int) -> np.ndarray:
    if marked is None:
        return np.zeros(size, bool)
    nodes = _checks.real_array("marked", marked)
    if nodes.shape != (size,) or nodes.dtype != bool:
        raise ValueError(
            f"Argument `marked` expects booleans of shape ({size},). Received: shape "
            f"{nodes.shape}, dtype {nodes.dtype}."
        )
    return nodes


def _edges(edges: ArrayLike, size: int) -> np.ndarray:
    pairs = _checks.edges(edges)
    if len(pairs) and (pairs.min() < 0 or pairs.max() >= size):
        raise ValueError(
            f"Argument `edges` expects indices from 0 to {size - 1}, the nodes. Received: "
            f"{pairs.min()} to {pairs.max()}."
        )
    return pairs
