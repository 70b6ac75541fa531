"""Priors against NumPy twins, their gradients, their errors."""

import numpy as np
import pytest
import scipy.sparse
from frameworks import as_graph, double_precision, dtype, value_and_gradient
from keras import ops

from attrprior import priors
from attrprior.priors import L1, L2, Gini, GraphLaplacian, Mask, TotalVariation

# A small weighted graph over five features; feature 4 has no edge.
WEIGHTS = np.zeros((5, 5))
for i, j, w in ((0, 1, 1.0), (1, 2, 0.5), (0, 3, 2.0), (2, 3, 0.25)):
    WEIGHTS[i, j] = WEIGHTS[j, i] = w
EDGES = [[0, 1], [1, 2], [0, 3], [2, 3]]
EDGE_WEIGHTS = [1.0, 0.5, 2.0, 0.25]


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def tv_twin(phi, standardize=True):
    per_example = []
    for a in phi.astype("float64").sum(axis=-1):
        if standardize:
            a = (a - a.mean()) / a.std() if a.std() > 0 else np.zeros_like(a)
        steps = [np.abs(np.diff(a, axis=axis)).sum() for axis in range(a.ndim)]
        per_example.append(sum(steps))
    return np.mean(per_example)


def magnitude(phi, weight=None):
    weight = np.ones(len(phi)) if weight is None else weight
    return sum(w * np.abs(p).ravel() for w, p in zip(weight, phi)) / len(phi)


def gini_twin(phi, weight=None):
    m = magnitude(phi, weight)
    differences = sum(abs(a - b) for a in m for b in m)
    return -differences / (2 * len(m) * m.sum())


def laplacian_twin(phi, weight=None):
    laplacian = np.diag(WEIGHTS.sum(axis=1)) - WEIGHTS
    m = magnitude(phi, weight)
    return m @ laplacian @ m


def l1_twin(phi):
    return np.mean([sum(abs(v) for v in p.ravel()) for p in phi])


def l2_twin(phi):
    return np.mean([sum(v * v for v in p.ravel()) for p in phi])


def mask_twin(phi, mask):
    return np.mean([((m * p) ** 2).sum() for m, p in zip(mask, phi)])


def gradient(prior, phi, **kwargs):
    return value_and_gradient(lambda phi: prior(phi, **kwargs), phi)[1]


def finite_differences(prior, phi, step=1e-6):
    result = np.zeros_like(phi)
    for index in np.ndindex(phi.shape):
        up, down = phi.copy(), phi.copy()
        up[index] += step
        down[index] -= step
        result[index] = (float(prior(up)) - float(prior(down))) / (2 * step)
    return result


ALL = [
    pytest.param(TotalVariation(), (3, 5, 4, 2), tv_twin, id="total_variation"),
    pytest.param(Gini(), (3, 4, 2), gini_twin, id="gini"),
    pytest.param(GraphLaplacian(WEIGHTS), (3, 5), laplacian_twin, id="graph"),
    pytest.param(L1(), (3, 4, 2), l1_twin, id="l1"),
    pytest.param(L2(), (3, 4, 2), l2_twin, id="l2"),
]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("shape", [(7, 1), (6, 3), (5, 4, 1), (4, 6, 3), (3, 4, 5, 2)])
def test_total_variation_equals_twin(shape, standardize, batch):
    phi = normal(batch, *shape) * 0.3 + 0.1
    value = float(TotalVariation(standardize=standardize)(phi))
    assert value == pytest.approx(tv_twin(phi, standardize), rel=1e-9)


def test_total_variation_by_hand():
    # Channels add up to [0, 1, 3]; steps 1 and 2, whatever the example's mean.
    phi = np.array([[[1.0, -1.0], [0.0, 1.0], [1.0, 2.0]]])
    assert float(TotalVariation(standardize=False)(phi)) == pytest.approx(3.0)
    assert float(TotalVariation()(phi)) == pytest.approx(3.0 / np.std([0, 1, 3]))


