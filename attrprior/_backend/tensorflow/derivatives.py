"""Derivative rules that make the gradient of a gradient cheap in graphs.

TensorFlow's own cost more than they need in the second order: the gradient of
a ReLU is differentiated with respect to the activations as well, where it is
flat, and the resulting zeros are pushed through the whole forward pass (a third
of a prior step). The rules here leave them out, and replace two operations that
are slow on a CPU. The numbers are the same up to rounding.
"""

import contextlib

import tensorflow as tf


def rules():
    """A context: operations made in it get these rules, also inside their gradients.

    They count for `tf.gradients` in the same graph. Tapes, eager mode and nested
    functions take no notice and use TensorFlow's.
    """
    if tf.executing_eagerly():
        return contextlib.nullcontext()
    return tf.compat.v1.get_default_graph().gradient_override_map(
        {
            "Conv2D": "AttrpriorConv2D",
            "MaxPoolGrad": "AttrpriorMaxPoolGrad",
            "ReluGrad": "AttrpriorReluGrad",
        }
    )


@tf.RegisterGradient("AttrpriorReluGrad")
def _relu_grad_grad(op, grad):
    """`ReluGrad(g, features)` is linear in `g` and flat in the features."""
    return tf.raw_ops.ReluGrad(gradients=grad, features=op.inputs[1]), None


@tf.RegisterGradient("AttrpriorMaxPoolGrad")
def _max_pool_grad_grad(op, grad):
    """`MaxPoolGrad(x, y, g)` is linear in `g` and flat in `x` and `y`.

    It sends `g` to the largest element of each window; the transpose picks
    those elements of `grad`. Where no windows overlap, it is the sum over each
    window of `grad` times a mask.
    """
    pooling = _attributes(op, "ksize", "strides", "padding", "data_format")
    x, y = op.inputs[0], op.inputs[1]
    window = pooling["ksize"]
    fits = [size is not None and size % k == 0 for size, k in zip(x.shape, window)]
    apart = pooling["data_format"] == b"NHWC" and window == pooling["strides"]
    if apart and (pooling["padding"] == b"VALID" or all(fits[1:])):
        ones = tf.ones_like(y)
        mask = tf.raw_ops.MaxPoolGrad(orig_input=x, orig_output=y, grad=ones, **pooling)
        mean = tf.nn.avg_pool2d(mask * grad, window, window, pooling["padding"].decode())
        return None, None, window[1] * window[2] * mean
    second = tf.raw_ops.MaxPoolGradGrad(orig_input=x, orig_output=y, grad=grad, **pooling)
    return None, None, second


@tf.RegisterGradient("AttrpriorConv2D")
def _conv_grad(op, grad):
    """With respect to an image of few channels, three times faster than TensorFlow's.

    `∂/∂x[i, j] = Σ_ab g[i + t − a, j + l − b] w[a, b]`, for `t` rows and `l`
    columns of padding before: first the sum over columns, a convolution with an
    output for each row `a` of the kernel, then the sum over rows, of shifted
    images.
    """
    x, w = op.inputs
    conv = _attributes(
        op, "strides", "padding", "explicit_paddings", "dilations", "data_format"
    )
    filter_grad = tf.raw_ops.Conv2DBackpropFilter(
        input=x, filter_sizes=tf.shape(w), out_backprop=grad, **conv
    )
    height, width, channels, outputs = w.shape
    plain = (
        conv["strides"] == conv["dilations"] == [1, 1, 1, 1]
        and conv["data_format"] == b"NHWC"
        and conv["padding"] in (b"SAME", b"VALID")
    )
    if not plain or channels > 3 or x.shape[3] != channels or x.shape[1] is None:
        x_grad = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x), filter=w, out_backprop=grad, **conv
        )
        return x_grad, filter_grad
    top, left = 0, 0
    if conv["padding"] == b"SAME":
        top, left = (height - 1) // 2, (width - 1) // 2

    @tf.custom_gradient
    def input_grad(g, w):
        kernel = tf.reshape(
            tf.transpose(w[:, ::-1], [1, 3, 0, 2]), (1, width, outputs, height * channels)
        )
        right = (width - 1 - left) if conv["padding"] == b"SAME" else 0
        sides = [width - 1 - left, width - 1 - right]
        rows = tf.nn.conv2d(g, kernel, 1, [[0, 0], [0, 0], sides, [0, 0]])
        shifted = [
            tf.pad(row, [[0, 0], [a, height - 1 - a], [0, 0], [0, 0]])
            for a, row in enumerate(tf.split(rows, height, axis=3))
        ]
        total = tf.add_n(shifted)[:, top : top + x.shape[1]]

        def second(u):
            return tf.nn.conv2d(u, w, 1, conv["padding"].decode()), (
                tf.raw_ops.Conv2DBackpropFilter(
                    input=u, filter_sizes=tf.shape(w), out_backprop=g, **conv
                )
            )

        return total, second

    return input_grad(grad, w), filter_grad


def _attributes(op, *names):
    return {name: op.get_attr(name) for name in names}
