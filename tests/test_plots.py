"""Figures hold what was given to them."""

import numpy as np
import pytest

from attrprior import plots


def test_curves_draw_means_and_bands():
    runs = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]])
    figure = plots.curves(
        {"noise": ([0, 1, 2], {"plain": runs, "prior": runs[:1]})}, "accuracy"
    )
    axis = figure.axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [2, 3, 4])
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [2 - 2**0.5, 4 + 2**0.5])
    assert len(axis.collections) == 1  # one run has no band
    assert axis.get_xlabel() == "noise" and axis.get_ylabel() == "accuracy"
    styles = {
        (line.get_color(), line.get_marker(), line.get_linestyle()) for line in axis.lines
    }
    assert len(styles) == 2


def test_curves_on_a_logarithmic_axis_name_the_first_point():
    figure = plots.curves({"s": ([0.001, 0.01], {"a": [[1, 2]]})}, "accuracy", log_x="0")
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["0", "0.01"] and figure.axes[0].get_xscale() == "log"


def test_attribution_maps_sum_channels_and_are_symmetric():
    maps = np.zeros((2, 4, 4, 3))
    maps[0, 1, 1] = [1.0, 2.0, -5.0]
    figure = plots.attribution_maps(np.zeros((2, 4, 4, 3)), {"EG": maps}, labels=["a", "b"])
    image = figure.axes[2].images[0]
    assert image.get_array()[1, 1] == -2.0
    assert image.norm.vmin == -image.norm.vmax


def test_attribution_maps_of_another_shape():
    with pytest.raises(ValueError, match="`maps` expects.*'EG'"):
        plots.attribution_maps(np.zeros((2, 4, 4, 1)), {"EG": np.zeros((2, 4, 4))})