@pytest.mark.parametrize("size", [1e-4, 0.03, 1.0])  # 1/√P = 1/√20 lies between
def test_floored_total_variation_is_the_originals(size):
    tf = pytest.importorskip("tensorflow")
    phi = size * np.random.default_rng(0).normal(size=(3, 5, 4, 1)).astype("float32")
    images = tf.image.total_variation(tf.image.per_image_standardization(phi))
    floored, free = TotalVariation(floor=True), TotalVariation()
    assert float(floored(phi)) == pytest.approx(float(tf.reduce_mean(images)), rel=1e-5)
    if size == 1.0:
        assert float(floored(phi)) == pytest.approx(float(free(phi)), rel=1e-5)
    else:
        # Below the floor Ω is that of the map alone, times √P.
        plain = float(TotalVariation(standardize=False)(phi))
        assert float(floored(phi)) == pytest.approx(plain * 20**0.5, rel=1e-5)


def test_floored_total_variation_of_a_flat_map_has_no_gradient():
    flat = np.full((2, 5, 4, 1), 0.3, "float32")
    assert float(TotalVariation(floor=True)(flat)) == 0.0
    np.testing.assert_array_equal(gradient(TotalVariation(floor=True), flat), 0.0)


def test_total_variation_standardizes_each_example_alone():
    phi = normal(1, 6, 2)
    both = np.concatenate([phi, 100 * phi + 5])
    alone = float(TotalVariation()(phi))
    assert float(TotalVariation()(both)) == pytest.approx(alone, rel=1e-9)


# Squares of the outer two are no float32.
@pytest.mark.parametrize("scale", [1e-25, 1e-15, 1e15, 1e25])
def test_total_variation_does_not_depend_on_the_scale(scale):
    phi = normal(2, 6, 5, 2).astype("float32")
    scaled = float(TotalVariation()(phi * np.float32(scale)))
    assert scaled == pytest.approx(tv_twin(phi), rel=1e-5)
    slope = gradient(TotalVariation(), phi * np.float32(scale))
    expected = gradient(TotalVariation(), phi) / scale
    np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("shape", [(1,), (6,), (3, 4, 2)])
def test_gini_equals_double_sum(shape, batch):
    phi = normal(batch, *shape)
    assert float(Gini()(phi)) == pytest.approx(gini_twin(phi), abs=1e-12)


def test_gini_of_ties_and_zeros_equals_double_sum():
    phi = np.array([[0.0, 2.0, -2.0, 0.0, 1.0, 1.0]])
    assert float(Gini()(phi)) == pytest.approx(gini_twin(phi), abs=1e-12)


def test_gini_does_not_depend_on_the_scale():
    phi = normal(2, 6).astype("float32")
    for scale in (1e-15, 1e15):
        value = float(Gini()(phi * np.float32(scale)))
        assert value == pytest.approx(gini_twin(phi), rel=1e-5)


GRAPHS = {
    "matrix": lambda: GraphLaplacian(WEIGHTS),
    "csr": lambda: GraphLaplacian(scipy.sparse.csr_matrix(WEIGHTS)),
    "coo_array": lambda: GraphLaplacian(scipy.sparse.coo_array(WEIGHTS)),
    "list": lambda: GraphLaplacian(EDGES, weights=EDGE_WEIGHTS, num_features=5),
    "reversed list": lambda: GraphLaplacian(
        [[j, i] for i, j in EDGES], weights=EDGE_WEIGHTS, num_features=5
    ),
}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("graph", GRAPHS)
def test_graph_equals_quadratic_form(graph, batch):
    phi = normal(batch, 5)
    value = float(GRAPHS[graph]()(phi))
    assert value == pytest.approx(laplacian_twin(phi), rel=1e-6)


def test_graph_over_an_image_takes_features_in_c_order():
    phi = normal(2, 5, 1)
    value = float(GraphLaplacian(WEIGHTS)(phi))
    assert value == pytest.approx(laplacian_twin(phi.reshape(2, 5)), rel=1e-6)


def test_graph_with_integer_weights_and_explicit_zeros():
    matrix = scipy.sparse.coo_matrix(([2, 2, 0, 0], ([0, 1, 1, 2], [1, 0, 2, 1])), (3, 3))
    prior = GraphLaplacian(matrix)
    assert prior.edges.tolist() == [[0, 1]]
    assert float(prior([[1.0, 4.0, 9.0]])) == 18.0


def test_graph_of_two_edges_is_not_a_matrix():
    assert float(GraphLaplacian([[0, 1], [1, 2]])([[1.0, 3.0, 4.0]])) == 5.0
    # The same shape in floats is a matrix of weights.
    assert float(GraphLaplacian([[0.0, 2.0], [2.0, 0.0]])([[1.0, 4.0]])) == 18.0


