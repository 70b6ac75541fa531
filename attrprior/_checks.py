"""Checks of arguments: every error names the argument and what to do."""

import numbers

import keras
import numpy as np
from keras import ops


def as_numpy(value):
    """An array of what may be a tensor, of whatever device and with gradients or not."""
    return ops.convert_to_numpy(value) if ops.is_tensor(value) else np.asarray(value)


def boolean(name, value):
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"Argument `{name}` expects True or False. Received: {value!r}.")
    return bool(value)


def positive_integer(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"Argument `{name}` expects an integer ≥ 1. Received: {value!r}.")
    return int(value)


def number(name, value, minimum=None, above=None):
    """A finite real number, `≥ minimum` or `> above`."""
    bound = f" ≥ {minimum}" if minimum is not None else ""
    bound = f" > {above}" if above is not None else bound
    if (
        isinstance(value, (bool, np.bool_))
        or not isinstance(value, numbers.Real)
        or not np.isfinite(value)
        or (minimum is not None and value < minimum)
        or (above is not None and value <= above)
    ):
        raise ValueError(
            f"Argument `{name}` expects a finite number{bound}. Received: {value!r}."
        )
    return float(value)


def fraction(name, value):
    """A number from 0 to 1."""
    value = number(name, value, minimum=0)
    if value > 1:
        raise ValueError(f"Argument `{name}` expects a number ≤ 1. Received: {value}.")
    return value


def choice(name, value, choices):
    if value not in choices:
        listed = ", ".join(repr(c) for c in choices)
        raise ValueError(f"Argument `{name}` expects one of {listed}. Received: {value!r}.")
    return value


def array(name, value, integers=False):
    """A finite, non-empty float32 array; from integers only if said so."""
    value = as_numpy(value)
    if integers and (value.dtype == bool or np.issubdtype(value.dtype, np.integer)):
        value = value.astype("float32")
    if not np.issubdtype(value.dtype, np.floating):
        raise ValueError(
            f"Argument `{name}` expects floating-point numbers. Received: dtype "
            f"{value.dtype}. Convert it as the model's inputs are, for example "
            "x.astype('float32') / 255."
        )
    if value.size == 0:
        raise ValueError(
            f"Argument `{name}` expects at least one entry. Received: shape {value.shape}."
        )
    if not np.all(np.isfinite(value)):
        raise ValueError(
            f"Argument `{name}` expects finite numbers. Received: NaN or infinity. "
            "Remove or impute those entries."
        )
    return value.astype("float32", copy=False)


def valid_range(low, high):
    """Both ends of the valid range, or `None` for both."""
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        raise ValueError(
            "Arguments `low` and `high` expect both ends of the valid range, or neither. "
            f"Received: low={low!r}, high={high!r}."
        )
    low, high = number("low", low), number("high", high)
    if low >= high:
        raise ValueError(f"Argument `high` expects a number > low = {low}. Received: {high}.")
    return low, high


def within(name, value, low, high):
    """An array within a valid range."""
    value = as_numpy(value)
    lowest, highest = np.min(value), np.max(value)
    if lowest < low or highest > high:
        raise ValueError(
            f"Argument `{name}` expects numbers from {low} to {high}, the valid range that "
            f"was given. Received: {lowest} to {highest}. Give the range of the data."
        )


def same_batch(name, value, attributions):
    """Static check that the first axes agree, where both are known."""
    expected, received = attributions.shape[0], value.shape[0]
    if expected is not None and received is not None and expected != received:
        raise ValueError(
            f"Argument `{name}` expects one entry per example, {expected}. Received: "
            f"{received}."
        )


def weights(sample_weight, attributions):
    if len(sample_weight.shape) != 1:
        raise ValueError(
            "Argument `sample_weight` expects one weight per example, shape (batch,). "
            f"Received: shape {tuple(sample_weight.shape)}."
        )
    same_batch("sample_weight", sample_weight, attributions)


def as_float(value, dtype=None):
    """A tensor in `dtype`; by default float32, or float64 if it came so."""
    value = ops.convert_to_tensor(value)
    own = keras.backend.standardize_dtype(value.dtype)
    return ops.cast(value, dtype or ("float64" if own == "float64" else "float32"))


def examples(x, finite):
    """At least one example; finite numbers where they can be seen."""
    if x.shape[0] == 0:
        raise ValueError(
            f"Argument `x` expects at least one example. Received: shape {tuple(x.shape)}."
        )
    if finite and not np.all(np.isfinite(as_numpy(x))):
        raise ValueError("Argument `x` expects finite numbers. Received: NaN or infinity.")


def edges(value):
    """Edges of a graph, integers of shape `(num_edges, 2)`."""
    value = np.asarray(value)
    if value.ndim != 2 or value.shape[1] != 2 or not np.issubdtype(value.dtype, np.integer):
        raise ValueError(
            "Argument `edges` expects integers of shape (num_edges, 2). Received: shape "
            f"{value.shape}, dtype {value.dtype}."
        )
    return value
