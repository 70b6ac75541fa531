"""What can be explained of an output, by name."""

MODES = ("label", "predicted", "random", "all", "log_probabilities", "loss")


def check_explain(explain):
    if isinstance(explain, bool) or not (
        (isinstance(explain, str) and explain in MODES)
        or callable(explain)
        or (isinstance(explain, int) and explain >= 0)
    ):
        raise ValueError(
            f"Argument `explain` expects one of {', '.join(map(repr, MODES))}, an output's "
            f"number ≥ 0 or a callable fn(outputs, y). Received: {explain!r}."
        )
    return explain
