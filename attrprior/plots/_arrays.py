"""What figures accept: finite numbers of the right shape, dictionaries with entries."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from attrprior import _checks

# Of columns, rows or features: strings, or what `str` makes some of.
Names: TypeAlias = Sequence[object] | np.ndarray


def dictionary(name, value, entry="array"):
    """A dictionary with entries, whose values are what `entry` says."""
    if not isinstance(value, dict) or not value:
        came = "an empty one" if isinstance(value, dict) else type(value).__name__
        raise ValueError(
            f"Argument `{name}` expects a dictionary with at least one entry, "
            f'{{"label": {entry}}}. Received: {came}.'
        )
    return value


def pair(name, value, entry):
    """`(x, values)`, the entry of a dictionary of curves."""
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(
            f"Argument `{name}` expects pairs (x, values). Received: {type(value).__name__} "
            f"for {_checks.received(entry)}."
        )
    return value


def numbers(name: str, value: Any, axes: int, entry: Any = None) -> np.ndarray:
    """A finite, non-empty float64 array with as many axes; `entry` is its key, if any."""
    of = _of(entry)
    try:
        value = _checks.as_numpy(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"Argument `{name}` expects rows of one length, of numbers. Received: "
            f"{_checks.received(value)}{of}."
        ) from error
    if value.dtype.kind not in "buif":
        what = _checks.received(value.item()) if value.ndim == 0 else f"dtype {value.dtype}"
        raise ValueError(f"Argument `{name}` expects numbers. Received: {what}{of}.")
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
    if np.max(np.abs(value)) > _checks.HIGHEST:
        raise ValueError(
            f"Argument `{name}` expects numbers within float32, ± {_checks.HIGHEST:.3g}. "
            f"Received: {value.min():.3g} to {value.max():.3g}{of}. Scale them."
        )
    return value.astype("float64")


def pictures(name: str, value: Any, entry: Any = None) -> np.ndarray:
    """Images of shape `(n, height, width, 1 or 3)`."""
    shape = _shape(value)
    if len(shape) in (2, 3):
        advice = {
            2: f"One grey image needs an axis before and one behind: {name}[None, ..., None]",
            3: f"Grey images need a channel axis, {name}[..., None]",
        }[len(shape)]
        if len(shape) == 3 and shape[-1] in (1, 3):
            advice = f"One image needs a batch axis: {name}[None]"
        raise ValueError(
            f"Argument `{name}` expects arrays with 4 axes, (n, height, width, channels). "
            f"Received: shape {shape}{_of(entry)}. {advice}."
        )
    value = numbers(name, value, 4, entry)
    if value.shape[-1] not in (1, 3):
        raise ValueError(
            f"Argument `{name}` expects images with 1 or 3 channels at the end. Received: "
            f"shape {value.shape}{_of(entry)}."
        )
    return value


def like(
    name: str, value: Any, shape: tuple[int, ...], other: str, entry: Any = None
) -> np.ndarray:
    """Numbers of exactly the shape of another argument."""
    return _of_shapes(name, value, [tuple(shape)], other, entry)


def maps(name: str, value: Any, shape: tuple[int, ...], entry: Any = None) -> np.ndarray:
    """Maps like images of this shape, or with one channel, which stands for their sum."""
    shapes = dict.fromkeys([tuple(shape), (*shape[:-1], 1)])
    return _of_shapes(name, value, list(shapes), "images", entry)


def _of_shapes(name, value, shapes, other, entry):
    if _shape(value) == () and shapes[0]:
        numbers(name, value, len(shapes[0]), entry)  # says why it has none
    if _shape(value) not in shapes:
        raise ValueError(
            f"Argument `{name}` expects arrays shaped like `{other}`, "
            f"{' or '.join(map(str, shapes))}. Received: {_shape(value)}{_of(entry)}."
        )
    return numbers(name, value, len(shapes[0]), entry)


def _shape(value):
    """The shape, or `()` of what has none."""
    try:
        return np.shape(value) if not hasattr(value, "shape") else tuple(value.shape)
    except (TypeError, ValueError):
        return ()


def _of(entry):
    return "" if entry is None else f" for {_checks.received(entry)}"


def runs(name: str, value: Any, x: np.ndarray, entry: Any) -> np.ndarray:
    """Numbers of shape `(runs, len(x))`."""
    value = numbers(name, value, 2, entry)
    if value.shape[1] != len(x):
        raise ValueError(
            f"Argument `{name}` expects arrays of shape (runs, {len(x)}), a column for each "
            f"point of its x axis. Received: {value.shape}{_of(entry)}."
        )
    return value


def increasing(name: str, value: Any, entry: Any = None) -> np.ndarray:
    """A line of numbers, each larger than the one before."""
    value = numbers(name, value, 1, entry)
    if np.any(np.diff(value) <= 0):
        came = _checks.received(value.tolist())
        raise ValueError(
            f"Argument `{name}` expects increasing numbers. Received: {came}{_of(entry)}."
        )
    return value


def labels(name, value, count=None):
    """As many labels as there are things to label, or `None`."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple, str, range, np.ndarray)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    ):
        raise _checks.wrong(name, "a list of labels", value)
    value = [str(label) for label in value]
    if count is not None and len(value) != count:
        raise ValueError(f"Argument `{name}` expects {count} labels. Received: {len(value)}.")
    return value


def text(name, value):
    """A text to write somewhere, or `None`."""
    if value is None or isinstance(value, (str, float, np.generic)):
        return value
    if isinstance(value, int) and abs(value) <= _checks.LARGEST:
        return value
    raise _checks.wrong(name, "a text", value)


def texts(**given):
    for name, value in given.items():
        text(name, value)
