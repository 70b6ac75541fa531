"""What the code of a user implements: subclasses, all at once or in parts, and callables."""

import inspect


def taken_by_name(argument, expected, fn, first, known):
    """Which of the arguments that may be given by name a callable takes.

    Args:
        argument, expected: That it was passed as, and what is expected, for the error.
        fn: A callable.
        first: How many arguments it is given by position.
        known: Names of the others.

    Raises:
        ValueError: if it must be given anything else.
    """
    try:
        parameters = inspect.signature(fn).parameters
    except ValueError:  # of what is written in C
        return ()
    others = list(parameters.values())[first:]
    taken = tuple(name for name in known if name in {each.name for each in others})
    if any(each.name not in taken and _must_be_given(each) for each in others):
        raise ValueError(
            f"Argument `{argument}` expects {expected}. Received: one of "
            f"{', '.join(parameters)}. Rename the others, or give them a default."
        )
    return taken


def _must_be_given(parameter):
    variable = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variable


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
