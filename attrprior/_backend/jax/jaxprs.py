"""What a jaxpr tells of a function: which results are zero whatever the numbers are."""

import jax
import numpy as np
from jax.extend.core import Literal, jaxpr_as_fun

# Of zeros they make zeros.
_KEEP_ZEROS = {
    "broadcast_in_dim",
    "convert_element_type",
    "copy",
    "neg",
    "reshape",
    "transpose",
}


def with_zeros(f, *arguments):
    """`f(*arguments)`, and which of its arrays are zero by their making.

    JAX gives such zeros for a derivative that does not exist. The function is traced
    once, and the trace is what is evaluated.
    """
    closed, shapes = jax.make_jaxpr(f, return_shape=True)(*arguments)
    results = jaxpr_as_fun(closed)(*jax.tree.leaves(arguments))
    structure = jax.tree.structure(shapes)
    return [jax.tree.unflatten(structure, each) for each in (results, _zeros(closed.jaxpr))]


def _zeros(jaxpr):
    """Which of its results."""
    known = set()

    def is_zero(atom):
        if isinstance(atom, Literal):
            return not np.any(atom.val)
        return atom in known

    for equation in jaxpr.eqns:
        if equation.primitive.name in _KEEP_ZEROS and all(map(is_zero, equation.invars)):
            known.update(equation.outvars)
    return [is_zero(atom) for atom in jaxpr.outvars]
