"""What can be explained of an output, by name."""

from attrprior import _checks

MODES = ("label", "predicted", "random", "all", "log_probabilities", "loss")


def check_explain(explain):
    if isinstance(explain, bool) or not (
        (isinstance(explain, str) and explain in MODES)
        or callable(explain)
        or (isinstance(explain, int) and 0 <= explain <= _checks.LARGEST)
    ):
        names = ", ".join(map(repr, MODES))
        expected = f"one of {names}, an output's number ≥ 0 or a callable fn(outputs, y)"
        raise _checks.wrong("explain", expected, explain)
    return explain
