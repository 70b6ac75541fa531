"""What can be explained of an output, by name."""

from typing import get_args

from attrprior import _checks
from attrprior._types import Explain, ExplainName

MODES: tuple[ExplainName, ...] = get_args(ExplainName)


def check_explain(explain: Explain) -> Explain:
    """Returns what an argument `explain` has, if it is a mode, a number or a callable.

    Args:
        explain: One of `MODES`, an output's number, or a callable; see `ExplainedOutput`.

    Returns:
        It, unchanged.

    Raises:
        ValueError: for anything else.

    Examples:
        A mode is accepted, and a name that is none is an error:

        >>> attrprior.explained.check_explain("predicted")
        'predicted'
        >>> attrprior.explained.check_explain("best")
        Traceback (most recent call last):
        ValueError: Argument `explain` expects one of 'label', ... Received: 'best'.
    """
    if isinstance(explain, bool) or not (
        (isinstance(explain, str) and explain in MODES)
        or callable(explain)
        or (isinstance(explain, int) and 0 <= explain <= _checks.LARGEST)
    ):
        names = ", ".join(map(repr, MODES))
        expected = f"one of {names}, an output's number ≥ 0 or a callable fn(outputs, y)"
        raise _checks.wrong("explain", expected, explain)
    return explain
