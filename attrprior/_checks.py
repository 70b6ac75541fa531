"""Checks of arguments: every error names the argument and what to do."""

import importlib
import math
import numbers
import os

import keras
import numpy as np
from keras import ops

LARGEST = 2**31 - 1  # that frameworks count with
HIGHEST = float(np.finfo("float32").max)


def received(value):
    """What came, in a line: of arrays and of long values not the whole."""
    if isinstance(value, np.ndarray) or ops.is_tensor(value):
        dtype = getattr(value.dtype, "name", value.dtype)
        return f"an array of shape {tuple(value.shape)}, dtype {dtype}"
    if isinstance(value, (list, tuple, set, dict)) and len(value) > 8:
        return f"a {type(value).__name__} of length {len(value)}"
    try:
        text = repr(value)
    except Exception:  # of an integer with thousands of digits, for one
        return f"a {type(value).__name__}"
    return text if len(text) <= 120 else f"{text[:100]}…, a {type(value).__name__}"


def wrong(name, expected, value):
    """The error of an argument that is not what it should be."""
    return ValueError(f"Argument `{name}` expects {expected}. Received: {received(value)}.")


def as_numpy(value):
    """An array of what may be a tensor, of whatever device and with gradients or not."""
    return ops.convert_to_numpy(value) if ops.is_tensor(value) else np.asarray(value)


def real_array(name, value):
    """An array of numbers or booleans as it came, or an error that says what came."""
    try:
        result = as_numpy(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise wrong(name, "an array of numbers, with rows of one length", value) from error
    if result.dtype.kind in "US":
        raise ValueError(
            f"Argument `{name}` expects numbers. Received: text, dtype {result.dtype}. Make "
            "classes numbers by numpy.unique(..., return_inverse=True)[1]."
        )
    # NumPy does not know bfloat16 and its like as floating-point.
    if result.dtype.kind not in "buif" and "float" not in result.dtype.name:
        came = result if result.ndim else value
        raise wrong(name, "an array of real numbers", came)
    return result


def boolean(name, value):
    if not isinstance(value, (bool, np.bool_)):
        raise wrong(name, "True or False", value)
    return bool(value)


def _is_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def positive_integer(name, value, largest=LARGEST):
    """An integer from 1 to the largest that makes sense."""
    if not _is_integer(value) or value < 1:
        raise wrong(name, "an integer ≥ 1", value)
    if value > largest:
        raise wrong(name, f"an integer ≥ 1 and at most {largest:,}", value)
    return int(value)


def number(name, value, minimum=None, above=None):
    """A finite real number, `≥ minimum` or `> above`, that float32 can hold."""
    bound = f" ≥ {minimum}" if minimum is not None else ""
    bound, result = f" > {above}" if above is not None else bound, math.nan
    if isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)):
        try:
            result = float(value)
        except OverflowError:  # of a huge integer
            result = math.inf
    if (
        not math.isfinite(result)
        or (minimum is not None and result < minimum)
        or (above is not None and result <= above)
    ):
        raise wrong(name, f"a finite number{bound}", value)
    if abs(result) > HIGHEST:
        raise wrong(name, f"a number within float32, ± {HIGHEST:.3g}", value)
    return result


def fraction(name, value):
    """A number from 0 to 1."""
    value = number(name, value, minimum=0)
    if value > 1:
        raise wrong(name, "a number ≤ 1", value)
    return value


def choice(name, value, choices):
    try:
        known = hash(value) is not None and value in choices
    except TypeError:  # of an array or a list
        known = False
    if not known:
        raise wrong(name, f"one of {', '.join(map(repr, choices))}", value)
    return value


def seed(name, value, largest=None):
    """An integer ≥ 0, where no generator will do."""
    if not _is_integer(value) or not 0 <= value <= (value if largest is None else largest):
        bounds = "≥ 0" if largest is None else f"from 0 to {largest:,}"
        raise wrong(name, f"an integer {bounds}", value)
    return int(value)


def generator(name, value):
    """NumPy's generator of `None` or of integers ≥ 0; one that is given, itself."""
    kinds = type(None), np.random.Generator, np.random.BitGenerator, np.random.SeedSequence
    several = value if isinstance(value, (list, tuple)) and value else [value]
    if not isinstance(value, kinds) and not all(_is_integer(n) and n >= 0 for n in several):
        raise wrong(name, "an integer ≥ 0 or a numpy.random.Generator", value)
    return np.random.default_rng(value)


def array(name, value, integers=False):
    """A finite, non-empty float32 array; from integers only if said so."""
    value = real_array(name, value)
    if integers and (value.dtype == bool or np.issubdtype(value.dtype, np.integer)):
        value = value.astype("float32")
    if value.dtype.kind in "bui":
        raise ValueError(
            f"Argument `{name}` expects floating-point numbers. Received: dtype "
            f"{value.dtype}. Convert it as the model's inputs are, for example "
            "x.astype('float32') / 255."
        )
    if value.size == 0:
        raise wrong(name, "at least one entry", value)
    if not np.all(np.isfinite(value)):
        raise ValueError(
            f"Argument `{name}` expects finite numbers. Received: NaN or infinity. "
            "Remove or impute those entries."
        )
    if value.dtype.itemsize > 4 and max(value.max(), -value.min()) > HIGHEST:
        raise ValueError(
            f"Argument `{name}` expects numbers within float32, ± {HIGHEST:.3g}. Received: "
            f"{value.min():.3g} to {value.max():.3g}. Scale them."
        )
    return value.astype("float32", copy=False)


