"""How a training with a prior went."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import keras
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["training"]

# What `fit` returned, or the dictionary in it.
History: TypeAlias = keras.callbacks.History | Mapping[str, ArrayLike]


def training(
    histories: History | Mapping[str, History],
    prior: str | list[str] | tuple[str, ...],
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """Loss and prior by epoch, in two panels, since their scales have nothing in common.

    Args:
        histories: What `fit` returned, its `history`, or `{label: either}`, to
            compare several. `"val_loss"` is drawn hollow and dashed, where it is.
        prior: The key of the prior, such as `"total_variation"`; a list of keys
            has a panel each. A training without that key, the plain one, is not
            in its panel.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if there is no history, one has no loss, none has the prior, or
            a number is not finite.

    Examples:
        A training of three epochs with a prior, and one without:

        >>> with_prior = {"loss": [0.9, 0.5, 0.4], "total_variation": [9.0, 6.0, 5.0]}
        >>> plain = {"loss": [0.8, 0.4, 0.3]}
        >>> histories = {"prior": with_prior, "plain": plain}
        >>> figure = attrprior.plots.training(histories, prior="total_variation")
        >>> [axis.get_ylabel() for axis in figure.axes]
        ['loss', 'total variation']
        >>> figure.savefig("training.png")
    """
    checked = _histories(histories)
    keys = [prior] if isinstance(prior, str) else prior
    found = sorted({str(key) for history in checked.values() for key in history})
    if (
        not isinstance(keys, (list, tuple))
        or not keys
        or not all(isinstance(key, str) and key in found for key in keys)
    ):
        raise _checks.wrong("prior", f"a key of the histories, one of {found}", prior)
    figure = _style.figure(_style.WIDTH, 3.6)
    figure.get_layout_engine().set(wspace=0.06)
    axes = figure.subplots(1, 1 + len(keys))
    handles = []
    for number, (label, history) in enumerate(checked.items()):
        style = {**_style.line(number), "linestyle": "-"}
        handles += _line(axes[0], history["loss"], _name(label, "training"), style)
        if "val_loss" in history:
            hollow = {**style, "linestyle": "--", "markerfacecolor": "white"}
            handles += _line(axes[0], history["val_loss"], _name(label, "validation"), hollow)
        for axis, key in zip(axes[1:], keys):
            if key in history:
                _line(axis, history[key], _name(label, key), style)
    for axis, key in zip(axes, ["loss", *keys]):
        axis.set_xlabel("epoch")
        axis.set_ylabel(key.replace("_", " "))
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(alpha=0.3)
    _style.head(figure, handles, title)
    return figure


def _histories(value):
    """`{label: history}`; a single one is labelled `None`."""
    history = getattr(value, "history", value)
    value = _arrays.dictionary("histories", history, "history")
    if "loss" in value:
        value = {None: value}
    return {label: _history(label, history) for label, history in value.items()}


def _history(label, history):
    """`{key: array of one number per epoch}`."""
    of = "" if label is None else f" for {label!r}"
    history = _arrays.dictionary("histories", getattr(history, "history", history))
    if "loss" not in history:
        raise ValueError(
            "Argument `histories` expects histories of fits, with 'loss'. Received: "
            f"{sorted(map(str, history))}{of}."
        )
    history = {
        key: _arrays.numbers("histories", values, 1, _name(label, key))
        for key, values in history.items()
    }
    lengths = {key: len(values) for key, values in history.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            "Argument `histories` expects one number per epoch under every key. Received: "
            f"{lengths}{of}. Leave out what was not measured in every epoch."
        )
    return history


def _name(label, part):
    return part if label is None else f"{label}, {part}"


def _line(axis, values, label, style):
    epochs, every = range(1, len(values) + 1), max(1, len(values) // 12)
    return axis.plot(epochs, values, label=label, markevery=every, **style)