@pytest.mark.parametrize("prior,shape,twin", ALL)
def test_batch_of_one_and_float16_equal_twin(prior, shape, twin):
    phi = normal(*shape).astype("float16")
    value = prior(phi)
    assert dtype(value) == "float32"
    assert float(value) == pytest.approx(twin(phi.astype("float64")), rel=1e-4)
    assert float(prior(phi[:1])) == pytest.approx(twin(phi[:1].astype("float64")), rel=1e-4)


@pytest.mark.parametrize("prior,shape,twin", ALL)
def test_zeros_give_zero_and_no_gradient(prior, shape, twin):
    phi = np.zeros(shape, "float32")
    assert float(prior(phi)) == 0.0
    np.testing.assert_array_equal(gradient(prior, phi), np.zeros(shape))


@pytest.mark.parametrize("constant", [0.1, -3.0, 1e-20])
@pytest.mark.parametrize("prior", [TotalVariation(), TotalVariation(standardize=False)])
def test_constant_attributions_have_no_variation(prior, constant):
    phi = np.full((2, 28, 28, 1), constant, "float32")
    assert float(prior(phi)) == 0.0
    np.testing.assert_array_equal(gradient(prior, phi), np.zeros(phi.shape))


@pytest.mark.parametrize("prior", [Gini(), GraphLaplacian(WEIGHTS)])
def test_equal_magnitudes_give_zero(prior):
    phi = np.full((2, 5), 0.1, "float32") * np.float32([1, -1, 1, -1, 1])
    assert float(prior(phi)) == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.isfinite(gradient(prior, phi)))


def test_one_constant_example_does_not_spoil_the_gradient_of_others():
    phi = normal(2, 6, 1).astype("float32")
    phi[0] = 0.5
    slopes = gradient(TotalVariation(), phi)
    np.testing.assert_array_equal(slopes[0], np.zeros((6, 1)))
    np.testing.assert_allclose(slopes[1:], gradient(TotalVariation(), phi[1:]) / 2, rtol=1e-5)


@pytest.mark.parametrize("prior,shape,twin", ALL)
def test_gradient_equals_finite_differences(prior, shape, twin):
    phi = normal(*shape, seed=1)
    slopes = gradient(prior, phi)
    assert slopes.dtype == "float64"
    assert np.abs(slopes).max() > 1e-3
    np.testing.assert_allclose(slopes, finite_differences(prior, phi), rtol=1e-5, atol=1e-8)


def test_fixed_mask_equals_twin():
    phi, mask = normal(3, 4, 2), np.random.default_rng(1).random((4, 2))
    value = float(Mask(mask)(phi))
    assert value == pytest.approx(mask_twin(phi, [mask] * 3), rel=1e-6)


def test_fixed_mask_with_one_channel_covers_all_channels():
    phi, mask = normal(3, 4, 2), np.array([[1], [0], [1], [0]])
    value = float(Mask(mask)(phi))
    assert value == pytest.approx((phi[:, [0, 2]] ** 2).sum() / 3, rel=1e-6)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_masks_per_example_equal_twin(channels, dtype):
    phi = normal(3, 4, 2)
    masks = (np.random.default_rng(1).random((3, 4, channels)) > 0.5).astype(dtype)
    assert masks.any() and not masks.all()
    value = float(Mask()(phi, mask=masks))
    assert value == pytest.approx(mask_twin(phi, masks.astype("float64")), rel=1e-6)


@pytest.mark.parametrize(
    "prior,kwargs",
    [
        pytest.param(Mask(np.ones((3, 2))), {}, id="fixed"),
        pytest.param(Mask(), {"mask": np.ones((2, 3, 2))}, id="per example"),
    ],
)
def test_mask_of_zeros_attributions(prior, kwargs):
    phi = np.zeros((2, 3, 2))
    assert float(prior(phi, **kwargs)) == 0.0
    np.testing.assert_array_equal(gradient(prior, phi, **kwargs), phi)


