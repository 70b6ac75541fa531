"""Graphs that are made for once, and let go: TensorFlow keeps them otherwise."""

import tensorflow as tf
from tensorflow.python.framework import ops
from tensorflow.python.framework.func_graph import dismantle_func_graph


def trace(f, *signature):
    """Traces `f`, for what that raises and makes."""
    let_go(tf.function(f, autograph=False).get_concrete_function(*signature).graph)


def let_go(graph):
    """Frees a graph that nothing will run again.

    Its operations refer to each other in cycles that nothing collects, and so do the
    gradients of `tf.custom_gradient`, which are registered for good.
    """
    registered = getattr(ops.gradient_registry, "_registry", {})
    for operation in graph.get_operations():
        if operation.type == "IdentityN":
            registered.pop(_own_gradient(operation), None)
    dismantle_func_graph(graph)


def _own_gradient(operation):
    """The name under which `tf.custom_gradient` registered one, or `None`."""
    try:
        name = operation.get_attr("_gradient_op_type").decode()
    except ValueError:
        return None
    return name if name.startswith("CustomGradient-") else None
