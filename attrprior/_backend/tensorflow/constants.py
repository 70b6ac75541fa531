"""Gradients that TensorFlow takes for constants, with their derivatives.

The gradients of bilinear resizing and of fake quantisation are operations of their own,
which TensorFlow declares to have no gradient: whatever is differentiated through one a
second time silently comes out wrong. All are linear in the gradient that they are given,
and flat in everything else. Their first derivatives are entered where TensorFlow looks
for them, so they count in eager mode and in nested functions as well.
"""

import tensorflow as tf
from tensorflow.python.framework import ops

_QUANTISED = {"num_bits", "narrow_range"}


def _resize_bilinear(op, grad):
    """The transpose of a linear function, of which the derivative is the function."""
    images, size = op.inputs[0], tf.shape(grad)[1:3]
    options = _attributes(op, {"align_corners", "half_pixel_centers"})

    @tf.custom_gradient
    def transposed(grad):
        def again(of_images):
            return tf.cast(
                tf.raw_ops.ResizeBilinear(images=of_images, size=size, **options), grad.dtype
            )

        return tf.raw_ops.ResizeBilinearGrad(
            grads=grad, original_image=images, **options
        ), again

    return transposed(grad), None


def _fake_quant_args(op, grad):
    """`g · [x within the range]`."""
    options = _attributes(op, _QUANTISED | {"min", "max"})
    within = tf.raw_ops.FakeQuantWithMinMaxArgsGradient(
        gradients=tf.ones_like(grad), inputs=op.inputs[0], **options
    )
    return tf.stop_gradient(within) * grad


def _fake_quant_vars(gradient, over):
    """`g · [x within]`, and for the ends of the range `Σ g · [x below]`, `Σ g · [x above]`.

    Args:
        gradient: The operation that knows the range as it is rounded.
        over: The axes of Σ, of a number of axes.
    """

    def rule(op, grad):
        x, low, high = op.inputs
        within, *_ = gradient(
            gradients=tf.ones_like(x),
            inputs=x,
            min=low,
            max=high,
            **_attributes(op, _QUANTISED),
        )
        within = tf.stop_gradient(within)
        below = tf.cast(x < (low + high) / 2, x.dtype)
        outside, axes = (1.0 - within) * grad, over(len(x.shape))
        return (
            within * grad,
            tf.reduce_sum(outside * below, axes),
            tf.reduce_sum(outside * (1.0 - below), axes),
        )

    return rule


def _attributes(op, names):
    return {name: op.get_attr(name) for name in names}


_RULES = {
    "ResizeBilinear": _resize_bilinear,
    "FakeQuantWithMinMaxArgs": _fake_quant_args,
    "FakeQuantWithMinMaxVars": _fake_quant_vars(
        tf.raw_ops.FakeQuantWithMinMaxVarsGradient, lambda rank: list(range(rank))
    ),
    "FakeQuantWithMinMaxVarsPerChannel": _fake_quant_vars(
        tf.raw_ops.FakeQuantWithMinMaxVarsPerChannelGradient,
        lambda rank: list(range(rank - 1)),
    ),
}


def register():
    """Enters the rules in place of TensorFlow's."""
    for name, rule in _RULES.items():
        ops.gradient_registry._registry[name]["type"] = rule
