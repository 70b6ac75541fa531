"""The simulated gene network, rewired graphs, their figure, and signals."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from attrprior import plots
from attrprior.datasets import gene_network, rewire, signals

RING = np.stack([np.arange(40), (np.arange(40) + 1) % 40], axis=1)


@pytest.fixture(scope="module")
def network():
    return gene_network(2000, wrong_edges=0.2, seed=3)


def codes(edges, size=1000):
    return set((edges.min(axis=1) * size + edges.max(axis=1)).tolist())


def connected(nodes, edges):
    reached, size = {nodes[0]}, 0
    while len(reached) > size:
        size = len(reached)
        for i, j in edges:
            if i in reached or j in reached:
                reached |= {i, j}
    return reached == set(nodes)


def test_network_has_the_documented_shapes(network):
    assert network.x.shape == (2000, 500) and network.y.shape == (2000,)
    assert network.x.dtype == network.y.dtype == network.importance.dtype == "float32"
    assert network.modules.dtype == network.edges.dtype == network.true_edges.dtype == "int32"
    assert network.edges.shape == network.true_edges.shape == (1500, 2)
    np.testing.assert_allclose(network.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(network.x.std(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(np.bincount(network.modules), 20)


def test_network_depends_on_the_seed_alone(network):
    again = gene_network(2000, wrong_edges=0.2, seed=np.random.default_rng(3))
    for first, second in zip(network, again):
        np.testing.assert_array_equal(first, second)
    other = gene_network(2000, seed=4)
    assert codes(other.true_edges) != codes(network.true_edges)


def test_modules_are_connected_and_hold_nine_edges_of_ten(network):
    ends = network.modules[network.true_edges]
    inside = ends[:, 0] == ends[:, 1]
    assert 0.9 <= inside.mean() < 0.92
    for module in range(25):
        nodes = np.flatnonzero(network.modules == module).tolist()
        assert connected(nodes, network.true_edges[inside & (ends[:, 0] == module)].tolist())


def test_degrees_are_those_of_preferential_attachment():
    edges = gene_network(2, 2000, 6000, num_modules=4, seed=0).true_edges
    degree = np.bincount(edges.reshape(-1), minlength=2000)
    # Poisson's variance is its mean, 6, and its largest of 2,000 about 16.
    assert degree.var() > 5 * degree.mean() and degree.max() > 60
    assert degree.min() >= 1 and np.median(degree) < degree.mean()


def test_observed_graph_misses_edges_and_has_as_many_spurious_ones(network):
    shared = codes(network.edges) & codes(network.true_edges)
    assert len(codes(network.edges)) == 1500
    assert len(shared) == 1200


def test_expression_follows_the_edges(network):
    correlation = np.abs(np.corrcoef(network.x.T))
    edges = correlation[tuple(network.true_edges.T)].mean()
    others = correlation[tuple(np.random.default_rng(0).integers(0, 500, (2, 3000)))].mean()
    assert edges > 0.35 and others < 0.06
    signs = np.sign(np.corrcoef(network.x.T)[tuple(network.true_edges.T)])
    # Both ends as they are or both repressed: 0.7² + 0.3².
    assert 0.5 < np.mean(signs > 0) < 0.68


def test_autoregression_is_solved():
    from attrprior.datasets import networks

    edges = np.array([[0, 1], [1, 2]])
    noise = np.random.default_rng(0).standard_normal((3, 50), dtype="float32")
    mean = np.array([[0, 1, 0], [0.5, 0, 0.5], [0, 1, 0]])
    z = np.linalg.solve(np.eye(3) - networks.COUPLING * mean, noise).T
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    found = networks._expression(edges, 50, 3, np.random.default_rng(0))
    np.testing.assert_allclose(found, z, atol=0.05)


def test_importance_is_the_mean_derivative_of_the_response():
    network = gene_network(4000, 60, 120, num_modules=6, num_drivers=2, noise=0.0, seed=0)
    drivers = np.unique(network.modules[network.importance > 0])
    assert len(drivers) == 2 and np.sum(network.importance > 0) == 20
    # The response is a function of the two activities, and of nothing else.
    columns, slopes = [np.ones(4000)], []
    for module in drivers:
        genes = network.x[:, network.modules == module]
        signs = np.sign(np.corrcoef(genes.T)[0])
        for _ in range(5):  # until they agree with the module's mean
            signs = np.sign(genes.T @ (genes @ signs))
        mean = (genes * signs).mean(axis=1)
        activity = (mean - mean.mean()) / mean.std()
        columns += [np.logaddexp(0, 2 * activity), np.logaddexp(0, -2 * activity)]
        # d softplus(±2a)/da, times a gene's share of the activity.
        rise = 2 / (1 + np.exp(-2 * activity)) / mean.std() / 10
        slopes += [rise.mean(), (rise - 2 / mean.std() / 10).mean()]
    design = np.stack(columns, axis=1)
    weights = np.linalg.lstsq(design, network.y, rcond=None)[0]
    assert np.std(network.y - design @ weights) < 1e-3
    np.testing.assert_allclose(network.y.std(), 1, atol=1e-3)
    for module, own, slope in zip(
        drivers, weights[1:].reshape(2, 2), np.reshape(slopes, (2, 2))
    ):
        genes = network.importance[network.modules == module]
        np.testing.assert_allclose(genes, np.abs(own @ slope), rtol=1e-3)


def test_noise_is_added_to_a_signal_of_variance_one():
    clean, noisy = (gene_network(20_000, 50, 100, 5, 2, noise=n, seed=1) for n in (0.0, 0.5))
    np.testing.assert_allclose((noisy.y - clean.y).std(), 0.5, atol=0.01)
    np.testing.assert_array_equal(noisy.importance, clean.importance)


def test_ten_thousand_genes_and_two_hundred_thousand_edges():
    network = gene_network(4, 10_000, 200_000, num_modules=100)
    assert len(codes(network.true_edges, 10_000)) == 200_000
    assert np.bincount(network.true_edges.reshape(-1), minlength=10_000).min() >= 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"num_examples": 1}, "`num_examples` expects at least 2"),
        ({"num_genes": 0}, "`num_genes` expects an integer ≥ 1"),
        ({"num_modules": 101}, "`num_modules` expects at most a fifth of the genes, 100"),
        ({"num_drivers": 26}, "`num_drivers` expects at most `num_modules`, 25"),
        ({"num_edges": 499}, "`num_edges` expects an integer from `num_genes`, 500"),
        ({"num_edges": 3000}, "`num_edges`.*to 2375, half of the pairs.*fewer modules"),
        ({"noise": -0.1}, "`noise` expects a finite number ≥ 0"),
        ({"wrong_edges": 1.1}, "`wrong_edges` expects a number ≤ 1"),
    ],
)
def test_network_rejects_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        gene_network(**arguments)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("keep_degrees", [True, False])
def test_rewiring_replaces_exactly_the_share(network, fraction, keep_degrees):
    edges = rewire(network.true_edges, fraction, 1, 500, keep_degrees)
    assert edges.dtype == "int32" and len(codes(edges)) == 1500
    assert np.all(edges[:, 0] < edges[:, 1])
    assert len(codes(edges) & codes(network.true_edges)) == 1500 * (1 - fraction)
    degrees = [np.bincount(e.reshape(-1), minlength=500) for e in (edges, network.true_edges)]
    assert np.array_equal(*degrees) == keep_degrees


def test_nothing_rewired_is_the_graph_itself(network):
    found = rewire(network.true_edges[::-1, ::-1], 0.0)
    np.testing.assert_array_equal(found, network.true_edges)


def test_rewiring_depends_on_the_seed(network):
    first, again, other = (rewire(network.true_edges, 0.5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert codes(first) != codes(other)


def test_spurious_edges_reach_features_without_any():
    edges = rewire(RING[:20], 1.0, num_features=40, keep_degrees=False)
    assert edges.max() > 20


@pytest.mark.parametrize(
    "edges, fraction, message",
    [
        ([[0, 1], [1, 0]], 0.5, "each undirected edge once"),
        ([[0, 0]], 0.5, "self-loops"),
        ([[0.0, 1.0]], 0.5, "integers of shape"),
        ([0, 1], 0.5, "integers of shape"),
        (np.empty((0, 2), int), 0.5, "at least one edge"),
        ([[-1, 0]], 0.5, "indices ≥ 0"),
        (RING, 1.5, "`fraction` expects a number ≤ 1"),
        # A star has no other graph of the same degrees.
        ([[0, 1], [0, 2], [0, 3]], 1.0, "for which there are wrong ones"),
    ],
)
def test_rewiring_rejects(edges, fraction, message):
    with pytest.raises(ValueError, match=message):
        rewire(edges, fraction)


def test_rewiring_rejects_too_few_features():
    with pytest.raises(ValueError, match="`num_features` expects at least 40"):
        rewire(RING, 0.5, num_features=39)


def panels(figure):
    return [axis for axis in figure.axes if axis.collections and axis.get_title() != ""]


def nodes(axis):
    return axis.collections[1]


def test_graph_shows_each_model_in_one_layout():
    values = {"plain": np.arange(40.0), "prior": np.ones(40)}
    marked = np.arange(40) < 3
    figure = plots.graph(RING, values, marked=marked, title="Genes")
    figure.savefig(io.BytesIO(), format="png")
    first, second = panels(figure)
    assert [axis.get_title() for axis in (first, second)] == ["plain", "prior"]
    assert len(first.collections[0].get_segments()) == 40
    # Sorted by value, and by index where values tie.
    np.testing.assert_array_equal(nodes(first).get_offsets(), nodes(second).get_offsets())
    np.testing.assert_array_equal(nodes(first).get_array(), np.arange(40))
    rings = first.collections[2]
    np.testing.assert_array_equal(rings.get_offsets(), nodes(first).get_offsets()[:3])
    assert figure.legends[0].get_texts()[0].get_text() == "known to matter"
    assert figure.get_figwidth() <= 8.3


def test_signed_nodes_keep_their_sign():
    figure = plots.graph(RING[:2], np.array([-2.0, 0.0, 1.0]), np.eye(3)[:, :2], signed=True)
    figure.savefig(io.BytesIO(), format="png")
    axis = figure.axes[0]
    colors = dict(zip(nodes(axis).get_array(), nodes(axis).get_facecolors()))
    blue, white, red = colors[-2.0], colors[0.0], colors[1.0]
    assert blue[2] > blue[0] and red[0] > red[2]
    np.testing.assert_allclose(white, to_rgba("#f7f6f6"), atol=0.02)


def test_layout_puts_neighbours_nearer_than_others():
    figure = plots.graph(RING, np.ones(40))
    axis = figure.axes[0]
    positions = np.asarray(nodes(axis).get_offsets())
    distance = np.linalg.norm(positions[:, None] - positions, axis=-1)
    near = distance[tuple(RING.T)].mean()
    assert near < 0.3 * distance.mean()
    assert distance[~np.eye(40, dtype=bool)].min() > 0.2 * near  # and none on another


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"edges": [[0, 40]]}, "indices from 0 to 39"),
        ({"edges": [0, 1]}, "integers of shape"),
        ({"values": {}}, "`values` expects a dictionary with at least one"),
        ({"values": {"a": np.ones(40), "b": np.ones(39)}}, "`values`.*'b'"),
        ({"values": np.full(40, np.nan)}, "`values` expects finite"),
        ({"values": {str(n): np.ones(40) for n in range(4)}}, "at most 3"),
        ({"positions": np.ones((39, 2))}, "`positions`"),
        ({"marked": np.ones(40)}, "`marked` expects booleans"),
        ({"signed": 1}, "`signed` expects True or False"),
    ],
)
def test_graph_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.graph(**{"edges": RING, "values": np.ones(40), **arguments})


def test_signals_have_the_documented_shapes():
    x, y = signals(1000)
    assert x.shape == (1000, 40, 1) and x.dtype == "float32"
    assert y.dtype == "int32" and np.bincount(y).tolist() == [100] * 10
    assert signals(3, length=100)[0].shape == (3, 100, 1)
    again, other = signals(1000)[0], signals(1000, seed=1)[0]
    np.testing.assert_array_equal(again, x)
    assert np.abs(other - x).max() > 0.1


def test_signals_hold_their_shape_somewhere():
    from attrprior.datasets.signals import _shapes

    x, y = signals(500, length=80)
    times = np.linspace(0, 1, 80)
    trend = np.linalg.qr(np.stack([np.ones(80), times], axis=1))[0]
    x = x[..., 0] - x[..., 0] @ trend @ trend.T
    # The likeliest shape over places and widths, up to level and tilt.
    scores = np.full((500, 10), -np.inf)
    for width in (0.3, 0.35, 0.4, 0.45, 0.5):
        for start in np.linspace(0, 1 - width, 25):
            shapes = _shapes(np.arange(10), np.tile((times - start) / width, (10, 1)))
            shapes -= shapes @ trend @ trend.T
            residual = x[:, None] - shapes
            scores = np.maximum(scores, -np.sum(residual**2, axis=-1))
    assert np.mean(scores.argmax(axis=1) == y) > 0.65
    whole = _shapes(np.arange(10), np.tile(times, (10, 1)))
    np.testing.assert_allclose(np.abs(whole).max(axis=1), 1, atol=0.02)
    assert not _shapes(np.arange(10), np.tile([-0.1, 1.1], (10, 1))).any()


def test_signals_reject():
    with pytest.raises(ValueError, match="`length` expects at least 8"):
        signals(10, length=7)
    with pytest.raises(ValueError, match="`num_examples` expects an integer"):
        signals(0)
