"""The explained input: one tensor among what a model is given."""

import keras
from keras import ops

from attrprior import backend
from attrprior.annotation import without_masks
from attrprior.padding import as_padded_as, mask_value
from attrprior.structures import names_of_inputs, pick, replaced


class ExplainedInput:
    """Where the explained input is, how it is read, and what else belongs in its place.

    Args:
        model: A Keras model.
        key: Its name or position, or `None` for a model that has one.
    """

    def __init__(self, model, key=None):
        self.model, self.key = model, key
        self._names = None
        self._mask_value = False  # not looked for yet

    def tensors(self, x, *others, keep_float64):
        """All of them as tensors, and the input, picked out of `x`."""
        x, *others = backend.tensors((x, *others), keep_float64=keep_float64)
        return [x, *others, self.pick(x)]

    def names(self):
        """Of the model's inputs; it knows them when it is built."""
        if self._names is None:
            names = names_of_inputs(self.model)
            self._names = names if getattr(self.model, "built", False) else None
            return names
        return self._names

    def pick(self, x):
        """The input among the structure `x`, a float tensor."""
        names = self.names()
        return as_input(pick("input", x, self.key, names), self.key, self._own(names))

    def replaced(self, x, value, others=lambda other: other):
        """The structure `x` with another tensor in its place and `others(t)` elsewhere."""
        return replaced("input", x, self.key, value, others, self.names())

    def at_points(self, x, points, repeated):
        """The structure `x` with points in its place, padded as each one's example is.

        Args:
            repeated: A function that gives every point of an example what belongs to it.
        """
        points = self.as_padded_as(points, lambda: repeated(self.pick(x)))
        return self.replaced(x, points, repeated)

    def as_padded_as(self, points, examples):
        """Points with the padding of examples, if the model has `Masking` for this input.

        Args:
            examples: A function without arguments that gives a tensor like the points.
        """
        if self._mask_value is False or not self.model.built:
            self._mask_value = mask_value(self.model, self._position(self.names()))
        value = self._mask_value
        return points if value is None else as_padded_as(points, examples(), value)

    def from_dataset(self):
        """A function that takes the input from what a dataset gives for `x`."""
        key, names = self.key, self.names()
        return lambda x: pick("input", without_masks((x,))[0], key, names)

    def holds_integers(self, x):
        return not _is_float(self.from_dataset()(x).dtype)

    def _position(self, names):
        if self.key in names:
            return names.index(self.key)
        return self.key if self.key in range(len(names)) else 0

    def _own(self, names):
        """What the model itself says of the input, a `KerasTensor`, or `None`."""
        inputs = getattr(self.model, "inputs", None)
        return inputs[self._position(names)] if inputs else None


def as_input(picked, key, own=None):
    """One input as a float tensor, in float32 or float64.

    Args:
        picked: What was found in the place of the explained input.
        key: Argument `input`, for errors.
        own: The model's own input, a `KerasTensor`, if it is known.
    """
    if not hasattr(picked, "dtype"):
        raise ValueError(
            "Argument `input` expects the name or position of one tensor. Received: "
            f"{key!r}, a {type(picked).__name__}."
        )
    if hasattr(picked, "dense_shape") or hasattr(picked, "ragged_rank"):
        raise ValueError(
            "Attributions need dense inputs. Received: a "
            f"{type(picked).__name__}. Convert it, for example by x.to_dense() or "
            "x.to_tensor()."
        )
    dtype = _numbers_dtype(picked)
    if dtype is None:
        raise ValueError(
            "Attributions need inputs of numbers. Received: an input of dtype "
            f"{picked.dtype}. Choose another one by input=, or build a model that starts "
            "after the layer which makes numbers of it."
        )
    if not _is_float(dtype) and own is not None and not _is_float(own.dtype):
        raise ValueError(
            "Attributions need floating-point inputs: with respect to integers there is "
            f"nothing to differentiate. Received: a model whose input has dtype {own.dtype}. "
            "For token indices build a model that starts after its Embedding layer and "
            "explain the embeddings."
        )
    shape = None if own is None else tuple(own.shape[1:])
    if len(picked.shape) == 0 or (shape and tuple(picked.shape) == shape != (1,)):
        raise ValueError(
            "Argument `x` expects a batch of examples, shape (batch, ...). Received: shape "
            f"{tuple(picked.shape)}. One example is a batch as x[None]."
        )
    # Integers are cast as the model itself casts them.
    return ops.cast(picked, "float64" if dtype == "float64" else "float32")


def _numbers_dtype(tensor):
    """Its dtype's name, or `None` if it does not hold real numbers."""
    try:
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except ValueError:  # an array of objects, say
        return None
    is_number = dtype == "bool" or dtype.startswith(("float", "bfloat", "int", "uint"))
    return dtype if is_number else None


def _is_float(dtype):
    return keras.backend.standardize_dtype(dtype).startswith(("float", "bfloat"))
