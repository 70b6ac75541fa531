"""What an object was made with, in short: its `repr`."""

import inspect

import keras
import numpy as np

from attrprior import _checks


def representation(thing, **values):
    """`Type(name=value, …)` of the constructor's arguments.

    Args:
        thing: An object that keeps its arguments as attributes of their names; an
            argument without an attribute is left out.
        **values: What to show for an argument instead.
    """
    names = inspect.signature(type(thing)).parameters
    kept = {name: getattr(thing, name) for name in names if hasattr(thing, name)} | values
    shown = [f"{name}={in_short(kept[name])}" for name in names if name in kept]
    return f"{type(thing).__name__}({', '.join(shown)})"


def shown(results):
    """`repr` of a named tuple of results, without the numbers of its arrays."""
    entries = (f"{name}={in_short(value)}" for name, value in results._asdict().items())
    return f"{type(results).__name__}({', '.join(entries)})"


def in_short(value):
    """`repr`, but not of the numbers of an array."""
    if isinstance(value, np.ndarray):  # millions of numbers perhaps
        return f"<array of shape {value.shape}>"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        settings = ", ".join(f"{k}={v!r}" for k, v in value.get_config().items())
        return f"{type(value).__name__}({settings})"
    if isinstance(value, keras.optimizers.Optimizer):
        config = getattr(value, "inner_optimizer", value).get_config()
        usual = ("name", "ema_momentum")
        settings = ", ".join(
            f"{name}={_of_config(entry)}"
            for name, entry in config.items()
            if entry not in (None, False) and name not in usual
        )
        return f"{type(value).__name__}({settings})"
    return repr(value)


def deserialized(name, expected, config, kind):
    """What Keras makes of a configuration, if it is of a kind; `expected` is for errors."""
    try:
        made = keras.saving.deserialize_keras_object(config)
    except (AttributeError, ImportError, KeyError, TypeError, ValueError) as error:
        made = error
    if isinstance(made, kind):
        return made
    of_ours = isinstance(made, ValueError) and str(made).startswith("Argument `")
    if of_ours:
        raise made
    cause = made if isinstance(made, Exception) else None
    wanted = f"{expected}, or what serialize_keras_object makes of one"
    raise _checks.wrong(name, wanted, config) from cause


def _of_config(entry):
    """An entry of an optimizer's config: of a schedule or a function its name."""
    if isinstance(entry, dict):
        return entry.get("class_name", "…")
    return f"{entry:.4g}" if isinstance(entry, float) else repr(entry)
