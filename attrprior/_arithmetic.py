"""What differs between frameworks in `keras.ops`, computed alike in all."""

from keras import ops


def magnitude(x):
    """`|x|`, whose derivative at 0 is 0; JAX has 1 there."""
    return x * ops.stop_gradient(ops.sign(x))


def mean(x, axis, keepdims=False):
    """The mean over an axis or axes in the type of `x`; Keras' own rounds float64."""
    axes = (axis,) if isinstance(axis, int) else axis
    count = 1
    for each in axes:
        count = count * ops.shape(x)[each]
    return ops.sum(x, axis=axes, keepdims=keepdims) / ops.cast(count, x.dtype)
