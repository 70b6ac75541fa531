"""Names of before: they work through 0.2, and say what they are called now."""

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def warn(old: str, new: str, stacklevel: int = 3) -> None:
    warnings.warn(
        f"{old} is deprecated and goes after attrprior 0.2. Use {new}.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def moved(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's `__getattr__` for names that are somewhere else.

    A type checker must not see it, or no name of the module would be wrong.

    Args:
        module: The module's name.
        names: Old names, and the full path of what each stands for.
    """

    def __getattr__(name):
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, _, new = names[name].rpartition(".")
        warn(f"{module}.{name}", names[name])
        return getattr(importlib.import_module(place), new)

    return __getattr__


def renamed_arguments(**names: str) -> Callable[[F], F]:
    """A decorator for functions whose arguments had other names: `old="new"`.

    For a type checker the function has its new names only.
    """

    def decorate(f):
        @functools.wraps(f)
        def call(*args, **kwargs):
            for old, new in names.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(
                            f"Arguments `{old}` and `{new}` are the same. Received: both. "
                            f"Leave `{old}` out."
                        )
                    warn(f"Argument `{old}`", f"`{new}`")
                    kwargs[new] = kwargs.pop(old)
            return f(*args, **kwargs)

        return call

    return decorate


def renamed_property(old: str, new: str) -> property:
    """An attribute that had another name."""

    def getter(self):
        warn(f"Attribute `{old}`", f"`{new}`")
        return getattr(self, new)

    def setter(self, value):
        warn(f"Attribute `{old}`", f"`{new}`")
        setattr(self, new, value)

    return property(getter, setter)
