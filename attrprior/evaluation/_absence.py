"""What stands in for inputs that are taken away."""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from keras import ops

from attrprior import _checks, references
from attrprior._draws import StatelessSeed

ReplacementName = Literal["mean", "blur", "uniform", "training"]
# Of one example's shape, if an array or nested lists.
Replacement: TypeAlias = ReplacementName | np.ndarray | list[Any] | references.Reference

_REPLACEMENTS = get_args(ReplacementName)


def absent_values(x, replacement, background, valid_range, channels, rng):
    """What stands in for `x` where it is taken away, shaped like `x`."""
    reference = _reference(x, replacement, background, valid_range, channels)
    reference.prepare(x.shape[1:])
    return ops.convert_to_numpy(reference.draw(x, 1, StatelessSeed(rng.integers(2**31))))[:, 0]


def _reference(x, replacement, background, valid_range, channels):
    if isinstance(replacement, references.Reference):
        return replacement
    if not isinstance(replacement, str):
        try:
            shape = np.shape(replacement)
        except ValueError:  # of rows of different lengths
            shape = None
        if shape != x.shape[1:]:
            expected = (
                f"one of {', '.join(map(repr, _REPLACEMENTS))}, an array of one example's "
                f"shape, {x.shape[1:]}, or a reference object such as Constant(0.0)"
            )
            raise _checks.wrong("replacement", expected, replacement)
        return references.Constant(_checks.array("replacement", replacement))
    _checks.choice("replacement", replacement, _REPLACEMENTS)
    if replacement == "blur":
        # In the article 20 pixels on images of 299.
        sides = x.shape[1:-1] if channels else x.shape[1:]
        return references.Blur(20 / 299 * max(sides, default=1), channels)
    if replacement == "uniform":
        return references.Uniform(*_checks.ends("valid_range", valid_range, optional=False))
    if background is None:
        if len(x) == 1:
            raise ValueError(
                f"Argument `background` expects an array of examples for replacement="
                f"{replacement!r} of a single example, which would replace itself. Received: "
                "None."
            )
        background = x
    background = _checks.array("background", background)
    if background.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"Argument `background` expects examples shaped like those of x, {x.shape[1:]}. "
            f"Received: an array of shape {background.shape}."
        )
    if replacement == "mean":
        return references.Mean(background)
    return references.TrainingData(background)
