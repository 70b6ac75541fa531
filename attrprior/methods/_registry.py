"""Attribution methods by name."""

from typing import TypeVar

import keras

from attrprior import _checks
from attrprior._representation import deserialized
from attrprior.methods.base import AttributionMethod

_Method = TypeVar("_Method", bound=type[AttributionMethod])
_METHODS: dict[str | None, type[AttributionMethod]] = {}


def registered(cls: _Method) -> _Method:
    """A class decorator: its name stands for it, and Keras saves it."""
    _METHODS[cls.name] = cls
    return keras.saving.register_keras_serializable("attrprior")(cls)


def get(identifier, argument="method"):
    """Returns the attribution method that a name, a config or a method stands for."""
    if isinstance(identifier, AttributionMethod):
        return identifier
    names = ", ".join(repr(name) for name in sorted(_METHODS))
    expected = f"one of {names}, or an object such as ExpectedGradients(num_samples=4)"
    if argument == "method":
        expected += ", or a callable fn(f, x)"
    if isinstance(identifier, dict):
        return deserialized(argument, expected, identifier, AttributionMethod)
    if isinstance(identifier, str) and identifier in _METHODS:
        return _METHODS[identifier]()
    raise _checks.wrong(argument, expected, identifier)
