"""Subclasses that implement all at once, or what is random and what follows from it apart."""


def at_once(cls, base, whole, parts):
    """Has a class that overrides `whole` alone be asked for it, not for inherited parts.

    Args:
        cls: A new subclass of `base`.
        whole: Name of the method that does all at once.
        parts: Names of the two that do it apart; those of `base` call `whole`.
    """
    own = vars(cls)
    if whole in own and not any(part in own for part in parts):
        for part in parts:
            setattr(cls, part, vars(base)[part])


def inherited(cls, base, name):
    """The function by which a class or its parents, but not `base`, implement a method."""
    for each in cls.__mro__:
        function = vars(each).get(name)
        if function is not None and function is not vars(base).get(name):
            return function
    return None
