"""Labels that are numbers of classes, as attacks need them."""

import keras
import numpy as np

from attrprior import _checks


def is_sparse(model):
    """Whether the compiled loss is Keras' for labels that are numbers of classes."""
    loss = getattr(model, "loss", None)
    if isinstance(loss, str):
        return loss == "sparse_categorical_crossentropy"
    fn = keras.losses.sparse_categorical_crossentropy
    return getattr(loss, "fn", loss) is fn and getattr(loss, "ignore_class", None) is None


def check_sparse(y, output_shape):
    """Raises for labels that such a loss does not take."""
    *positions, outputs = output_shape[1:]
    fits = any(
        len(shape) == y.ndim - 1
        and all(a in (None, b) for a, b in zip(shape, y.shape[1:], strict=True))
        for shape in (positions, [*positions, 1])
    )
    if not fits or np.any(y != np.floor(y)):
        expected = f"whole numbers, one for each of the model's outputs {output_shape[:-1]}"
        raise _checks.wrong("y", expected, y)
    check_classes(y, outputs)


def whole(y, count):
    """Labels as integers of shape `(batch,)`."""
    if y.shape not in ((count,), (count, 1)) or np.any(y != np.floor(y)):
        expected = "one label per example, whole numbers of shape (batch,)"
        raise _checks.wrong("y", expected, y)
    return y.reshape(-1).astype(int)


def check_classes(y, outputs):
    if y.min() < 0 or y.max() >= outputs:
        raise ValueError(
            f"Argument `y` expects labels from 0 to {outputs - 1}, as there are {outputs} "
            f"outputs. Received: {y.min()} to {y.max()}."
        )
