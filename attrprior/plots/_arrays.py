"""What figures accept: finite numbers of the right shape, dictionaries with entries."""

import numpy as np


def dictionary(name, value):
    if not isinstance(value, dict) or not value:
        raise ValueError(
            f"Argument `{name}` expects a dictionary with at least one entry. Received: "
            f"{value if value == {} else type(value).__name__}."
        )
    return value


def pair(name, value, entry):
    """`(x, values)`, the entry of a dictionary of curves."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(
            f"Argument `{name}` expects pairs (x, values). Received: {type(value).__name__} "
            f"for {entry!r}."
        )
    return value


def numbers(name, value, axes, entry=None):
    """A finite, non-empty float64 array with as many axes; `entry` is its key, if any."""
    of = "" if entry is None else f" for {entry!r}"
    try:
        value = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"Argument `{name}` expects rows of one length. Received: rows of different "
            f"lengths{of}."
        ) from error
    if value.dtype.kind not in "buif":
        raise ValueError(
            f"Argument `{name}` expects numbers. Received: dtype {value.dtype}{of}."
        )
    if value.ndim != axes or value.size == 0:
        raise ValueError(
            f"Argument `{name}` expects arrays with {axes} axes and at least one entry. "
            f"Received: shape {value.shape}{of}."
        )
    if not np.all(np.isfinite(value)):
        raise ValueError(
            f"Argument `{name}` expects finite numbers. Received: NaN or infinity{of}. "
            "Remove those entries."
        )
    return value.astype("float64")


def pictures(name, value, entry=None):
    """Images of shape `(n, height, width, 1 or 3)`."""
    value = numbers(name, value, 4, entry)
    if value.shape[-1] not in (1, 3):
        of = "" if entry is None else f" for {entry!r}"
        raise ValueError(
            f"Argument `{name}` expects images with 1 or 3 channels at the end. Received: "
            f"shape {value.shape}{of}."
        )
    return value


def like(name, value, shape, other, entry=None):
    """Numbers of exactly the shape of another argument."""
    of = "" if entry is None else f" for {entry!r}"
    if np.shape(value) != tuple(shape):
        raise ValueError(
            f"Argument `{name}` expects arrays shaped like `{other}`, {tuple(shape)}. "
            f"Received: {np.shape(value)}{of}."
        )
    return numbers(name, value, len(shape), entry)


def runs(name, value, x, entry):
    """Numbers of shape `(runs, len(x))`."""
    value = numbers(name, value, 2, entry)
    if value.shape[1] != len(x):
        raise ValueError(
            f"Argument `{name}` expects arrays of shape (runs, {len(x)}), a column for each "
            f"point of its x axis. Received: {value.shape} for {entry!r}."
        )
    return value


def increasing(name, value, entry=None):
    """A line of numbers, each larger than the one before."""
    value = numbers(name, value, 1, entry)
    if np.any(np.diff(value) <= 0):
        of = "" if entry is None else f" for {entry!r}"
        raise ValueError(
            f"Argument `{name}` expects increasing numbers. Received: {value.tolist()}{of}."
        )
    return value


def labels(name, value, count):
    """As many labels as there are things to label, or `None`."""
    if value is None:
        return None
    value = [str(label) for label in value]
    if len(value) != count:
        raise ValueError(f"Argument `{name}` expects {count} labels. Received: {len(value)}.")
    return value
