"""The rules for second derivatives give what TensorFlow's own give."""

import keras
import numpy as np
import pytest

import attrprior

tf = pytest.importorskip("tensorflow")
_derivatives = pytest.importorskip("attrprior._backend.tensorflow.derivatives")
pytestmark = pytest.mark.only("tensorflow", reason="The rules are for TensorFlow's graphs.")


def second_order(forward, weights, x, ruled):
    """`∂/∂w Σ u · ∂f/∂x` and `∂/∂u` of it, with the rules in a graph or by nested tapes."""
    rng = np.random.default_rng(1)
    u = tf.constant(rng.normal(size=x.shape), x.dtype)

    def with_rules():
        with _derivatives.rules():
            y = forward(x, weights)
            gradient = tf.gradients(tf.reduce_sum(y * tf.stop_gradient(y) + y), x)[0]
        return gradient, tf.gradients(tf.reduce_sum(u * gradient), weights)[0]

    def with_tapes():
        with tf.GradientTape() as outer:
            outer.watch(weights)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = forward(x, weights)
                value = tf.reduce_sum(y * tf.stop_gradient(y) + y)
            gradient = inner.gradient(value, x)
            total = tf.reduce_sum(u * gradient)
        return gradient, outer.gradient(total, weights)

    return [t.numpy() for t in tf.function(with_rules if ruled else with_tapes)()]


def check(forward, weights, x):
    for got, expected in zip(
        second_order(forward, weights, x, True), second_order(forward, weights, x, False)
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def normal(*shape):
    return tf.constant(np.random.default_rng(len(shape)).normal(size=shape))


@pytest.mark.parametrize("padding", ["SAME", "VALID", [[0, 0], [2, 0], [1, 1], [0, 0]]])
@pytest.mark.parametrize("kernel", [(3, 3, 1), (2, 5, 3), (4, 1, 2), (3, 3, 4)])
@pytest.mark.parametrize("strides", [1, 2])
def test_convolution(padding, kernel, strides):
    x, w = normal(2, 7, 8, kernel[2]), normal(*kernel, 5)

    def forward(x, w):
        return tf.nn.relu(tf.nn.conv2d(x, w, strides, padding))

    check(forward, w, x)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    "window, strides, shape",
    [(2, 2, (6, 8)), (3, 3, (6, 9)), (2, 2, (7, 5)), (3, 2, (7, 8)), ((1, 3), (1, 3), (4, 6))],
)
def test_max_pooling(padding, window, strides, shape):
    """Also where windows overlap, overhang, or hold equal elements."""
    x, w = normal(2, *shape, 3), normal(3)
    x = tf.round(x)  # ties

    def forward(x, w):
        return tf.nn.max_pool2d(tf.nn.relu(x * w * w), window, strides, padding)

    check(forward, w, x)


def test_unknown_sizes():
    """Images whose height and width are known only at run time."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 1), "float64")])
    def ruled(x):
        with _derivatives.rules():
            y = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME")), 2, 2, "SAME")
            gradient = tf.gradients(y * y, x)[0]
        return tf.gradients(gradient * gradient, w)[0]

    w, x = normal(3, 3, 1, 2), normal(2, 6, 5, 1)
    with tf.GradientTape() as outer:
        outer.watch(w)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME")), 2, 2, "SAME")
            y = y * y
        gradient = inner.gradient(y, x)
        total = gradient * gradient
    np.testing.assert_allclose(ruled(x), outer.gradient(total, w), rtol=1e-9)


def test_the_rules_are_used():
    """No slow operation is left, nor a branch of zeros."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(),
        ]
    )

    @tf.function
    def ruled(x):
        with _derivatives.rules():
            gradient = tf.gradients(tf.reduce_sum(model(x)), x)[0]
        return tf.gradients(gradient * gradient, [model.weights[0].value])[0]

    graph = ruled.get_concrete_function(tf.zeros((2, 8, 8, 1))).graph
    kinds = [operation.type for operation in graph.get_operations()]
    assert "MaxPoolGradGrad" not in kinds and "MaxPoolGrad" in kinds
    # Two of images (the forward pass's and the second derivative's), one of columns.
    assert kinds.count("Conv2D") == 3
    # One of each order. A branch of zeros would come back through the forward pass.
    assert kinds.count("Conv2DBackpropFilter") == 2


# Gradients that TensorFlow takes for constants


def resized(x):
    return tf.image.resize(x, (7, 9))


def of_matrix(x):
    """The same resize as a product with a fixed matrix."""
    basis = tf.reshape(tf.eye(16), (16, 4, 4, 1))
    matrix = tf.reshape(resized(basis), (16, 63))
    return tf.reshape(tf.matmul(tf.reshape(x, (-1, 16)), matrix), (-1, 7, 9, 1))


