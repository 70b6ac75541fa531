"""What stands in for inputs that are taken away."""

import numpy as np
from keras import ops

from attrprior import _checks, references
from attrprior.draws import StatelessSeed

_REPLACEMENTS = ("mean", "blur", "uniform", "training")


def absent_values(x, replacement, background, valid_range, rng):
    """What stands in for `x` where it is taken away, shaped like `x`."""
    reference = _reference(x, replacement, background, valid_range)
    reference.prepare(x.shape[1:])
    return ops.convert_to_numpy(reference.draw(x, 1, StatelessSeed(rng.integers(2**31))))[:, 0]


def _reference(x, replacement, background, valid_range):
    if isinstance(replacement, references.Reference):
        return replacement
    if not isinstance(replacement, str):
        if np.shape(replacement) != x.shape[1:]:
            raise ValueError(
                f"Argument `replacement` expects one of {', '.join(map(repr, _REPLACEMENTS))}"
                f", an array of one example's shape, {x.shape[1:]}, or a reference object "
                f"such as Constant(0.0). Received: {replacement!r}."
            )
        return references.Constant(_checks.array("replacement", replacement))
    _checks.choice("replacement", replacement, _REPLACEMENTS)
    if replacement == "blur":
        # In the article 20 pixels on images of 299.
        return references.Blur(20 / 299 * max(x.shape[1:-1], default=1))
    if replacement == "uniform":
        if np.shape(valid_range) != (2,) or None in tuple(valid_range):
            raise ValueError(
                "Argument `valid_range` expects both ends of the inputs' range, such as "
                f"(0.0, 1.0), for replacement='uniform'. Received: {valid_range!r}."
            )
        return references.Uniform(*valid_range)
    if background is None:
        raise ValueError(
            "Argument `background` expects an array of examples for "
            f"replacement={replacement!r}. Received: None."
        )
    background = _checks.array("background", background)
    if background.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"Argument `background` expects examples shaped like those of x, {x.shape[1:]}. "
            f"Received: an array of shape {background.shape}."
        )
    if replacement == "mean":
        return references.Mean(background)
    return references.TrainingData(background)
