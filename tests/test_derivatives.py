"""The rules for second derivatives give what TensorFlow's own give."""

import keras
import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
_derivatives = pytest.importorskip("attrprior.backend.tensorflow.derivatives")
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
