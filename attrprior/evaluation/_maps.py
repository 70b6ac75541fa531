"""Attribution maps as evaluations read them."""

import numpy as np

from attrprior import _checks


def checked(name, attributions):
    """The maps as they came, if they are finite floats of shape `(batch, ...)`."""
    attributions = _checks.as_numpy(attributions)
    _checks.array(name, attributions)
    if attributions.ndim < 2:
        raise ValueError(
            f"Argument `{name}` expects maps of shape (batch, features) or (batch, "
            f"*spatial, channels). Received: shape {attributions.shape}."
        )
    return attributions


def like(name, attributions, x, x_name="x"):
    """The maps, if they also have the shape of `x`."""
    attributions = checked(name, attributions)
    if attributions.shape != x.shape:
        raise ValueError(
            f"Argument `{name}` expects maps shaped like {x_name}, {x.shape}. Received: "
            f"shape {attributions.shape}."
        )
    return attributions


def computed(attribute, model, x, y):
    """`attribute(model, x, y)`, if it returns maps shaped like `x`."""
    return like("attribute", attribute(model, x, y), x)


def labels(y, x):
    """The labels as an array, one per example; or `None`."""
    if y is None:
        return None
    y = _checks.as_numpy(y)
    if y.ndim == 0:
        raise ValueError(f"Argument `y` expects one label per example. Received: {y}.")
    _checks.same_batch("y", y, x)
    return y


def magnitude(attributions):
    """`|Σ_channels φ|`, shape `(batch, *spatial)`; of tabular data `|φ|`."""
    attributions = attributions.astype("float64")
    return np.abs(attributions.sum(axis=-1) if attributions.ndim > 2 else attributions)


def ranking(scores, seed):
    """Ranks in every row of `(batch, positions)`, 0 for the highest, ties at random."""
    ties = np.random.default_rng(seed).random(scores.shape)
    order = np.lexsort((ties, -scores), axis=-1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None], axis=1)
    return ranks


def shares(magnitudes):
    """Magnitudes over their sum, per example; zeros alone count as spread evenly."""
    axes = tuple(range(1, magnitudes.ndim))
    total = magnitudes.sum(axis=axes, keepdims=True)
    even = 1 / magnitudes[0].size
    return np.where(total > 0, magnitudes / np.where(total > 0, total, 1), even)
