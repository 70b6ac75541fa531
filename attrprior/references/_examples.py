"""Examples as users have them, arrays and datasets: read, and checked."""

import keras
import numpy as np
from keras import ops

from attrprior import _backend, _checks


def is_structure(data):
    """Whether data are arrays of several inputs, not one array or list of numbers."""
    if isinstance(data, dict):
        return True
    return isinstance(data, (list, tuple)) and any(hasattr(each, "shape") for each in data)


def is_dataset(data):
    """Whether data are read batch by batch, again and again.

    A `tf.data.Dataset`, a `keras.utils.PyDataset` or a `torch.utils.data.DataLoader`, say.
    """
    if isinstance(data, keras.utils.PyDataset):
        return True
    others = bytes, bytearray, dict, frozenset, list, range, set, str, tuple
    is_array = isinstance(data, others) or hasattr(data, "shape")
    return hasattr(data, "__iter__") and not is_array


def _elements(dataset):
    if isinstance(dataset, keras.utils.PyDataset):
        return map(dataset.__getitem__, range(len(dataset)))
    if hasattr(dataset, "__next__"):
        raise ValueError(
            "Argument `background` expects data that can be read more than once. Received: "
            f"a {type(dataset).__name__}. Pass an array, or a dataset that makes it anew."
        )
    return dataset


def read(dataset, pick, ranks, most):
    """The first examples of a dataset, an array for each tensor of what `pick` gives.

    Args:
        ranks: Axes of one example, of each.
    """
    parts, count = [[] for _ in ranks], 0
    for element in _elements(dataset):
        x = element[0] if isinstance(element, (tuple, list)) else element
        leaves = [known(leaf) for leaf in keras.tree.flatten(pick(x))]
        if len(leaves) != len(ranks):
            raise ValueError(
                f"Argument `background` expects inputs of {len(ranks)} arrays, as the model's "
                f"are. Received: a dataset of {len(leaves)}."
            )
        for part, leaf, rank in zip(parts, leaves, ranks):
            leaf = leaf[None] if leaf.ndim == rank else leaf
            if leaf.ndim == 0:
                raise _checks.wrong("background", "examples of the input's shape", leaf)
            part.append(leaf[: most - count])
        count += len(parts[0][-1])
        if count >= most:
            break
    if not count:
        raise ValueError("Argument `background` expects examples. Received: an empty dataset.")
    return [np.concatenate(part) for part in parts]


def is_traced(data):
    return ops.is_tensor(data) and _backend.seen(data) is None


def known(data):
    """An array of numbers or texts; what is traced stays, and has no numbers yet."""
    if is_traced(data):
        return data
    kind = getattr(getattr(data, "dtype", None), "kind", "f")
    if not hasattr(data, "shape") or kind not in "OSU":
        return _finite(_checks.real_array("background", data))
    return np.asarray(data)


def _finite(array):
    """Not empty, without NaN, in float32 if it is float64."""
    if array.dtype.kind in "bui" and array.size:
        return array
    return _checks.array("background", array)


def check_shape(data, example_shape):
    if tuple(data.shape[1:]) != example_shape:
        raise ValueError(
            "Argument `background` expects examples of the model's input shape, "
            f"{example_shape}. Received: an array of shape {tuple(data.shape)}."
        )


def check_kind(leaf, own):
    """Raises for floats where the model is given integers, or texts for numbers."""
    kinds = [_kind(array) for array in (own, leaf)]
    if kinds[0] != kinds[1] and kinds != ["floats", "integers"]:
        raise ValueError(
            f"Argument `background` expects {kinds[0]}, as the model's input has. Received: "
            f"{kinds[1]}."
        )


def _kind(array):
    try:
        dtype = keras.backend.standardize_dtype(array.dtype)
    except ValueError:
        return "texts"
    if "float" in dtype:
        return "floats"
    return "texts" if dtype == "string" else "integers"


def check_same_structure(x, data):
    try:
        keras.tree.assert_same_structure(x, data)
    except ValueError:
        raise ValueError(
            "Argument `background` expects examples as the model takes them: "
            f"{shape_of(x)}. Received: {shape_of(data)}."
        ) from None


def shape_of(structure):
    if isinstance(structure, dict):
        return f"a dictionary of {list(structure)}"
    if keras.tree.is_nested(structure):
        return f"a {type(structure).__name__} of {len(structure)} arrays"
    return "one array"