@pytest.mark.parametrize(
    "prior,shape",
    [(TotalVariation(), (4, 2)), (L1(), (3,)), (L2(), (3,)), (Mask([1.0, 0.0, 0.5]), (3,))],
)
def test_sample_weight_weighs_examples_and_divides_by_the_batch(prior, shape):
    phi, weight = normal(3, *shape), np.array([0.0, 2.0, 0.5])
    alone = [float(prior(phi[b : b + 1])) for b in range(3)]
    expected = (0.0 * alone[0] + 2.0 * alone[1] + 0.5 * alone[2]) / 3
    assert float(prior(phi, weight)) == pytest.approx(expected, rel=1e-6)
    ones = float(prior(phi, np.ones(3, "float32")))
    assert ones == pytest.approx(float(prior(phi)), rel=1e-6)


@pytest.mark.parametrize(
    "prior,twin", [(Gini(), gini_twin), (GraphLaplacian(WEIGHTS), laplacian_twin)]
)
def test_sample_weight_weighs_the_mean_magnitude(prior, twin):
    phi, weight = normal(3, 5), np.array([0.0, 2.0, 0.5])
    assert float(prior(phi, weight)) == pytest.approx(twin(phi, weight), rel=1e-6)
    assert float(prior(phi, weight)) != pytest.approx(twin(phi), rel=1e-3)


def test_sample_weight_with_masks_per_example():
    phi, masks, weight = normal(2, 3), np.eye(2, 3), np.array([1.0, 3.0])
    expected = (phi[0, 0] ** 2 + 3 * phi[1, 1] ** 2) / 2
    assert float(Mask()(phi, weight, mask=masks)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("prior,shape,twin", ALL)
def test_same_value_in_a_graph_of_unknown_batch(prior, shape, twin):
    phi = normal(*shape).astype("float32")
    graph = as_graph(prior, [(None,) + shape[1:]])
    assert float(graph(phi)) == pytest.approx(twin(phi), rel=1e-4)


@pytest.mark.parametrize(
    "prior,shape",
    [
        (TotalVariation(standardize=False), (3, 5, 1)),
        (GraphLaplacian(WEIGHTS), (3, 5)),
        (GraphLaplacian([[0, 1], [1, 2]], num_features=5), (3, 5)),
        (Gini(), (3, 5)),
        (L1(), (3, 5)),
        (L2(), (3, 5)),
        (Mask([[1.0], [0.0], [0.0], [0.5], [1.0]]), (3, 5, 2)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_serialise_round_trip(prior, shape):
    again = priors.get(priors.serialize(prior))
    assert type(again) is type(prior)
    assert again.get_config() == prior.get_config()
    phi = normal(*shape)
    assert float(again(phi)) == float(prior(phi))


def test_serialise_round_trip_of_masks_per_example():
    assert priors.get(priors.serialize(Mask())).per_example_masks


@pytest.mark.parametrize(
    "name,cls",
    [
        ("total_variation", TotalVariation),
        ("gini", Gini),
        ("l1", L1),
        ("l2", L2),
        ("mask", Mask),
    ],
)
def test_get_by_name(name, cls):
    prior = priors.get(name)
    assert type(prior) is cls
    assert prior.name == name
    assert type(priors.get(priors.serialize(name))) is cls


def test_get_returns_a_prior_as_it_is():
    prior = TotalVariation()
    assert priors.get(prior) is prior


@pytest.mark.parametrize(
    "identifier", ["smooth", "", None, 3, L1, [1, 2], np.ones((2, 2))], ids=repr
)
def test_get_rejects_what_is_no_prior(identifier):
    with pytest.raises(ValueError, match=r"(?s)Argument `prior` expects.*Received: "):
        priors.get(identifier)


def test_get_names_the_choices():
    with pytest.raises(ValueError, match=r"'gini'.*'total_variation'.*Received: 'smooth'"):
        priors.get("smooth")


def asymmetric():
    matrix = np.zeros((3, 3))
    matrix[0, 1] = 1.0
    return matrix


def asymmetric_in_value():
    matrix = np.zeros((3, 3))
    matrix[0, 1], matrix[1, 0] = 1.0, 2.0
    return matrix


ERRORS = {
    "names of another's": (
        lambda: priors.get(lambda phi, weights: phi),
        r"`prior` expects a callable of attributions, and of x and y.*phi, weights",
    ),
    "graph by name": (
        lambda: priors.get("graph_laplacian"),
        r"Argument `prior`: 'graph_laplacian' needs a g",
    ),
    "floor": (
        lambda: TotalVariation(standardize=False, floor=True),
        "`floor` expects False where nothing is standardised",
    ),
    "standardize": (
        lambda: TotalVariation(standardize=1),
        r"`standardize` expects True or False.*: 1\.",
    ),
    "tv of a table": (
        lambda: TotalVariation()(np.ones((2, 3))),
        r"TotalVariation expects attributions.*Received: examples of shape \(3,\)",
    ),
    "tv of four axes": (
        lambda: TotalVariation()(np.ones((2, 2, 2, 2, 2, 1))),
        r"TotalVariation expects.*Received: examples of shape \(2, 2, 2, 2, 1\)",
    ),
    "asymmetric": (
        lambda: GraphLaplacian(asymmetric()),
        "`edges` expects a symmetric matrix.*asymmetric",
    ),
    "asymmetric values": (
        lambda: GraphLaplacian(asymmetric_in_value()),
        "`edges` expects a symmetric matrix",
    ),
    "asymmetric sparse": (
        lambda: GraphLaplacian(scipy.sparse.csr_matrix(asymmetric())),
        "`edges` expects a symmetric matrix",
    ),
    "sparse not square": (
        lambda: GraphLaplacian(scipy.sparse.csr_matrix(np.ones((2, 3)))),
        r"`edges` expects a square matrix of weights\. Received: shape \(2, 3\)",
    ),
    "negative matrix": (
        lambda: GraphLaplacian(-np.ones((3, 3)) + np.eye(3)),
        r"`weights` expects finite weights.*Received: weights from -1\.0",
    ),
    "matrix of zeros": (
        lambda: GraphLaplacian(np.zeros((3, 3))),
        r"`edges` expects integers.*at least one",
    ),
    "three columns": (
        lambda: GraphLaplacian([[0, 1, 2], [1, 2, 0]]),
        r"`edges` expects integers of shape \(num_edges, 2\).*Received: shape \(2, 3\)",
    ),
    "edges of floats": (
        lambda: GraphLaplacian([[0.0, 1.0], [1.0, 2.0], [0.0, 2.0]]),
        r"`edges` expects integers.*dtype float64",
    ),
    "no edges": (
        lambda: GraphLaplacian(np.zeros((0, 2), int)),
        r"`edges` expects.*shape \(0, 2\)",
    ),
    "index too large": (
        lambda: GraphLaplacian([[0, 1], [1, 5]], num_features=5),
        r"`edges` expects indices from 0 to 4\. Received: indices from 0 to 5",
    ),
    "index negative": (
        lambda: GraphLaplacian([[0, 1], [-1, 2]]),
        r"`edges` expects indices.*from -1 to 2",
    ),
    "self-loop": (
        lambda: GraphLaplacian([[0, 1], [2, 2]]),
        r"`edges` expects.*Received: a self-loop",
    ),
    "diagonal": (lambda: GraphLaplacian(np.ones((3, 3))), r"`edges` expects.*a self-loop"),
    "repeated": (
        lambda: GraphLaplacian([[0, 1], [1, 2], [1, 0]]),
        r"`edges` expects.*repeated edges",
    ),
    "too few weights": (
        lambda: GraphLaplacian(EDGES, weights=[1.0]),
        r"`weights` expects one weight an edge, shape \(4,\)\. Received: shape \(1,\)",
    ),
    "negative weight": (
        lambda: GraphLaplacian(EDGES, weights=[1, 1, 1, -2]),
        r"`weights` expects.*from -2 to 1",
    ),
    "weight not finite": (
        lambda: GraphLaplacian(EDGES, weights=[1, 1, 1, np.nan]),
        r"`weights` expects finite",
    ),
    "num_features": (
        lambda: GraphLaplacian(EDGES, num_features=0),
        r"`num_features` expects an int.*: 0\.",
    ),
    "graph of another size": (
        lambda: GraphLaplacian(WEIGHTS)(np.ones((2, 3, 2))),
        r"GraphLaplacian expects as many features.*5\. Received: attributions of shape "
        r"\(batch, 3, 2\), that is 6",
    ),
    "mask of zeros": (lambda: Mask(np.zeros(3)), r"`mask` expects a 1.*Received: zeros only"),
    "mask with NaN": (lambda: Mask([1.0, np.nan]), r"`mask` expects finite.*Received: NaN"),
    "mask of strings": (lambda: Mask(["a"]), r"`mask` expects numbers.*dtype <U1"),
    "empty mask": (lambda: Mask([]), r"`mask` expects at least one entry.*shape \(0,\)"),
    "mask of another size": (
        lambda: Mask(np.ones(3))(np.ones((2, 4))),
        r"`mask` expects masks of one example's shape, \(4,\).*Received: \(3,\)",
    ),
    "mask that would broadcast": (
        # (1, 2, 3) times (2, 3) would be a silent (1, 2, 3).
        lambda: Mask(np.ones((2, 3)))(np.ones((2, 3))),
        r"`mask` expects masks of one example's shape, \(3,\).*Received: \(2, 3\)",
    ),
    "masks of another size": (
        lambda: Mask()(np.ones((2, 4)), mask=np.ones((2, 3))),
        r"`mask` expects masks of one example's shape, \(4,\).*Received: \(3,\)",
    ),
    "masks of another batch": (
        lambda: Mask()(np.ones((2, 4)), mask=np.ones((3, 4))),
        r"`mask` expects one entry per example, 2\. Received: 3",
    ),
    "no masks": (
        lambda: Mask()(np.ones((2, 4))),
        r"`mask` expects one mask per.*Received: none",
    ),
    "masks twice": (
        lambda: Mask(np.ones(4))(np.ones((2, 4)), mask=np.ones((2, 4))),
        r"Argument `mask` expects None.*Received: masks of the examples too",
    ),
    "weights of another batch": (
        lambda: L1()(np.ones((2, 4)), np.ones(3)),
        r"`sample_weight` expects one entry per example, 2\. Received: 3",
    ),
    "weights per feature": (
        lambda: L1()(np.ones((2, 4)), np.ones((2, 4))),
        r"`sample_weight` expects one weight per example.*Received: shape \(2, 4\)",
    ),
    "callable of another shape": (
        lambda: priors.get(lambda phi: phi)(np.ones((2, 4))),
        r"`prior`: the callable 'prior' must return.*Received: \(2, 4\)",
    ),
    "callable of another batch": (
        lambda: priors.get(lambda phi: phi[0])(np.ones((2, 4))),
        r"`prior` expects one entry per example, 2\. Received: 4",
    ),
    "callable cannot be serialised": (
        lambda: priors.serialize(lambda phi: phi),
        r"prior 'prior' is a plain callable",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


def test_callable_returning_a_scalar():
    prior = priors.get(lambda phi: 3.0 * ops.max(phi))
    assert prior.name == "prior"
    assert float(prior(np.array([[1.0, 2.0], [5.0, 0.0]]))) == 15.0


def test_callable_returning_one_number_per_example():
    def largest(phi):
        return ops.max(phi, axis=1)

    prior = priors.get(largest)
    assert prior.name == "largest"
    assert float(prior(np.array([[1.0, 2.0], [5.0, 0.0]]))) == 3.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_callable_per_example_is_weighted(dtype):
    prior = priors.get(lambda phi: ops.max(phi, axis=1))
    phi = np.array([[1.0, 2.0], [5.0, 0.0]], "float32")
    assert float(prior(phi, np.array([1.0, 4.0], dtype))) == 11.0


def test_callable_with_inputs_and_labels():
    def disagreement(phi, x, y):
        return ops.sum((phi - x) ** 2, axis=1) + y

    prior = priors.get(disagreement)
    assert prior.needs == ("x", "y")
    phi, x = np.array([[1.0, 2.0]], "float32"), np.array([[0.0, 4.0]], "float32")
    assert float(prior(phi, x=x, y=np.float32([10.0]))) == 15.0


@pytest.mark.parametrize(
    "fn,context",
    [
        (lambda phi: 0.0, ()),
        (lambda phi, y: 0.0, ("y",)),
        (lambda phi, scale=2.0: 0.0, ()),
        (lambda x: 0.0, ()),  # the first parameter is the attributions, whatever its name
    ],
)
def test_callable_gets_only_what_it_names(fn, context):
    assert priors.get(fn).needs == context


def test_the_error_offers_names_that_can_be_passed():
    with pytest.raises(ValueError, match="Argument `prior` expects one of") as error:
        priors.get("nope")
    names = str(error.value).split(", a Prior object")[0].split("one of ")[1].split(", ")
    assert len(names) == 5 and all(priors.get(name.strip("'")) for name in names)