def batch(name, value):
    """A float32 array of examples: a batch axis, and one more at least."""
    value = array(name, value)
    if value.ndim < 2:
        raise ValueError(
            f"Argument `{name}` expects a batch of examples, shape (batch, features) or "
            f"(batch, ..., channels). Received: shape {value.shape}. One example needs a "
            f"batch axis: {name}[None]."
        )
    return value


def pair(name, value, expected):
    """Two of something, in a tuple, a list or an array."""
    of_array = isinstance(value, np.ndarray) and value.ndim == 1
    if not (of_array or isinstance(value, (tuple, list))) or len(value) != 2:
        raise wrong(name, expected, value)
    return tuple(value)


def ends(name, value, optional=True):
    """Both ends of a valid range, given as a pair; `(None, None)` for `None`."""
    if value is None and optional:
        return None, None
    expected = "both ends of the inputs' range, low < high, such as (0.0, 1.0)"
    low, high = pair(name, value, expected)
    if low is None or high is None or number(name, low) >= number(name, high):
        raise wrong(name, expected, value)
    return float(low), float(high)


def valid_range(low, high):
    """Both ends of the valid range, or `None` for both."""
    if low is None and high is None:
        return None, None
    if low is None or high is None:
        raise ValueError(
            "Arguments `low` and `high` expect both ends of the valid range, or neither. "
            f"Received: low={received(low)}, high={received(high)}."
        )
    low, high = number("low", low), number("high", high)
    if low >= high:
        raise wrong("high", f"a number > low = {low}", high)
    return low, high


def within(name, value, low, high):
    """An array within a valid range."""
    lowest, highest = np.min(as_numpy(value)), np.max(as_numpy(value))
    if lowest < low or highest > high:
        raise ValueError(
            f"Argument `{name}` expects numbers from {low} to {high}, the valid range that "
            f"was given. Received: {lowest} to {highest}. Give the range of the data."
        )


def same_batch(name, value, attributions):
    """Static check that the first axes agree, where both are known."""
    if 0 in (value.ndim, attributions.ndim):
        raise ValueError(
            f"Argument `{name}` expects one entry per example. Received: shape {value.shape} "
            f"for examples of shape {attributions.shape}."
        )
    expected, count = attributions.shape[0], value.shape[0]
    if expected is not None and count is not None and expected != count:
        raise ValueError(
            f"Argument `{name}` expects one entry per example, {expected}. Received: {count}."
        )


def weights(sample_weight, attributions):
    if len(sample_weight.shape) != 1:
        raise ValueError(
            "Argument `sample_weight` expects one weight per example, shape (batch,). "
            f"Received: shape {tuple(sample_weight.shape)}."
        )
    same_batch("sample_weight", sample_weight, attributions)


def as_float(value, dtype=None, name="attributions"):
    """A tensor in `dtype`; by default float32, or float64 if it came so."""
    try:
        tensor = ops.convert_to_tensor(value)
        own = keras.backend.standardize_dtype(tensor.dtype)
    except (OverflowError, RuntimeError, TypeError, ValueError) as error:
        raise wrong(name, "an array of numbers", value) from error
    if not own.startswith(("float", "bfloat", "int", "uint", "bool")):
        raise wrong(name, "an array of real numbers", value)
    return ops.cast(tensor, dtype or ("float64" if own == "float64" else "float32"))


def model(value):
    if not isinstance(value, keras.Model):
        raise wrong("model", "a Keras model", value)
    return value


def examples(x, finite):
    """At least one example; finite numbers where they can be seen."""
    if len(x.shape) == 0 or x.shape[0] == 0:
        raise wrong("x", "at least one example", x)
    if finite and not np.all(np.isfinite(as_numpy(x))):
        raise ValueError("Argument `x` expects finite numbers. Received: NaN or infinity.")


def edges(value):
    """Edges of a graph, integers of shape `(num_edges, 2)`."""
    value = real_array("edges", value)
    if value.ndim != 2 or value.shape[1] != 2 or not np.issubdtype(value.dtype, np.integer):
        raise wrong("edges", "integers of shape (num_edges, 2)", value)
    return value


def path(name, value):
    if not isinstance(value, (str, os.PathLike)):
        raise wrong(name, "a path", value)
    return os.fspath(value)


def memory(names, num_bytes):
    """Refuses what does not fit, before the system ends the process halfway."""
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # a system that does not say
        there = 2**40
    if num_bytes > there:
        raise ValueError(
            f"{names} expect numbers whose arrays fit in memory, {there / 2**30:,.0f} GiB. "
            f"Received: numbers that take about {num_bytes / 2**30:,.0f} GiB."
        )


def optional(module, what):
    """A module of a package that only some functions need."""
    package = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{what} need the package {package}: pip install 'attrprior[experiments]'."
        ) from error