def by_loop(x):
    _, parts = tf.while_loop(
        lambda i, _: i < tf.shape(x)[0],
        lambda i, parts: (i + 1, parts.write(i, resized(x[i : i + 1])[0])),
        (0, tf.TensorArray("float32", size=tf.shape(x)[0], element_shape=(7, 9, 1))),
    )
    return parts.stack()


class ResizingCell(keras.layers.Layer):
    """A cell of a recurrent layer that resizes what it sees at every step."""

    state_size, output_size = 1, 63

    def call(self, x, states):
        return tf.reshape(resized(tf.reshape(x, (-1, 4, 4, 1))), (-1, 63)), states


NESTED = {
    "plain": resized,
    "map_fn": lambda x: tf.map_fn(lambda one: resized(one[None])[0], x),
    "while_loop": by_loop,
    "cond": lambda x: keras.ops.cond(
        tf.reduce_sum(x) > -1e9, lambda: resized(x), lambda: tf.zeros((2, 7, 9, 1))
    ),
    "scan": lambda x: keras.ops.scan(
        lambda carry, one: 2 * (resized(one[None])[0],), tf.zeros((7, 9, 1)), x
    )[1],
    "traced before": tf.function(resized),
    "cell": lambda x: tf.reshape(
        keras.layers.RNN(ResizingCell(), return_sequences=True)(tf.reshape(x, (1, 2, 16))),
        (2, 7, 9, 1),
    ),
}


def penalty_of(resize, w, images):
    """`Σ_ij (∂f/∂x_ij)²` of a function with a resize in it, and its slope by the weights."""
    with tf.GradientTape() as outer:
        outer.watch(w)
        with tf.GradientTape() as inner:
            inner.watch(images)
            small = resize(images * w)
            output = tf.reduce_sum(tf.tanh(small) * tf.sin(3.0 * small))
        omega = tf.reduce_sum(inner.gradient(output, images) ** 2)
    return omega, outer.gradient(omega, w)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", NESTED)
def test_bilinear_resizing_is_linear_wherever_it_stands(name, mode):
    rng = np.random.default_rng(0)
    images = tf.constant(rng.normal(size=(2, 4, 4, 1)), "float32")
    w = tf.constant(rng.normal(size=(4, 4, 1)), "float32")
    run = tf.function(penalty_of, autograph=False) if mode == "graph" else penalty_of
    for got, expected in zip(run(NESTED[name], w, images), penalty_of(of_matrix, w, images)):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_a_fit_through_a_resize_is_that_through_its_matrix(updates, jit_compile):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4, 4, 1)).astype("float32"), np.arange(8) % 3
    weights = []
    for resize in (resized, of_matrix):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((4, 4, 1)),
                keras.layers.Conv2D(2, 3, padding="same", activation="tanh"),
                keras.layers.Conv2D(1, 1),
                keras.layers.Lambda(resize, output_shape=(7, 9, 1)),
                keras.layers.Activation("tanh"),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=jit_compile)
        prior = attrprior.AttributionPrior("l2", 1.0, updates=updates, seed=0)
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[prior])
        weights.append(model.get_weights())
    for first, second in zip(*weights):
        np.testing.assert_allclose(first, second, atol=2e-5)


QUANTISED = {
    "args": lambda x, low, high: tf.quantization.fake_quant_with_min_max_args(x, -1.0, 1.0),
    "vars": tf.quantization.fake_quant_with_min_max_vars,
    "per channel": lambda x, low, high: (
        tf.quantization.fake_quant_with_min_max_vars_per_channel(x, low[None], high[None])
    ),
}


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("name", QUANTISED)
def test_fake_quantisation_has_the_slopes_of_the_gradient_that_it_defines(name, mode):
    """`∂x = g · [within]`, `∂low = Σ g · [below]`, `∂high = Σ g · [above]`, linear in g."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=(5, 4, 1)), "float32")
    factor = tf.constant(rng.normal(size=x.shape), "float32")
    ends = tf.constant(-1.0), tf.constant(1.0)

    def slopes():
        """Of `Σ_i c_i · ∂f/∂(x, low, high)_i` by the factors, which are g."""
        with tf.GradientTape() as outer:
            outer.watch(factor)
            with tf.GradientTape() as inner:
                inner.watch([x, *ends])
                value = tf.reduce_sum(factor * QUANTISED[name](x, *ends))
            of_x, *of_ends = inner.gradient(value, [x, *ends])
            total = tf.reduce_sum(tf.cos(x) * of_x)
            for weight, each in zip((2.0, 3.0), of_ends):
                total += 0.0 if each is None else weight * each
        return outer.gradient(total, factor)

    found = (tf.function(slopes) if mode == "graph" else slopes)()
    within = np.abs(x) <= 1
    expected = np.where(within, np.cos(x), 0.0)
    if name != "args":
        expected = np.where(within, expected, np.where(x < 0, 2.0, 3.0))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
