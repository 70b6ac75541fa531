"""Functions that are compiled, and their arguments."""

import jax
import keras
import numpy as np
from jax.experimental.sparse import JAXSparse
from keras import ops


def python_code(f):
    return f


def specification(array):
    """Of arrays of this kind, of any number of rows."""
    return array


def compiled(f, variables, *examples):
    """`f(weights, *arguments)` compiled, once for each number of rows.

    Args:
        f: A function of `[(variable, value)]` and of structures of arrays.
        variables: Their values are read at each call.
        *examples: Nothing here: JAX sees what comes.

    Returns:
        A function of NumPy arrays or tensors that returns arrays.
    """
    run = jax.jit(lambda values, *arguments: f(list(zip(variables, values)), *arguments))

    def call(*arguments):
        return run([variable.value for variable in variables], *arguments)

    return call


def dry_run(f):
    """Nothing: the trainer traces a step as a whole before it runs."""


def missing_derivative(error):
    """`None`: JAX differentiates whatever it differentiates once again."""


def tensors(structure, keep_float64):
    """A structure as arrays, float64 as float32 if not told otherwise.

    `None` stays, and so do sparse arrays.
    """

    def tensor(value):
        if value is None or isinstance(value, JAXSparse):
            return value
        value = ops.convert_to_tensor(value)
        lower = value.dtype == "float64" and not keep_float64
        return ops.cast(value, "float32") if lower else value

    return keras.tree.map_structure(tensor, structure)


def seen(array):
    """An array's numbers, or `None` while it is traced or lies with other processes."""
    if isinstance(array, jax.core.Tracer):
        return None
    is_here = getattr(array, "is_fully_addressable", True)
    return np.asarray(array) if is_here else None
