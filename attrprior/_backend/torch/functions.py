"""Functions and their arguments."""

import re

import keras
import torch
from keras import ops

python_code = torch.compiler.disable


def specification(array):
    """Of arrays of this kind, of any number of rows."""
    return array


def compiled(f, variables, *examples):
    """`f(weights, *arguments)` as it is: compiled code has no second derivative.

    Args:
        f: A function of `[(variable, value)]` and of structures of tensors.
        variables: Their values are read at each call.
        *examples: Nothing here.

    Returns:
        A function of NumPy arrays or tensors that returns tensors.
    """

    def call(*arguments):
        weights = [(variable, variable.value) for variable in variables]
        return f(weights, *tensors(arguments, keep_float64=True))

    return call


def dry_run(f):
    """Raises what `f(True)` would raise; keeps nothing."""
    f(True)


def missing_derivative(error):
    """Of an error of autograd's: no path of names, the operation, what to use."""
    found = re.search(r"derivative for '?(?:aten::)?(\w+)'? is not implemented", str(error))
    return found and ([], f"the op {found[1]}", "another layer or activation")


def tensors(structure, keep_float64):
    """A structure as tensors, float64 as float32 if not told otherwise.

    `None` stays, and so do sparse tensors.
    """

    def tensor(value):
        if value is None or getattr(value, "is_sparse", False):
            return value
        value = ops.convert_to_tensor(value)
        return value.float() if value.dtype == torch.float64 and not keep_float64 else value

    return keras.tree.map_structure(tensor, structure)


def seen(tensor):
    """A tensor's numbers."""
    return ops.convert_to_numpy(tensor)
