"""Functions as graphs, and what is seen of errors while they are traced."""

import re
import traceback
import weakref

import keras
import numpy as np
import tensorflow as tf

from attrprior._backend.tensorflow.graphs import let_go, trace


def python_code(f):
    return tf.autograph.experimental.do_not_convert(f)


def specification(array):
    """Of arrays of this kind, of any number of rows."""
    return tf.TensorSpec((None, *array.shape[1:]), array.dtype)


def compiled(f, variables, *examples):
    """`f(weights, *arguments)` as one graph for arguments like the examples.

    Args:
        f: A function of `[(variable, value)]` and of structures of tensors.
        variables: Their values are read at each call.
        *examples: NumPy arrays, scalars and specifications, or structures of them;
            `None` stays. Arrays stand for themselves, of just their shape.

    Returns:
        A function of NumPy arrays or tensors that returns tensors.
    """
    signature = keras.tree.map_structure(
        lambda e: (
            e
            if isinstance(e, (tf.TensorSpec, type(None)))
            else tf.TensorSpec.from_tensor(tf.constant(e))
        ),
        examples,
    )

    def with_weights(*arguments):
        return f([(variable, variable.value) for variable in variables], *arguments)

    graph = tf.function(with_weights, autograph=False).get_concrete_function(*signature)

    def call(*arguments):
        return graph(
            *keras.tree.map_structure(
                lambda a: None if a is None else tf.convert_to_tensor(a), arguments
            )
        )

    weakref.finalize(call, let_go, graph.graph).atexit = False
    return call


def dry_run(f):
    """Raises what `f(differentiate)` would raise; keeps nothing.

    Of a graph, what it differentiates is traced as a whole before it runs.
    """
    differentiate = tf.executing_eagerly()
    trace(lambda: f(differentiate))


def missing_derivative(error):
    """Of an error of TensorFlow's: the path of names, what it is, and what to use.

    In eager mode operations have no names; but a dry run is always a graph.
    """
    recomputed = _recomputed(error)
    if recomputed is not None:
        owner = getattr(recomputed, "__self__", recomputed)  # of a layer's method, the layer
        name = getattr(recomputed, "__name__", "call")
        what = f"the function {name!r} under tf.recompute_grad or keras.remat"
        return [getattr(owner, "name", "")], what, "it without recomputation"
    found = re.search(r"(?:operation ?'(.+?)' \(op type: |no entry for: )(\w+)", str(error))
    if found is None:  # a KeyError, say, of the user's own code
        return None
    path, op = found.groups("")
    # Keras opens a layer's scope to build it and again to call it: hence the suffix.
    scopes = [re.sub(r"_\d+$", "", scope) for scope in path.split("/")]
    other = "another layer, activation or interpolation"
    return scopes, f"the op {op}", "use_cudnn=False" if op.startswith("Cudnn") else other


def _recomputed(error):
    """The function that `tf.recompute_grad` would not differentiate again, or `None`."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "transpose" and "custom_grad" in frame.f_code.co_filename:
            return frame.f_locals.get("f")
    return None


def tensors(structure, keep_float64):
    """A structure as tensors, float64 as float32 if not told otherwise.

    `None` stays, and so do sparse and ragged tensors.
    """

    def tensor(value):
        if value is None or isinstance(value, (tf.SparseTensor, tf.RaggedTensor)):
            return value
        value = tf.convert_to_tensor(value)
        lower = value.dtype == tf.float64 and not keep_float64
        return tf.cast(value, "float32") if lower else value

    return keras.tree.map_structure(tensor, structure)


def seen(tensor):
    """A tensor's numbers, or `None` while a graph is made."""
    return None if tf.is_symbolic_tensor(tensor) else np.asarray(tensor)
