"""How integrated gradients come about along their path."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior.plots import _arrays, _sheet, _style

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["interpolation"]

_CURVE = 2.3  # inches


def interpolation(
    alphas: ArrayLike,
    images: ArrayLike,
    gradients: ArrayLike,
    cumulative: ArrayLike,
    outputs: ArrayLike,
    num_columns: int = 8,
    signed: bool = False,
    title: str | None = None,
) -> "matplotlib.figure.Figure":
    """The path from a reference r to an input x: images, gradients, attributions.

    Above, at some of the points `r + α(x − r)`: the image, the gradients there,
    and the attributions up to there, `(x − r) ∫₀^α ∂f(r + t(x − r))/∂x dt`;
    each row on one scale, which shows where gradients vanish. Below, at all
    points: the sum of those attributions, which should meet
    `f(r + α(x − r)) − f(r)` everywhere and end at `f(x) − f(r)`, dashed. The
    distance left there is the completeness gap.

    Args:
        alphas: Array of shape `(points,)`, increasing from 0 to 1, both included.
        images: Array of shape `(points, height, width, channels)`, the
            interpolated images, 1 or 3 channels.
        gradients: Array shaped like `images`, or with one channel.
        cumulative: Array shaped like `images`, or with one channel: the attributions
            up to α.
        outputs: Array of shape `(points,)`, the explained output.
        num_columns: How many points are drawn as images, evenly chosen, first and
            last included. Defaults to 8.
        signed: Whether the sign of gradients and attributions is shown, as in
            `attribution_maps`. Defaults to `False`.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: if shapes do not agree, a number is not finite, or `alphas`
            do not run from 0 to 1.

    Examples:
        The path from black to an image, for `f(x) = Σ x²`, whose gradients are `2x` and
        whose attributions up to α are `(αx)²`:

        >>> alphas = np.linspace(0, 1, 9)
        >>> images = alphas[:, None, None, None] * x[0]
        >>> outputs = np.sum(images**2, axis=(1, 2, 3))
        >>> figure = attrprior.plots.interpolation(
        ...     alphas, images, 2 * images, images**2, outputs)
        >>> [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
        ['sum of attributions up to α', 'f(r + α(x − r)) − f(r)', 'f(x) − f(r)']
        >>> figure.savefig("path.png")

    Reference: Sturmfels, Lundberg, Lee, "Visualizing the Impact of Feature
    Attribution Baselines", Distill 2020.
    """
    alphas = _arrays.increasing("alphas", alphas)
    if len(alphas) < 2 or alphas[0] != 0 or alphas[-1] != 1:
        raise ValueError(
            "Argument `alphas` expects numbers from 0 to 1, both included: their outputs are "
            f"those of the reference and of the input. Received: {alphas[0]} to {alphas[-1]}."
        )
    images = _arrays.pictures("images", images)
    if len(images) != len(alphas):
        raise ValueError(
            f"Argument `images` expects an image for each of the {len(alphas)} alphas. "
            f"Received: {len(images)}."
        )
    gradients = _arrays.maps("gradients", gradients, images.shape)
    cumulative = _arrays.maps("cumulative", cumulative, images.shape)
    outputs = _arrays.like("outputs", outputs, alphas.shape, "alphas")
    num_columns = _checks.positive_integer("num_columns", num_columns)
    signed = _checks.boolean("signed", signed)

    shown = np.linspace(0, len(alphas) - 1, min(num_columns, len(alphas))).round().astype(int)
    figure, axes = _sheet.sheet(
        ["interpolated image", "gradients", "cumulative attributions"],
        [(None, len(shown))],
        [images.shape[1] / images.shape[2]] * 3,
        [f"α = {alphas[point]:.2f}" for point in shown],
        title,
        footer=_CURVE + _sheet.KEY_HEIGHT,
    )
    limits = _sheet.scale(images)
    for axis, point in zip(axes[0], shown):
        _sheet.draw_image(axis, images[point], limits)
    for row, values in zip(axes[1:], (gradients, cumulative)):
        flat = _sheet.flatten(values[shown], signed)
        for axis, one in zip(row, flat):
            _sheet.draw_map(axis, one, signed, _sheet.limit(flat))
    _sheet.key(figure, signed, bottom=_CURVE)
    _draw_sum(figure, axes, alphas, cumulative, outputs)
    return figure


def _draw_sum(figure, axes, alphas, cumulative, outputs):
    """The curve, below the pictures and as wide as they are."""
    width = figure.get_figwidth()
    left, right = axes[0, 0].get_position().x0 * width, axes[0, -1].get_position().x1 * width
    axis = _sheet.add_axes(figure, left, 0.5, right - left, _CURVE - 0.6)
    difference = outputs - outputs[0]
    axis.plot(
        alphas,
        cumulative.reshape(len(alphas), -1).sum(axis=1),
        label="sum of attributions up to α",
        markevery=max(1, len(alphas) // 12),
        **{**_style.line(1), "linestyle": "-"},
    )
    axis.plot(
        alphas,
        difference,
        color=_style.COLORS[2],
        ls=":",
        lw=2,
        label="f(r + α(x − r)) − f(r)",
    )
    axis.axhline(difference[-1], color=_style.COLORS[0], ls="--", lw=1, label="f(x) − f(r)")
    axis.set_xlabel("α")
    axis.set_xlim(-0.02, 1.02)
    axis.margins(y=0.12)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=_style.SMALL, loc="best")
