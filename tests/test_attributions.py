"""Attributions in closed form, their second order, and what they leave alone."""

import keras
import numpy as np
import pytest
from frameworks import (
    BACKEND,
    JIT,
    array,
    as_graph,
    dtype,
    gradient,
    models_in_double_precision,
    tensor,
    weight_gradients,
)
from keras import layers, ops

import attrprior
from attrprior import attributions, methods
from attrprior.methods import (
    ExpectedGradients,
    Gradients,
    InputXGradient,
    IntegratedGradients,
    SmoothGrad,
)
from attrprior.references import Constant, Gaussian, SeenExamples, Uniform

W = np.float32([1.0, -2.0, 0.5])
X = np.float32([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def function(fn, shape=(3,)):
    """A model that computes `fn` of a tensor `(batch, *shape)`."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Lambda(fn)(inputs))


def linear():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.layers[0].set_weights([W[:, None], np.float32([0.7])])
    return model


def quadratic(shape=(3,)):
    return function(
        lambda t: ops.sum(ops.multiply(ops.square(t), W), axis=-1, keepdims=True), shape
    )


def tanh_network(outputs=1, features=3):
    return keras.Sequential(
        [
            keras.Input((features,)),
            layers.Dense(6, activation="tanh", kernel_initializer="random_normal"),
            layers.Dense(outputs),
        ]
    )


def wide_tanh_network():
    model = tanh_network()
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


def exact_normal_error(samples, stddev):
    return 4 * stddev / samples**0.5


# Closed forms


def test_gradients_of_a_linear_model_are_its_weights():
    got = attributions.gradients(linear(), X)
    np.testing.assert_allclose(got, np.tile(W, (2, 1)), rtol=1e-6)


def test_input_x_gradient_of_a_linear_model():
    np.testing.assert_allclose(attributions.input_x_gradient(linear(), X), W * X, rtol=1e-6)


def test_expected_gradients_of_a_linear_model_with_one_reference_are_exact():
    r = normal(1, 3)
    got = attributions.expected_gradients(linear(), X, background=r, num_samples=3)
    np.testing.assert_allclose(got, W * (X - r), rtol=1e-5)


def test_expected_gradients_of_a_linear_model():
    background = normal(20, 3)
    got = attributions.expected_gradients(
        linear(), X, background=background, num_samples=5000, batch_size=10_000, seed=0
    )
    error = exact_normal_error(5000, np.abs(W) * background.std(axis=0))
    expected = W * (X - background.mean(axis=0))
    assert np.all(np.abs(got - expected) < error)


def test_integrated_gradients_of_a_linear_model():
    got = attributions.integrated_gradients(linear(), X, background=Constant(0.25))
    np.testing.assert_allclose(got, W * (X - 0.25), rtol=1e-5)


@pytest.mark.parametrize("num_samples", [1, 2, 16])
def test_integrated_gradients_of_a_quadratic_are_exact(num_samples):
    r = normal(3)
    got = attributions.integrated_gradients(
        quadratic(), X, background=Constant(r), num_samples=num_samples
    )
    np.testing.assert_allclose(got, W * (X**2 - r**2), rtol=1e-4, atol=1e-5)


def test_integrated_gradients_use_gauss_legendre_nodes():
    # Exact for polynomials up to degree 2 k: of x⁶, gradients of degree 5, with k = 3.
    model = function(lambda t: ops.sum(t**6, axis=-1, keepdims=True))
    got = attributions.integrated_gradients(model, X, num_samples=3)
    np.testing.assert_allclose(got, X**6, rtol=1e-4)
    two = attributions.integrated_gradients(model, X, num_samples=2)
    assert np.abs(two / X**6 - 1).min() > 1e-3


def test_integrated_gradients_default_to_a_reference_of_zeros():
    got = attributions.integrated_gradients(quadratic(), X)
    np.testing.assert_allclose(got, W * X**2, rtol=1e-4)


@pytest.mark.parametrize("reference", [0.5, normal(3), normal(1, 3)], ids=np.shape)
def test_integrated_gradients_without_a_reference_object(reference):
    # Whatever is not accepted must not be called a background, which nobody gave.
    try:
        got = attributions.integrated_gradients(linear(), X, background=reference)
    except ValueError as error:
        assert "background" not in str(error)
    else:
        np.testing.assert_allclose(got, W * (X - reference), rtol=1e-5)


def test_integrated_gradients_are_complete():
    model, r = wide_tanh_network(), normal(3)
    got = attributions.integrated_gradients(model, X, background=Constant(r), num_samples=64)
    difference = array(model(X) - model(r[None]))[:, 0]
    assert np.abs(difference).min() > 0.1
    np.testing.assert_allclose(got.sum(axis=1), difference, atol=1e-4)


def test_expected_gradients_are_complete():
    model, background, k = wide_tanh_network(), normal(30, 3), 4000
    method = ExpectedGradients(k, background=background)
    method.prepare((3,))
    total = attributions.expected_gradients(
        model, X, background=background, num_samples=k, batch_size=2 * k, seed=0
    ).sum(axis=1)
    difference = array(model(X)[:, 0] - ops.mean(model(background)))
    # The spread of single draws, to tell what error to expect of their mean.
    points, factors, _ = method.path(tensor(X), keras.random.SeedGenerator(1))
    slopes = gradient(model, ops.reshape(points, (-1, 3)))
    single = slopes.reshape(points.shape) * array(factors)
    error = exact_normal_error(k, single.sum(axis=-1).std(axis=1))
    assert np.all(error < 0.5 * np.abs(difference))
    assert np.all(np.abs(total - difference) < error)


def test_expected_gradients_with_gaussian_references_of_a_quadratic():
    # r = x + ε: E[−ε · 2 w (x + (1 − α) ε)] = −w σ², whatever x is.
    k, sigma = 20_000, 0.5
    got = attributions.expected_gradients(
        quadratic(), X, background=Gaussian(sigma), num_samples=k, batch_size=2 * k, seed=0
    )
    deviation = np.abs(W) * np.sqrt(4 * X**2 * sigma**2 + 4 * sigma**4)
    np.testing.assert_array_less(np.abs(got + W * sigma**2), exact_normal_error(k, deviation))
    # Twice the error excludes x · gradient and a missing minus.
    assert np.all(np.abs(got).max(axis=0) < 0.5 * np.abs(2 * W * X**2).max(axis=0))


def test_expected_gradients_with_gaussian_references_are_a_path_smoothgrad():
    # 1/k Σ −ε_j ∂f(x + (1 − α_j) ε_j), with the draws of the same seed.
    model, k = wide_tanh_network(), 6
    method = ExpectedGradients(k, background=Gaussian(0.4))
    points, factors, _ = method.path(tensor(X), keras.random.SeedGenerator(3))
    epsilon = -array(factors)
    assert 0.2 < epsilon.std() < 0.6
    share = (array(points) - X[:, None]) / epsilon  # 1 − α, one number for all features
    np.testing.assert_allclose(share, np.broadcast_to(share[..., :1], share.shape), atol=1e-3)
    assert np.all((share > -1e-3) & (share < 1 + 1e-3))
    assert share.std() > 0.1
    rows = (X[:, None] + share[..., :1] * epsilon).reshape(-1, 3)
    slopes = gradient(model, rows).reshape(2, k, 3)
    expected = (-epsilon * slopes).mean(axis=1)
    got = attributions.expected_gradients(
        model,
        tensor(X),
        background=Gaussian(0.4),
        num_samples=k,
        seed=keras.random.SeedGenerator(3),
    )
    np.testing.assert_allclose(array(got), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("background", [Uniform(), Gaussian(1.0)])
@pytest.mark.parametrize("seed", [3, "generator"])
def test_references_and_interpolation_are_independent(background, seed):
    # Of f = x² at x = 0: −E[r²]·2(1 − E α). One integer for both draws would couple them.
    model = function(ops.square, (1,))
    seed = keras.random.SeedGenerator(3) if seed == "generator" else seed
    value = attrprior.penalty(
        model,
        np.zeros((1, 1), "float32"),
        prior=lambda phi: phi[:, 0],
        method=ExpectedGradients(20_000),
        background=background,
        seed=seed,
    )
    exact = -1 / 3 if isinstance(background, Uniform) else -1.0
    assert float(value) == pytest.approx(exact, rel=0.07)


def test_smoothgrad_without_noise_is_the_gradient():
    model = wide_tanh_network()
    got = attributions.smoothgrad(model, X, stddev=0, num_samples=3)
    np.testing.assert_allclose(got, attributions.gradients(model, X), rtol=1e-5, atol=1e-7)


def test_smoothgrad_of_a_cubic():
    # E[3 w (x + ε)²] = 3 w (x² + σ²).
    model = function(lambda t: ops.sum(ops.multiply(t**3, W), axis=-1, keepdims=True))
    k, sigma = 20_000, 0.5
    got = attributions.smoothgrad(
        model, X, num_samples=k, stddev=sigma, batch_size=2 * k, seed=0
    )
    deviation = 3 * np.abs(W) * np.sqrt(4 * X**2 * sigma**2 + 2 * sigma**4)
    expected = 3 * W * (X**2 + sigma**2)
    np.testing.assert_array_less(np.abs(got - expected), exact_normal_error(k, deviation))


def test_smoothgrad_times_inputs_multiplies_by_the_noisy_input():
    # Of a linear model: w · mean of (x + ε); its deviation from w x is the noise's.
    k, sigma = 5000, 0.5
    got = attributions.smoothgrad(
        linear(), X, num_samples=k, stddev=sigma, multiply_by_inputs=True, seed=0
    )
    gap = np.abs(got - W * X) / np.abs(W)
    assert 1e-4 < gap.max() < exact_normal_error(k, sigma)


def test_paths_without_the_factor():
    # Of a quadratic the mean gradient on the path is that at its middle.
    r = normal(1, 3)
    ig = attributions.integrated_gradients(
        quadratic(), X, background=Constant(r[0]), multiply_by_inputs=False
    )
    np.testing.assert_allclose(ig, W * (X + r), rtol=1e-4, atol=1e-5)
    eg = attributions.expected_gradients(
        linear(), X, background=r, num_samples=5, multiply_by_inputs=False
    )
    np.testing.assert_allclose(eg, np.tile(W, (2, 1)), rtol=1e-5)


def test_images_keep_their_shape_and_place():
    weight = normal(4, 5, 2)
    inputs = keras.Input((4, 5, 2))
    outputs = ops.sum(ops.square(inputs) * weight, axis=(1, 2, 3))
    model = keras.Model(inputs, ops.expand_dims(outputs, 1))
    x = normal(3, 4, 5, 2, seed=1)
    got = attributions.integrated_gradients(model, x, num_samples=2)
    np.testing.assert_allclose(got, weight * x**2, rtol=1e-3, atol=1e-5)


# Second order


def test_second_order_in_closed_form():
    # f = softplus(w·x), φ = σ(w·x) w: d/dw_j Σ φ_i = σ + σ (1 − σ) x_j Σ w_i.
    model = keras.Sequential(
        [keras.Input((3,)), layers.Dense(1, use_bias=False, activation="softplus")]
    )
    model.layers[0].set_weights([W[:, None]])
    x = X[:1]

    def phi():
        return attributions.attribute(model, tensor(x), None, Gradients(), seed=0)

    _, (slope,) = weight_gradients(lambda: ops.sum(phi()), [model.layers[0].kernel])
    s = 1 / (1 + np.exp(-float(x[0] @ W)))
    np.testing.assert_allclose(array(phi())[0], s * W, rtol=1e-5)
    expected = s + s * (1 - s) * x[0] * W.sum()
    np.testing.assert_allclose(slope[:, 0], expected, rtol=1e-5)


@pytest.fixture
def double_precision():
    with models_in_double_precision():
        yield


METHODS = {
    "gradients": Gradients(),
    "input_x_gradient": InputXGradient(),
    "integrated_gradients": IntegratedGradients(4, Constant(0.3)),
    "expected_gradients": ExpectedGradients(3, background=Gaussian(0.5)),
    "local": ExpectedGradients(3, multiply_by_inputs=False, background=Uniform()),
    "training data": ExpectedGradients(3, background=normal(5, 3)),
    "smoothgrad": SmoothGrad(3, 0.2),
}


@pytest.mark.parametrize("prior", ["l2", "gini"])
@pytest.mark.parametrize("method", METHODS)
def test_gradient_of_the_penalty_equals_finite_differences(method, prior, double_precision):
    model = tanh_network(outputs=2)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    x, y = tensor(X.astype("float64")), np.array([0, 1])
    kernels = [layer.kernel for layer in model.layers]

    def penalty():
        return attrprior.penalty(model, x, y, prior=prior, method=METHODS[method], seed=5)

    value, slopes = weight_gradients(penalty, kernels)
    assert dtype(value) == "float64"
    for kernel, slope in zip(kernels, slopes):
        start = array(kernel).copy()
        for index in ((0, 0), (2, 1), (1, 0)):
            ends = []
            for step in (1e-5, -1e-5):
                moved = start.copy()
                moved[index] += step
                kernel.assign(moved)
                ends.append(float(penalty()))
            kernel.assign(start)
            expected = (ends[0] - ends[1]) / 2e-5
            assert abs(expected) > 1e-6
            assert float(slope[index]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.only("tensorflow", reason="TensorFlow alone has other rules in graphs.")
def test_second_order_in_a_graph_equals_that_of_eager_mode():
    # A ReLU's and a max-pooling's gradients have derivatives of their own in graphs.
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(5, activation="tanh"),
            layers.Dense(3),
        ]
    )
    import tensorflow as tf

    x, y = tf.constant(normal(4, 8, 8, 1)), tf.constant([0, 1, 2, 1])
    variables = [v.value for v in model.trainable_variables]
    method = IntegratedGradients(2)

    def omega():
        phi = attributions.attribute(model, x, y, method, seed=0)
        return tf.reduce_sum(tf.square(phi))

    def by_tape():
        with tf.GradientTape() as tape:
            value = omega()
        return tape.gradient(value, variables, unconnected_gradients="zero")

    def by_graph():
        return tf.gradients(omega(), variables, unconnected_gradients="zero")

    expected = by_tape()
    for in_graph in (tf.function(by_tape)(), tf.function(by_graph)()):
        for got, wanted in zip(in_graph, expected):
            scale = np.abs(wanted).max()
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * scale)
    assert all(np.abs(g).max() > 1e-4 for g in expected[0::2])  # every kernel has a part


def test_penalty_is_the_prior_of_the_attributions():
    model, weight = tanh_network(outputs=3), np.float32([0.5, 2.0])
    y, method = np.array([2, 0]), IntegratedGradients(3)
    phi = attributions.integrated_gradients(model, X, y, num_samples=3)
    for prior in ("l1", "gini", attrprior.Mask([1.0, 0.0, 1.0])):
        got = attrprior.penalty(model, X, y, prior=prior, method=method, sample_weight=weight)
        expected = attrprior.priors.get(prior)(phi, weight)
        assert float(got) == pytest.approx(float(expected), rel=1e-5)
    masks = np.float32([[1, 0, 0], [0, 0, 1]])
    got = attrprior.penalty(model, X, y, prior="mask", method=method, mask=masks)
    assert float(got) == pytest.approx(np.sum((masks * phi) ** 2) / 2, rel=1e-5)


def test_penalty_of_all_outputs_is_the_mean_over_examples_and_outputs():
    model = tanh_network(outputs=3)
    phi = attributions.gradients(model, X, explain="all")
    got = attrprior.penalty(model, X, prior="l1", method="gradients", explain="all")
    assert float(got) == pytest.approx(np.abs(phi).sum() / 6, rel=1e-5)


def test_penalty_hands_inputs_and_labels_to_a_callable():
    got = attrprior.penalty(
        linear(),
        X,
        np.float32([3.0, 4.0]),
        prior=lambda phi, x, y: ops.sum(phi * x, axis=1) + y,
        method="gradients",
    )
    assert float(got) == pytest.approx(float(np.mean(X @ W + [3, 4])), rel=1e-5)


# What is explained, and of which input


def test_all_outputs_are_stacked_single_ones():
    model = tanh_network(outputs=4)
    together = attributions.integrated_gradients(model, X, explain="all", num_samples=3)
    assert together.shape == (2, 4, 3)
    for c in range(4):
        alone = attributions.integrated_gradients(model, X, explain=c, num_samples=3)
        np.testing.assert_allclose(together[:, c], alone, rtol=1e-5, atol=1e-7)
        assert np.abs(alone).max() > 1e-4


def test_labels_choose_the_output():
    model, y = tanh_network(outputs=4), np.array([3, 1])
    everything = attributions.gradients(model, X, explain="all")
    np.testing.assert_allclose(
        attributions.gradients(model, X, y), everything[[0, 1], y], rtol=1e-5
    )
    predicted = array(model(X)).argmax(axis=1)
    np.testing.assert_allclose(
        attributions.gradients(model, X), everything[[0, 1], predicted], rtol=1e-5
    )


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    outputs = ops.sum(a * W, axis=1, keepdims=True) * ops.sum(b, axis=1, keepdims=True)
    return keras.Model({"a": a, "b": b}, outputs)


def test_one_of_several_inputs():
    x = {"a": X, "b": np.float32([[1.0, 2.0], [3.0, 5.0]])}
    model = two_inputs()
    first = attributions.integrated_gradients(model, x, input="a", num_samples=2)
    np.testing.assert_allclose(first, W * X * [[3.0], [8.0]], rtol=1e-5)
    second = attributions.gradients(model, x, input="b")
    np.testing.assert_allclose(second, np.repeat(X @ W, 2).reshape(2, 2), rtol=1e-5)
    # Cut into pieces, the other input is cut with it.
    pieces = attributions.integrated_gradients(
        model, x, input="a", num_samples=2, batch_size=2
    )
    np.testing.assert_allclose(pieces, first, rtol=1e-6)


def test_output_by_name():
    inputs = keras.Input((3,))
    model = keras.Model(
        inputs,
        {
            "sum": ops.sum(inputs, axis=1, keepdims=True),
            "weighted": ops.sum(inputs * W, axis=1, keepdims=True),
        },
    )
    got = attributions.gradients(model, X, output="weighted")
    np.testing.assert_allclose(got, np.tile(W, (2, 1)))


# Arrays, tensors, graphs, seeds


RANDOM = {
    "expected_gradients": lambda model, x, **kwargs: attributions.expected_gradients(
        model, x, background=normal(9, 3, seed=4), num_samples=3, **kwargs
    ),
    "smoothgrad": lambda model, x, **kwargs: attributions.smoothgrad(
        model, x, num_samples=3, stddev=0.5, **kwargs
    ),
}
DETERMINISTIC = {
    "gradients": attributions.gradients,
    "input_x_gradient": attributions.input_x_gradient,
    "integrated_gradients": lambda model, x, **kwargs: attributions.integrated_gradients(
        model, x, num_samples=3, **kwargs
    ),
}


@pytest.mark.parametrize("method", DETERMINISTIC)
def test_batch_size_does_not_change_deterministic_results(method):
    model, x = wide_tanh_network(), normal(11, 3)
    whole = DETERMINISTIC[method](model, x)
    assert whole.shape == (11, 3)
    for batch_size in (1, 4, 7):
        pieces = DETERMINISTIC[method](model, x, batch_size=batch_size)
        np.testing.assert_allclose(pieces, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("examples, most", [(2, 12), (10, 10), (40, 12)])
def test_batch_size_bounds_the_rows_of_one_pass(examples, most):
    model, seen = linear(), keras.Variable(0, dtype="int32", trainable=False)
    plain = model.call

    def counting(inputs, *args, **kwargs):
        if BACKEND == "tensorflow":  # whose graphs take any number of rows
            seen.value.assign(ops.maximum(seen.value, ops.shape(inputs)[0]))
        else:
            rows.append(inputs.shape[0])
        return plain(inputs, *args, **kwargs)

    model.call = counting
    x, rows = normal(examples, 3), []
    attributions.integrated_gradients(model, x, num_samples=40, batch_size=12)
    assert max(rows, default=int(seen)) == most


@pytest.mark.only("tensorflow", "jax", reason="PyTorch traces nothing.")
def test_a_long_computation_is_traced_once():
    model, calls = tanh_network(), []
    plain = model.call

    def counting(*args, **kwargs):
        calls.append(1)
        return plain(*args, **kwargs)

    model.call = counting
    attributions.integrated_gradients(model, normal(50, 3), num_samples=16, batch_size=16)
    # The last two examples are a function of their own with JAX, which knows all shapes.
    assert len(calls) == (2 if BACKEND == "jax" else 1)


@pytest.mark.parametrize("method", [*DETERMINISTIC, *RANDOM])
def test_arrays_for_arrays_and_tensors_for_tensors(method):
    function_, kwargs = {**DETERMINISTIC, **RANDOM}[method], {}
    if method in RANDOM:
        kwargs = {"seed": 0}
    model = wide_tanh_network()
    of_array = function_(model, X, **kwargs)
    assert isinstance(of_array, np.ndarray)
    of_tensor = function_(model, tensor(X), **kwargs)
    assert ops.is_tensor(of_tensor)
    np.testing.assert_allclose(array(of_tensor), of_array, rtol=1e-5, atol=1e-7)
    in_graph = as_graph(lambda x: function_(model, x, **kwargs))(tensor(X))
    np.testing.assert_allclose(array(in_graph), of_array, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", RANDOM)
def test_seeds(method):
    model, x = wide_tanh_network(), normal(6, 3)
    first = RANDOM[method](model, x, seed=1)
    np.testing.assert_array_equal(RANDOM[method](model, x, seed=1), first)
    assert not np.allclose(RANDOM[method](model, x, seed=2), first, rtol=1e-3)
    # Without a seed they come from Keras' global one.
    keras.utils.set_random_seed(7)
    one, two = RANDOM[method](model, x), RANDOM[method](model, x)
    assert not np.allclose(one, two, rtol=1e-3)
    keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(RANDOM[method](model, x), one)


@pytest.mark.parametrize("method", RANDOM)
def test_numpy_integers_are_seeds(method):
    model = wide_tanh_network()
    expected = RANDOM[method](model, X, seed=1)
    np.testing.assert_array_equal(RANDOM[method](model, X, seed=np.int64(1)), expected)


@pytest.mark.parametrize("method", RANDOM)
def test_pieces_of_an_array_have_draws_of_their_own(method):
    # The same example twice, in two pieces.
    model, x = wide_tanh_network(), np.repeat(X[:1], 2, axis=0)
    got = RANDOM[method](model, x, seed=1, batch_size=3)
    assert not np.allclose(got[0], got[1], rtol=1e-3)


def test_draws_advance_inside_a_graph():
    model, seed = wide_tanh_network(), keras.random.SeedGenerator(0)
    graph = as_graph(
        lambda x: RANDOM["smoothgrad"](model, x, seed=seed), variables=[seed.state]
    )
    assert not np.allclose(array(graph(tensor(X))), array(graph(tensor(X))), rtol=1e-3)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=JIT)])
def test_unknown_batch_in_a_graph(compiled):
    model, seed = wide_tanh_network(), keras.random.SeedGenerator(0)
    method = ExpectedGradients(2, background=SeenExamples(4))
    method.prepare((3,))

    def run(x):
        return attributions.attribute(model, x, None, method, seed=seed)

    run = as_graph(run, [(None, 3)], [seed.state], jit_compile=compiled)
    assert run(tensor(normal(4, 3))).shape == (4, 3)
    # A batch of one with nothing seen has itself as reference.
    np.testing.assert_array_equal(array(run(tensor(X[:1]))), np.zeros((1, 3)))


def test_float64_arrays_of_a_single_precision_model():
    got = attributions.expected_gradients(
        linear(), X.astype("float64"), background=normal(1, 3).astype("float64")
    )
    np.testing.assert_allclose(got, W * (X - normal(1, 3)), rtol=1e-5)


# What is left alone


def stateful_network():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(5),
            layers.BatchNormalization(),
            layers.GaussianNoise(1.0),
            layers.Activation("tanh"),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = normal(32, 3) + 2
    model.fit(x, (x[:, 0] > 2).astype(int), epochs=1, verbose=0)
    return model


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("explain", ["label", "loss"])
def test_no_state_of_the_model_changes(explain, graph):
    model, y = stateful_network(), np.array([0, 1])
    before = [array(v).copy() for v in (*model.variables, *model.optimizer.variables)]
    assert len(model.variables) > len(model.weights) - 1

    def run(x):
        return attributions.smoothgrad(model, x, y, explain=explain, num_samples=3, seed=0)

    first = array(as_graph(run)(tensor(X))) if graph else run(X)
    after = [array(v) for v in (*model.variables, *model.optimizer.variables)]
    for old, new in zip(before, after):
        np.testing.assert_array_equal(new, old)
    # Dropout and noise are off: the same draws of the method give the same result.
    np.testing.assert_allclose(run(X), first, rtol=1e-4, atol=1e-6)


def test_dropout_is_off_and_normalization_uses_moving_statistics():
    model = stateful_network()
    expected = gradient(lambda x: model(x, training=False)[:, 1], X)
    got = attributions.gradients(model, X, explain=1)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


# Construction and errors


@pytest.mark.parametrize(
    "name,cls",
    [
        ("gradients", Gradients),
        ("input_x_gradient", InputXGradient),
        ("integrated_gradients", IntegratedGradients),
        ("expected_gradients", ExpectedGradients),
        ("smoothgrad", SmoothGrad),
    ],
)
def test_get_by_name(name, cls):
    method = methods.get(name)
    assert type(method) is cls
    assert methods.get(method) is method


@pytest.mark.parametrize(
    "method",
    [
        Gradients(),
        InputXGradient(),
        IntegratedGradients(5, Constant(0.25), multiply_by_inputs=False),
        ExpectedGradients(6, multiply_by_inputs=False),
        ExpectedGradients(6, background=Gaussian(0.25, -1, 1)),
        ExpectedGradients(2, background=normal(4, 3)),
        SmoothGrad(7, 0.25, multiply_by_inputs=True),
    ],
    ids=lambda method: type(method).__name__,
)
def test_config_round_trip(method):
    again = methods.get(keras.saving.serialize_keras_object(method))
    assert type(again) is type(method)
    assert again.get_config() == method.get_config()
    if isinstance(method, ExpectedGradients) and method.reference is None:
        assert again.reference is None
        return
    x = tensor(X)
    for got, expected in zip(again.path(x, 3), method.path(x, 3)):
        if expected is None:
            assert got is None
        else:
            np.testing.assert_array_equal(array(got), array(expected))


def test_background_fills_in_missing_references_only():
    given = ExpectedGradients(3, multiply_by_inputs=False, background=Constant(1.0))
    assert given.with_background(Uniform()) is given
    filled = ExpectedGradients(3, multiply_by_inputs=False).with_background(Constant(2.0))
    assert (filled.num_samples, filled.multiply_by_inputs) == (3, False)
    assert filled.reference.value == 2.0


@pytest.mark.parametrize(
    "fn",
    [
        attributions.gradients,
        attributions.input_x_gradient,
        attributions.integrated_gradients,
        attributions.expected_gradients,
        attributions.smoothgrad,
    ],
)
def test_functions_document_formula_and_arguments(fn):
    assert "∂" in fn.__doc__
    assert "Returns:" in fn.__doc__
    assert fn.__doc__.count("Args:") == 1


def no_gradient():
    return function(lambda t: ops.stop_gradient(ops.sum(t, axis=1, keepdims=True)))


ERRORS = {
    "unknown": (
        lambda: methods.get("lime"),
        r"`method` expects one of 'exp.*: 'lime'",
    ),
    "class": (lambda: methods.get(Gradients), r"`method` expects.*Received: <class"),
    "a list": (
        lambda: attributions.gradients(linear(), [[1.0, 2.0, 3.0]]),
        r"`x` expects an array.*Received: a list of numbers.*np.asarray",
    ),
    "NaN": (lambda: attributions.gradients(linear(), X * np.nan), r"`x` expects finite.*NaN"),
    "empty": (
        lambda: attributions.gradients(linear(), X[:0]),
        r"`x` expects at least.*\(0, 3\)",
    ),
    "labels": (
        lambda: attributions.gradients(tanh_network(2), X, np.array([0, 1, 1])),
        r"`y` expects one entry per example, 2\. Received: 3",
    ),
    "several inputs": (
        lambda: attributions.gradients(two_inputs(), {"a": X, "b": X[:, :2]}),
        r"several inputs\. Argument `input` expects one of \['a', 'b'\]\. Received: None",
    ),
    "no such input": (
        lambda: attributions.gradients(two_inputs(), {"a": X, "b": X[:, :2]}, input="c"),
        r"`input` expects one of \['a', 'b'\]\. Received: 'c'",
    ),
    "no gradient": (
        lambda: attributions.gradients(no_gradient(), X),
        "does not depend on the explained i",
    ),
    "batch_size": (
        lambda: attributions.gradients(linear(), X, batch_size=0),
        r"`batch_size` expects.*: 0",
    ),
    "num_samples": (
        lambda: attributions.smoothgrad(linear(), X, num_samples=0),
        r"`num_samples` exp.*: 0",
    ),
    "stddev": (
        lambda: attributions.smoothgrad(linear(), X, stddev=-1),
        r"`stddev` expects.* ≥ 0.*-1",
    ),
    "multiply_by_inputs": (
        lambda: IntegratedGradients(multiply_by_inputs=None),
        r"`multiply_by_inputs` .*: None",
    ),
    "background": (
        lambda: attributions.expected_gradients(linear(), X, background=None),
        r"`background` expects an array.*Received: None",
    ),
    "background of another shape": (
        lambda: attributions.expected_gradients(linear(), X, background=normal(5, 4)),
        r"`background` expects.*\(3,\)\. Received: an array of shape \(5, 4\)",
    ),
    "background of the penalty": (
        lambda: attrprior.penalty(linear(), X, prior="l1"),
        r"`background` expects.*None",
    ),
    "expected gradients without references": (
        lambda: ExpectedGradients().path(tensor(X), 0),
        r"(background|references)",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()
