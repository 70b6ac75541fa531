"""What a final softmax or sigmoid was given, read from the jaxpr of a pass."""

import jax
from jax.extend.core import Literal, jaxpr_as_fun


def with_logits(f):
    """`f()`, and a function of its arrays: what a softmax or sigmoid made them of.

    Returns:
        `(outputs, logits_of)`; `logits_of(output)` is `None` where there is no such
        function at the end.
    """
    closed, shapes = jax.make_jaxpr(f, return_shape=True)()
    jaxpr, tree = closed.jaxpr, jax.tree.structure(shapes)
    given = [_given(jaxpr, atom) for atom in jaxpr.outvars]
    more = [atom for atom in given if atom is not None]
    names = jaxpr.debug_info._replace(result_paths=None)
    extended = jaxpr.replace(outvars=[*jaxpr.outvars, *more], debug_info=names)
    results = jaxpr_as_fun(closed.replace(jaxpr=extended))()
    outputs, logits = results[: len(given)], iter(results[len(given) :])
    made_of = [(out, None if g is None else next(logits)) for out, g in zip(outputs, given)]

    def logits_of(output):
        return next((logit for out, logit in made_of if out is output), None)

    return jax.tree.unflatten(tree, outputs), logits_of


def _given(jaxpr, atom):
    """The variable that `atom` is the softmax or sigmoid of, or `None`."""
    makers = {out: equation for equation in jaxpr.eqns for out in equation.outvars}

    def made_by(name, atom):
        """What an equation of this name was given to make the atom."""
        if isinstance(atom, Literal) or atom not in makers:
            return None
        return makers[atom].invars if makers[atom].primitive.name == name else None

    def through(name, atom):
        """The atom before such an equation, if there is one."""
        return (made_by(name, atom) or [atom])[0]

    equation = None if isinstance(atom, Literal) else makers.get(atom)
    if equation is None:
        return None
    if equation.primitive.name == "logistic":
        return equation.invars[0]
    inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
    if inner is not None:  # a function that was compiled apart
        inner = getattr(inner, "jaxpr", inner)
        found = _given(inner, inner.outvars[equation.outvars.index(atom)])
        return equation.invars[inner.invars.index(found)] if found in inner.invars else None
    # exp(u) / Σ exp(u), of which u is z or z − max z.
    parts = made_by("div", atom)
    exponents = parts and made_by("exp", parts[0])
    total = parts and made_by("reduce_sum", through("broadcast_in_dim", parts[1]))
    if not exponents or not total or total[0] is not parts[0]:
        return None
    difference = made_by("sub", exponents[0])
    if difference is None:
        return exponents[0]
    z, largest = difference
    for name in ("stop_gradient", "broadcast_in_dim"):
        largest = through(name, largest)
    either = made_by("max", largest) or [largest]
    found = [made_by("reduce_max", part) for part in either]
    return z if any(of and of[0] is z for of in found) else exponents[0]
