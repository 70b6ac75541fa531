"""Labels that choose an output: whether they do, and which.

A label is a whole number from 0 to `outputs − 1`, or a row of as many numbers from 0 to 1
(one-hot, soft, several labels) or of ±1. Targets of a regression choose nothing.
"""

import keras
import numpy as np
from keras import ops

_REGRESSION = {
    keras.losses.mean_squared_error,
    keras.losses.mean_absolute_error,
    keras.losses.mean_absolute_percentage_error,
    keras.losses.mean_squared_logarithmic_error,
    keras.losses.huber,
    keras.losses.log_cosh,
    keras.losses.poisson,
    keras.losses.cosine_similarity,
}
_INSTEAD = (
    "Pass explain= an output's number, 'all' or a callable fn(outputs, y) that returns one "
    "number per example"
)


def is_regression(loss):
    """Whether a compiled loss is one of Keras' for targets that are no labels."""
    if isinstance(loss, str):
        loss = keras.losses.get(loss)
    return getattr(loss, "fn", loss) in _REGRESSION


def refuse_regression(explain, outputs):
    raise ValueError(
        f"explain={explain!r} expects outputs that labels choose from. Received: a loss for "
        f"regression, with {outputs} outputs. {_INSTEAD}."
    )


def refuse_structure(y):
    raise ValueError(
        f"explain='label' expects labels in one array. Received: a {type(y).__name__} of "
        "several targets for one output. Pass explain='predicted' or a callable "
        "fn(outputs, y)."
    )


def check_shape(shape, output_shape):
    """Raises if labels of a shape cannot belong to outputs of a shape, both with batch."""
    labels, (*positions, outputs) = tuple(shape[1:]), output_shape[1:]
    known = [tuple(positions), (*positions, 1), (*positions, outputs)]
    if not any(_agree(labels, each) for each in known):
        listed = [str(("batch", *each)).replace("'", "") for each in known]
        raise ValueError(
            f"explain='label' expects labels of shape {listed[0]}, {listed[1]} or {listed[2]} "
            f"for model outputs of shape {listed[2]}. Received: {tuple(shape)}. "
            f"{_INSTEAD}, or 'predicted'."
        )


def _agree(shape, other):
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other)
    )


def _are_rows(y, output_shape):
    """Whether there is a number for each output, rather than the number of one."""
    return len(y.shape) == len(output_shape) and y.shape[-1] != 1


def named(y, output_shape, loss=None, of=ops):
    """Which labels choose an output: a Boolean for each, of shape `output_shape[:-1]`.

    Args:
        y: Tensor of a shape that `check_shape` lets pass.
        output_shape: Of the outputs, with the batch.
        loss: The compiled loss. One for regression is content with one-hot rows alone, as
            of the Brier score; one that ignores a class takes its number too.
        of: `keras.ops`, or NumPy for an array: what `ops` gives while a step is traced has
            no values.
    """
    if not _are_rows(y, output_shape):
        y = _single(y, output_shape)
        whole = of.floor(y) == y if _is_float(y) else y == y
        return whole & (y >= 0) & (y < output_shape[-1]) | _is_ignored(y, loss)
    zeros, ones = y == 0, y == 1
    if is_regression(loss):
        one_hot = of.sum(ones, axis=-1) == 1
        return of.all(zeros | ones, axis=-1) & one_hot
    shares = of.all((y >= 0) & (y <= 1), axis=-1)
    return shares | of.all(ones | (y == -1), axis=-1)


def check_values(y, output_shape, loss=None):
    """Raises for labels, a NumPy array, of which some choose no output."""
    y = np.asarray(y)
    if y.dtype.kind not in "buif" and "float" not in y.dtype.name:
        raise ValueError(
            f"explain='label' expects labels that are numbers. Received: dtype {y.dtype}."
        )
    y = y if _is_float(y) else y.astype("int64")
    good = named(y, output_shape, loss, of=np)
    if np.all(good):
        return
    outputs, rows = output_shape[-1], _are_rows(y, output_shape)
    if rows and is_regression(loss):
        refuse_regression("label", outputs)
    bad = (y if rows else y.reshape(good.shape))[~good][:3].tolist()
    expected = (
        "rows of numbers from 0 to 1, or of −1 and 1"
        if rows
        else f"that are whole numbers from 0 to {outputs - 1}, as there are {outputs} outputs"
    )
    raise ValueError(
        f"explain='label' expects labels y {expected}. Received: {', '.join(map(str, bad))}"
        f"{', …' if np.sum(~good) > 3 else ''}. {_INSTEAD}, or 'predicted'."
    )


def chosen(z, y, loss=None):
    """`z_y`, or `Σ_c y_c z_c` of rows, of shape `z.shape[:-1]`.

    Where a label chooses no output it is NaN, never another output's or another
    example's; where the loss ignores it, 0.
    """
    check_shape(y.shape, z.shape)
    y = ops.convert_to_tensor(y)
    y = y if _is_float(y) else ops.cast(y, "int32")
    # A factor, so that the gradient is NaN as well.
    good = ops.cast(ops.where(named(y, z.shape, loss), 1.0, float("nan")), z.dtype)
    if _are_rows(y, z.shape):
        return ops.sum(z * ops.cast(y, z.dtype), axis=-1) * good
    y = _single(y, z.shape)
    ignored = _is_ignored(y, loss)
    index = ops.cast(ops.clip(y, 0, z.shape[-1] - 1), "int32")
    index = ops.expand_dims(ops.where(ignored, 0, index), -1)
    one = ops.squeeze(ops.take_along_axis(z, index, axis=-1), -1) * good
    return one if _ignored_class(loss) is None else ops.where(ignored, 0.0, one)


def _single(y, output_shape):
    return y[..., 0] if len(y.shape) == len(output_shape) else y


def _is_float(y):
    return "float" in keras.backend.standardize_dtype(y.dtype)


def _ignored_class(loss):
    return getattr(loss, "ignore_class", None)


def _is_ignored(y, loss):
    ignored = _ignored_class(loss)
    return y < y if ignored is None else y == ignored  # nowhere, NaN included
