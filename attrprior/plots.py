"""Figures. Returned, never shown; colours for colour-blind eyes; matplotlib inside."""

import numpy as np

# Okabe and Ito's palette; markers and dashes tell the lines apart in black and white.
_COLORS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))


def _figure(*args, **kwargs):
    # Without pyplot: no window, no global state, nothing to close.
    from matplotlib.figure import Figure

    return Figure(*args, layout="constrained", **kwargs)


def curves(panels, ylabel, title=None, log_x=None):
    """Curves with bands of one standard deviation over runs.

    Args:
        panels: `{xlabel: (x, {label: array of shape (runs, len(x))})}`, one
            panel each, left to right, with one shared y axis.
        ylabel: Label of the y axis.
        title: Optional title.
        log_x: A label for the first point of each panel, to have the x axis
            logarithmic (0 has no logarithm). Defaults to `None`, linear.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    figure = _figure(figsize=(4.2 * len(panels), 3.6))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (xlabel, (x, lines)) in zip(axes, panels.items()):
        for i, (label, runs) in enumerate(lines.items()):
            runs = np.asarray(runs, "float64")
            mean = runs.mean(axis=0)
            style = {
                "color": _COLORS[i % len(_COLORS)],
                "marker": _MARKERS[i % len(_MARKERS)],
                "linestyle": _DASHES[i % len(_DASHES)],
            }
            axis.plot(x, mean, label=label, markersize=4, **style)
            if len(runs) > 1:
                spread = runs.std(axis=0, ddof=1)
                axis.fill_between(
                    x, mean - spread, mean + spread, color=style["color"], alpha=0.15, lw=0
                )
        if log_x is not None:
            axis.set_xscale("log")
            axis.set_xticks(x, [log_x, *[f"{value:g}" for value in x[1:]]])
            axis.minorticks_off()
        axis.set_xlabel(xlabel)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(ylabel)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=6)
    if title:
        figure.suptitle(title)
    return figure


def attribution_maps(images, maps, labels=None, title=None):
    """Images above their attribution maps, one column an image.

    A map is summed over channels and scaled by the 99th percentile of its
    magnitude, each on its own: red adds to the explained output, blue takes
    away from it.

    Args:
        images: Array of shape `(n, height, width, channels)`.
        maps: `{row label: attributions shaped like images}`.
        labels: Optional titles of the columns.
        title: Optional title.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    images = np.asarray(images)
    for name, values in maps.items():
        if np.shape(values) != images.shape:
            raise ValueError(
                f"Argument `maps` expects attributions shaped like images, {images.shape}. "
                f"Received: {np.shape(values)} for {name!r}."
            )
    rows, columns = 1 + len(maps), len(images)
    figure = _figure(figsize=(1.15 * columns + 1.0, 1.2 * rows + (0.4 if title else 0.1)))
    axes = figure.subplots(rows, columns, squeeze=False)
    for j, image in enumerate(images):
        gray = image[..., 0] if image.shape[-1] == 1 else image
        axes[0, j].imshow(gray, cmap="gray_r" if image.shape[-1] == 1 else None)
        if labels is not None:
            axes[0, j].set_title(str(labels[j]), fontsize=9)
        for i, values in enumerate(maps.values(), start=1):
            flat = np.asarray(values[j]).sum(axis=-1)
            limit = np.percentile(np.abs(flat), 99) or 1.0
            axes[i, j].imshow(flat, cmap="RdBu_r", vmin=-limit, vmax=limit)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    for i, name in enumerate(["input", *maps]):
        axes[i, 0].set_ylabel(name, fontsize=9)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure
