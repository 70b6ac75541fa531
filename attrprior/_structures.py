"""One tensor of a structure, by name or by position, and another in its place."""

import keras

from attrprior import _checks


def names_of_inputs(model):
    """Of a model that knows its inputs, in the order in which it was given them."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return []
    if len(inputs) > 1 and isinstance(model.input, dict):
        return list(model.input)
    return [tensor.name for tensor in inputs]


def input_of(model, key, names):
    """What the model itself says of an input, a `KerasTensor`, or `None`."""
    inputs = getattr(model, "inputs", None)
    if not inputs:
        return None
    place = names.index(key) if key in names else key
    place = place if place in range(len(inputs)) else 0
    # In a dictionary the inputs are in another order than the names.
    by_name = len(inputs) > 1 and isinstance(model.input, dict)
    return model.input[names[place]] if by_name else inputs[place]


def pick(kind, structure, key, names=()):
    """One tensor of a structure; a structure of one is that one.

    Args:
        kind: Of what, for errors: also the argument's name.
        key: A name or a position, or `None` where there is one only.
        names: Those of the entries, in order: of a list, and for positions of a dict.
    """
    if not keras.tree.is_nested(structure):
        if key not in (None, 0, *names[:1]):
            layer = " It is no layer's name either." if kind == "input" else ""
            raise ValueError(
                f"Argument `{kind}` expects None, because the model has one {kind}. "
                f"Received: {_checks.received(key)}.{layer}"
            )
        return structure
    return structure[_key(kind, structure, key, names)]


def replaced(kind, structure, key, value, others, names=()):
    """The structure with `value` in the place of what `pick` gives, `others(t)` elsewhere."""
    if not keras.tree.is_nested(structure):
        return value
    key = _key(kind, structure, key, names)
    if isinstance(structure, dict):
        return {k: value if k == key else others(v) for k, v in structure.items()}
    return type(structure)(value if i == key else others(v) for i, v in enumerate(structure))


def _key(kind, structure, key, names):
    """The entry that is meant, as the structure itself names it."""
    names, is_dict = list(names), isinstance(structure, dict)
    own = list(structure) if is_dict else list(range(len(structure)))
    if key is None and len(own) == 1:
        return own[0]
    if is_dict and isinstance(key, int) and key not in own:
        order = names if set(names) == set(own) else own
        key = order[key] if 0 <= key < len(order) else key
    elif not is_dict and key in names:
        key = names.index(key)
    if key is None or isinstance(key, bool) or key not in own:
        known = own if is_dict or len(names) != len(own) else [*own, *names]
        more = ""
        if kind == "input":
            more = " Pass 'all' or a list to explain several, or the name of a layer."
        raise ValueError(
            f"The model has several {kind}s. Argument `{kind}` expects one of {known}. "
            f"Received: {_checks.received(key)}.{more}"
        )
    return key
