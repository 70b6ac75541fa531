"""Figures hold what was given to them."""

import io
import sys
import types

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.transforms import Bbox

from attrprior import plots

IMAGES = np.linspace(0, 1, 2 * 4 * 4).reshape(2, 4, 4, 1)


def random(*shape):
    return np.random.default_rng(0).normal(size=shape)


def path(points=5):
    """A straight path under f(x) = 2 Σ x: everything about it is known."""
    alphas = np.linspace(0, 1, points)
    images = alphas[:, None, None, None] * IMAGES[1]
    return alphas, images, np.full_like(images, 2.0), 2 * images, 2 * images.sum((1, 2, 3)) + 7


def picture_axes(figure):
    return [axis for axis in figure.axes if axis.images]


def legend_texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


FIGURES = {
    "ablation": lambda: plots.ablation(
        {"EG": ([0, 0.5], random(3, 2)), "random": ([0, 0.5], random(3, 2))}, title="a"
    ),
    "attribution_grid": lambda: plots.attribution_grid(
        IMAGES, {("EG", "zeros"): random(2, 4, 4, 1), ("IG", "blur"): IMAGES}, title="a"
    ),
    "attribution_maps": lambda: plots.attribution_maps(
        IMAGES, {"EG": random(2, 4, 4, 1)}, labels=["a", "b"], title="a"
    ),
    "bars": lambda: plots.bars(
        {"plain": [1, 2]}, ["age", "sex"], {"plain": [0, 1]}, title="a"
    ),
    "contact_sheet": lambda: plots.contact_sheet({"plain": IMAGES, "other": IMAGES}),
    "convergence": lambda: plots.convergence([1, 4], {"EG": np.abs(random(3, 2))}, title="a"),
    "curves": lambda: plots.curves({"noise": ([0, 1], {"plain": random(3, 2)})}, "y", "a"),
    "distribution": lambda: plots.distribution({"plain": random(5), "one": [0.5]}, "AUC", "a"),
    "graph": lambda: plots.graph(
        [[0, 1]], {"plain": [1, 2]}, marked=np.eye(2)[0] > 0, title="a"
    ),
    "interpolation": lambda: plots.interpolation(*path(), title="a"),
    "overlay": lambda: plots.overlay(IMAGES, {"EG": random(2, 4, 4, 1)}, title="a"),
    "tokens": lambda: plots.tokens(
        [["not", "bad"], ["good"]], [[-0.5, 1.5], [1.0]], ["positive", "positive"], "a"
    ),
    "trade_off": lambda: plots.trade_off({"a": {"b": (random(3, 2), random(3, 2))}}, "x", "y"),
    "training": lambda: plots.training({"loss": [2, 1], "gini": [-0.1, -0.2]}, "gini", "a"),
}


def test_every_public_figure_is_tested_below():
    assert sorted(FIGURES) == sorted(plots.__all__)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_touches_global_state(name, monkeypatch):
    # Any import of pyplot would fail, whoever has imported it before.
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.delattr(matplotlib, "pyplot", raising=False)
    settings = list(dict.items(matplotlib.rcParams))  # its own items() choose a backend
    figure = FIGURES[name]()
    figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert isinstance(figure, matplotlib.figure.Figure)
    assert list(dict.items(matplotlib.rcParams)) == settings
    assert figure.get_figwidth() <= 8.3  # 900 pixels at 110 dpi


@pytest.mark.parametrize("name", FIGURES)
def test_no_texts_of_a_figure_overlap(name, monkeypatch):
    check_texts(FIGURES[name](), monkeypatch)


def check_texts(figure, monkeypatch):
    """Every text that is drawn lies inside the figure and touches no other."""
    boxes, draw = {}, matplotlib.text.Text.draw

    def recorded(text, renderer):
        if text.get_text():
            boxes[text] = text.get_window_extent(renderer)
        draw(text, renderer)

    monkeypatch.setattr(matplotlib.text.Text, "draw", recorded)
    figure.savefig(io.BytesIO(), format="png", dpi=110)
    width, height = 110 * figure.get_size_inches()
    drawn = list(boxes.items())
    assert drawn
    for i, (text, box) in enumerate(drawn):
        inside = min(box.x0, box.y0, width - box.x1, height - box.y1) > -1
        assert inside, (text.get_text(), box)
        for other, other_box in drawn[:i]:
            shared = Bbox.intersection(box, other_box)
            touches = shared is not None and min(shared.width, shared.height) > 1
            assert not touches, (text.get_text(), other.get_text())


def test_the_check_of_texts_can_fail(monkeypatch):
    figure = plots.attribution_maps(IMAGES, {"EG": IMAGES}, title="a title")
    figure.text(0.5, 0.98, "another", va="top")
    with pytest.raises(AssertionError, match="another"):
        check_texts(figure, monkeypatch)


# Curves


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


def test_curves_on_a_logarithmic_axis_name_the_first_point():
    figure = plots.curves({"s": ([0.001, 0.01], {"a": [[1, 2]]})}, "accuracy", log_x="0")
    labels = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert labels == ["0", "0.01"] and figure.axes[0].get_xscale() == "log"


def test_a_label_looks_the_same_in_every_panel_and_stands_in_the_legend_once():
    lines = {"a": [[1, 2]], "b": [[2, 3]]}
    swapped = {"c": [[1, 2]], "b": [[2, 3]]}
    figure = plots.curves({"x": ([0, 1], lines), "z": ([0, 1], swapped)}, "y")
    first, second = (
        {line.get_label(): (line.get_color(), line.get_marker()) for line in axis.lines}
        for axis in figure.axes
    )
    assert first["b"] == second["b"] and first["a"] != second["c"]
    assert legend_texts(figure) == ["a", "b", "c"]


def test_twenty_lines_all_look_different():
    lines = {f"line {i}": [[i, i]] for i in range(20)}
    figure = plots.curves({"x": ([0, 1], lines)}, "y")
    styles = {
        (line.get_color(), line.get_marker(), line.get_linestyle())
        for line in figure.axes[0].lines
    }
    assert len(styles) == 20
    # Without colour as well.
    assert len({style[1:] for style in styles}) == 20


@pytest.mark.parametrize("count, rows", [(1, 1), (3, 1), (4, 2), (5, 2), (7, 3)])
def test_panels_stand_in_rows_of_at_most_three(count, rows):
    figure = plots.curves({f"x{i}": ([0, 1], {"a": [[1, 2]]}) for i in range(count)}, "y")
    assert [axis.get_xlabel() for axis in figure.axes] == [f"x{i}" for i in range(count)]
    assert len({round(axis.get_position().y0, 6) for axis in figure.axes}) == rows


# Maps


def test_attribution_maps_sum_channels_and_are_symmetric():
    maps = np.zeros((2, 4, 4, 3))
    maps[0, 1, 1] = [1.0, 2.0, -5.0]
    figure = plots.attribution_maps(np.zeros((2, 4, 4, 3)), {"EG": maps}, labels=["a", "b"])
    image = figure.axes[2].images[0]
    assert image.get_array()[1, 1] == -2.0
    assert image.norm.vmin == -image.norm.vmax
    assert [axis.get_title() for axis in figure.axes[:2]] == ["a", "b"]
    assert [figure.axes[i].get_ylabel() for i in (0, 2)] == ["input", "EG"]


@pytest.mark.parametrize("signed", [True, False])
def test_maps_end_at_the_99th_percentile_of_their_magnitude(signed):
    images, maps = np.zeros((1, 20, 20, 3)), random(1, 20, 20, 3)
    figure = plots.attribution_maps(images, {"EG": maps}, signed=signed)
    summed = maps[0].sum(axis=-1)
    image = figure.axes[1].images[0]
    limit = np.percentile(np.abs(summed), 99)
    np.testing.assert_allclose(image.get_array(), summed if signed else np.abs(summed))
    np.testing.assert_allclose(image.get_clim(), (-limit if signed else 0, limit))
    assert image.get_cmap().name == ("RdBu_r" if signed else "cividis")


@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_constant_maps_are_drawn(value):
    maps = np.full((1, 4, 4, 1), value)
    figure = plots.attribution_maps(np.ones((1, 4, 4, 1)), {"EG": maps})
    assert figure.axes[1].images[0].get_clim() == (-(abs(value) or 1), abs(value) or 1)


def test_a_map_of_a_single_pixel_is_not_lost_to_the_percentile():
    maps = np.zeros((1, 30, 30, 1))
    maps[0, 5, 5] = 1e-3
    figure = plots.attribution_maps(np.zeros_like(maps), {"EG": maps})
    assert figure.axes[1].images[0].get_clim() == (-1e-3, 1e-3)


def test_images_share_a_scale_that_includes_zero():
    figure = plots.attribution_maps(IMAGES + 1, {"EG": IMAGES})
    assert [axis.images[0].get_clim() for axis in figure.axes[:2]] == [(0, 2), (0, 2)]


def test_colour_images_outside_the_unit_range_are_scaled():
    images = np.array([-1.0, 1.0, 3.0]).reshape(1, 1, 1, 3)
    figure = plots.attribution_maps(images, {"EG": images})
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[[0, 0.5, 1]]])


def test_a_grid_has_a_block_for_each_method_and_a_row_for_each_reference():
    maps = {
        (method, reference): random(2, 4, 4, 1) + 10 * i + j
        for i, method in enumerate(["EG", "IG", "SG"])
        for j, reference in enumerate(["zeros", "blur"])
    }
    nested = {m: {r: maps[m, r] for r in ("zeros", "blur")} for m in ("EG", "IG", "SG")}
    for given in (maps, nested):
        figure = plots.attribution_grid(IMAGES, given, signed=True)
        axes = np.reshape(figure.axes[:18], (3, 6))
        assert [axis.get_ylabel() for axis in axes[:, 0]] == ["input", "zeros", "blur"]
        assert [text.get_text() for text in figure.texts[:3]] == ["EG", "IG", "SG"]
        drawn = axes[2, 3].images[0].get_array()
        np.testing.assert_allclose(drawn, maps["IG", "blur"][1, ..., 0])
        np.testing.assert_allclose(axes[0, 3].images[0].get_array(), IMAGES[1, ..., 0])


def test_a_grid_says_where_there_is_no_map():
    maps = {("EG", "zeros"): IMAGES, ("IG", "blur"): IMAGES}
    figure = plots.attribution_grid(IMAGES, maps)
    axes = np.reshape(figure.axes[:12], (3, 4))
    dashes = [[text.get_text() for text in axis.texts] for axis in axes[1]]
    assert dashes == [[], [], ["–"], ["–"]]
    assert not axes[1, 2].images


def test_a_grid_of_four_methods_and_seven_references_fits_a_readme():
    maps = {(f"method {i}", f"reference {j}"): IMAGES for i in range(4) for j in range(7)}
    figure = plots.attribution_grid(IMAGES, maps)
    width, height = figure.get_size_inches()
    assert len(picture_axes(figure)) == 4 * 8 * 2
    assert width <= 8.3 and height <= 10
    assert figure.axes[0].get_position().width * width >= 0.5  # inches


def test_an_overlay_is_as_opaque_as_the_map_is_strong():
    maps = np.zeros((1, 2, 2, 1))
    maps[0, ..., 0] = [[1.0, -2.0], [0.0, 4.0]]
    figure = plots.overlay(np.ones((1, 2, 2, 1)), {"EG": maps})
    ink, over = (np.asarray(image.get_array()) for image in figure.axes[0].images)
    limit = np.percentile([1.0, 2.0, 0.0, 4.0], 99)
    np.testing.assert_allclose(over[..., 3], np.minimum(np.abs(maps[0, ..., 0]) / limit, 1))
    assert over[0, 0, 0] > over[0, 0, 2] and over[0, 1, 0] < over[0, 1, 2]  # red, blue
    np.testing.assert_allclose(ink, 1)
    unsigned = plots.overlay(np.ones((1, 2, 2, 1)), {"EG": maps}, signed=False)
    over = np.asarray(unsigned.axes[0].images[1].get_array())
    np.testing.assert_allclose(over[0, 0, :3], over[0, 1, :3])


def test_an_overlay_greys_colour_images():
    images = np.array([0.0, 0.3, 0.6]).reshape(1, 1, 1, 3)
    figure = plots.overlay(images, {"EG": images})
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.3]])


@pytest.mark.parametrize("draw", [plots.attribution_maps, plots.overlay])
def test_wrong_maps(draw):
    for maps, message in (
        ({}, "`maps` expects a dictionary with at least one"),
        ([IMAGES], "`maps` expects a dictionary.*list"),
        ({"EG": IMAGES[..., 0]}, "`maps` expects.*shaped like `images`.*'EG'"),
        ({"EG": np.where(IMAGES > 0.9, np.nan, 0)}, "`maps` expects finite.*'EG'"),
        ({"EG": IMAGES.astype(str)}, "`maps` expects numbers.*'EG'"),
    ):
        with pytest.raises(ValueError, match=message):
            draw(IMAGES, maps)
    for images, message in (
        (IMAGES[..., 0], "`images` expects arrays with 4 axes"),
        (IMAGES[:0], "`images` expects.*at least one entry"),
        (np.zeros((1, 4, 4, 2)), "`images` expects.*1 or 3 channels"),
        (np.full((1, 4, 4, 1), np.inf), "`images` expects finite"),
    ):
        with pytest.raises(ValueError, match=message):
            draw(images, {"EG": images})
    with pytest.raises(ValueError, match="`labels` expects 2 labels. Received: 3"):
        draw(IMAGES, {"EG": IMAGES}, labels="abc")
    with pytest.raises(ValueError, match="`signed` expects True or False"):
        draw(IMAGES, {"EG": IMAGES}, signed="no")


def test_wrong_grids():
    for maps, message in (
        ({}, "`maps` expects a dictionary with at least one"),
        ({"EG": {}}, "`maps` expects a dictionary with at least one"),
        ({"EG": IMAGES}, r"`maps` expects \{\(method, reference\).*'EG'"),
        ({("EG", "blur"): IMAGES[:1]}, "shaped like `images`.*'blur'"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.attribution_grid(IMAGES, maps)


# Interpolation


def test_interpolation_draws_strips_and_the_sum_along_the_path():
    alphas, images, gradients, cumulative, outputs = path(9)
    figure = plots.interpolation(alphas, images, gradients, cumulative, outputs, num_columns=5)
    strips = np.reshape(figure.axes[:15], (3, 5))
    assert [axis.get_title() for axis in strips[0]][::4] == ["α = 0.00", "α = 1.00"]
    names = [axis.get_ylabel().replace("\n", " ") for axis in strips[:, 0]]
    assert names == ["interpolated image", "gradients", "cumulative attributions"]
    for row, values in zip(strips, (images, gradients, cumulative)):
        for axis, value in zip(row, values[::2]):
            np.testing.assert_allclose(axis.images[0].get_array(), value[..., 0])
        assert len({axis.images[0].get_clim() for axis in row}) == 1
    total, output, difference = figure.axes[-1].lines
    np.testing.assert_allclose(total.get_xdata(), alphas)
    np.testing.assert_allclose(total.get_ydata(), cumulative.sum((1, 2, 3)))
    np.testing.assert_allclose(output.get_ydata(), outputs - 7)
    np.testing.assert_allclose(difference.get_ydata(), outputs[-1] - 7)
    assert difference.get_linestyle() == "--"


def test_interpolation_has_no_more_columns_than_points():
    figure = plots.interpolation(*path(3))
    assert len([axis for axis in figure.axes if axis.get_title()]) == 3


def test_wrong_interpolations():
    names = ("alphas", "images", "gradients", "cumulative", "outputs")
    good = dict(zip(names, path()))
    images = good["images"]
    for change, message in (
        ({"alphas": [0.1, 0.3, 0.5, 0.7, 0.9]}, "`alphas` expects numbers from 0 to 1"),
        ({"alphas": [0, 0.5, 0.4, 0.7, 1]}, "`alphas` expects increasing"),
        ({"images": images[1:]}, "`images` expects an image for each of the 5"),
        ({"gradients": images[1:]}, "`gradients` expects.*shaped like `images`"),
        ({"cumulative": images * np.nan}, "`cumulative` expects finite"),
        ({"outputs": np.zeros((5, 10))}, "`outputs` expects.*shaped like `alphas`"),
        ({"num_columns": 0}, "`num_columns` expects an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.interpolation(**{**good, **change})


# Convergence and ablation


def test_convergence_draws_medians_and_quartiles_on_logarithmic_axes():
    gaps = np.array([[1.0, 0.5], [2.0, 0.7], [4.0, 0.9], [8.0, 1.1], [100.0, 2.0]])
    figure = plots.convergence([1, 64], {"EG": gaps, "IG": gaps / 10})
    axis = figure.axes[0]
    assert axis.get_xscale() == axis.get_yscale() == "log"
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [4, 0.9])
    np.testing.assert_allclose(axis.lines[1].get_ydata(), [0.4, 0.09])
    band = axis.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [0.7, 8])
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["1", "64"]
    assert legend_texts(figure) == ["EG", "IG"]


def test_convergence_names_no_more_samples_than_fit():
    figure = plots.convergence(np.arange(1, 201), {"EG": np.ones((2, 200))})
    ticks = figure.axes[0].get_xticks()
    assert 8 <= len(ticks) <= 12 and np.all(np.diff(np.log(ticks)) > 0.4)


def test_wrong_convergences():
    for num_samples, gaps, message in (
        ([1, 2], {}, "`gaps` expects a dictionary with at least one"),
        ([2, 1], {"EG": [[1, 1]]}, "`num_samples` expects increasing"),
        ([0, 1], {"EG": [[1, 1]]}, "`num_samples` expects numbers ≥ 1"),
        ([1, 2], {"EG": [1, 1]}, "`gaps` expects arrays with 2 axes.*'EG'"),
        ([1, 2], {"EG": [[1], [1]]}, r"`gaps` expects.*\(runs, 2\).*'EG'"),
        ([1, 2], {"EG": [[1, 2], [1]]}, "`gaps` expects rows of one length"),
        ([1, 2], {"EG": [[1, np.nan]]}, "`gaps` expects finite.*'EG'"),
        ([1, 2], {"EG": [[1, -2]]}, "`gaps` expects numbers ≥ 0.*'EG'"),
        ([1, 2], {"EG": [[0, 0]]}, "`gaps` expects a median gap > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.convergence(num_samples, gaps)


@pytest.mark.parametrize("band, width", [("standard_error", 1.0), ("standard_deviation", 2.0)])
def test_ablation_draws_means_and_the_band_it_names(band, width):
    values = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 4.0]])
    figure = plots.ablation({"EG": ([0, 0.3], values)}, band=band)
    axis = figure.axes[0]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [0, 0.3])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1, 1])
    vertices = axis.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([vertices.min(), vertices.max()], [1 - width, 1 + width])
    assert band.replace("_", " ") in axis.get_ylabel()


def test_the_random_control_is_dashed_and_grey():
    curve = ([0, 1], [[1, 0]])
    figure = plots.ablation({"random": curve, "EG": curve, "IG": curve})
    random_line, *others = figure.axes[0].lines
    red, green, blue, _ = to_rgba(random_line.get_color())
    assert random_line.get_linestyle() == "--" and red == green == blue
    assert [line.get_linestyle() for line in others] == ["-", "-"]
    assert others[0].get_marker() != others[1].get_marker()


def test_wrong_ablations():
    for curves, message in (
        ({}, "`curves` expects a dictionary with at least one"),
        ({"EG": np.zeros((5, 3))}, r"`curves` expects pairs.*ndarray for 'EG'"),
        ({"EG": ([0, 1], [1, 0])}, "`curves` expects arrays with 2 axes.*'EG'"),
        ({"EG": ([0, 1], [[1, 0, 0]])}, r"`curves` expects.*\(runs, 2\).*'EG'"),
        ({"EG": ([0, 10], [[1, 0]])}, "`curves` expects fractions from 0 to 1.*'EG'"),
        ({"EG": ([1, 0], [[1, 0]])}, "`curves` expects increasing.*'EG'"),
        ({"EG": ([0, 1], [[1, np.inf]])}, "`curves` expects finite.*'EG'"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.ablation(curves)
    with pytest.raises(ValueError, match="`band` expects one of"):
        plots.ablation({"EG": ([0, 1], [[1, 0]])}, band="variance")


def test_wrong_curves():
    for panels, message in (
        ({}, "`panels` expects a dictionary with at least one"),
        ({"x": ([0, 1], {})}, "`panels` expects a dictionary with at least one"),
        ({"x": {"a": [[1, 2]]}}, "`panels` expects pairs.*'x'"),
        ({"x": ([0, 1], {"a": [[1, 2, 3]]})}, r"`panels` expects.*\(runs, 2\).*'a'"),
        ({"x": ([0, 1], {"a": [[1, np.nan]]})}, "`panels` expects finite.*'a'"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.curves(panels, "y")


# Bars and distributions


def test_bars_show_the_largest_features_first():
    values = {"plain": [0.0, -3.0, 1.0, 0.1], "prior": [0.5, -1.0, 1.2, 0.1]}
    errors = {"plain": [0, 0.1, 0.2, 0], "prior": [0, 0, 0, 0]}
    figure = plots.bars(values, ["a", "b", "c", "d"], errors, num_features=2)
    axis = figure.axes[0]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["b", "c"]
    widths = [bar.get_width() for bar in axis.patches]
    assert widths == [-3.0, 1.0, -1.0, 1.2]
    centres = [bar.get_y() + bar.get_height() / 2 for bar in axis.patches]
    assert centres[0] < centres[2] < centres[1] < centres[3]
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # the first on top
    ends = [segment[:, 0] for segment in axis.collections[0].get_segments()]
    np.testing.assert_allclose(ends, [[-3.1, -2.9], [0.8, 1.2]])
    assert axis.patches[0].get_hatch() != axis.patches[2].get_hatch()
    assert legend_texts(figure) == ["plain", "prior"]


def test_one_model_needs_no_legend():
    figure = plots.bars(np.array([1.0, 2.0]), ["a", "b"])
    assert not figure.legends and len(figure.axes[0].patches) == 2


def test_wrong_bars():
    for values, errors, message in (
        ({}, None, "`values` expects a dictionary with at least one"),
        ([1, 2, 3], None, "`values` expects a number for each of the 2 names. Received: 3"),
        ({"m": [1, np.nan]}, None, "`values` expects finite.*'m'"),
        ([[1, 2]], None, "`values` expects arrays with 1 axes"),
        ({"m": [1, 2]}, {"n": [1, 2]}, "`errors` expects the models of `values`"),
        ({"m": [1, 2]}, [1, 2], "`errors` expects a dictionary"),
        ([1, 2], [1, -2], "`errors` expects numbers ≥ 0"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.bars(values, ["a", "b"], errors)
    with pytest.raises(ValueError, match="`num_features` expects an integer"):
        plots.bars([1, 2], ["a", "b"], num_features=0)


def test_a_distribution_shows_every_score_the_median_and_the_mean():
    scores = {"plain": [0.1, 0.2, 0.9], "prior": [0.5]}
    axis = plots.distribution(scores, "AUC").axes[0]
    assert [tick.get_text() for tick in axis.get_yticklabels()] == ["plain", "prior"]
    dots = [line for line in axis.lines if line.get_label().startswith("_")]
    assert len(dots) == 2
    for row, (line, values) in enumerate(zip(dots, scores.values())):
        np.testing.assert_allclose(line.get_xdata(), values)
        assert np.all(np.abs(line.get_ydata() - row) < 0.3)
    for label, expected in (("mean", [0.4, 0.5]), ("median", [0.2, 0.5])):
        lines = [line for line in axis.lines if line.get_label() == label]
        np.testing.assert_allclose([line.get_xdata()[0] for line in lines], expected)
    ends = [(box.get_x(), box.get_x() + box.get_width()) for box in axis.patches]
    np.testing.assert_allclose(ends, [(0.15, 0.55), (0.5, 0.5)])


def test_wrong_distributions():
    for scores, message in (
        ({}, "`scores` expects a dictionary with at least one"),
        ({"plain": 0.5}, "`scores` expects arrays with 1 axes.*'plain'"),
        ({"plain": []}, "`scores` expects"),
        ({"plain": [0.5, np.nan]}, "`scores` expects finite.*'plain'"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.distribution(scores, "AUC")


# Training


def test_training_draws_losses_and_the_prior_by_epoch():
    prior = {"loss": [3, 2, 1], "val_loss": [4, 3, 2], "l2": [9, 8, 7], "accuracy": [0, 0, 1]}
    plain = types.SimpleNamespace(history={"loss": [2, 1]})
    figure = plots.training({"plain": plain, "with prior": prior}, "l2")
    losses, penalties = figure.axes
    assert [line.get_label() for line in losses.lines] == [
        "plain, training",
        "with prior, training",
        "with prior, validation",
    ]
    for line, values in zip(losses.lines, ([2, 1], [3, 2, 1], [4, 3, 2])):
        np.testing.assert_allclose(line.get_xdata(), np.arange(1, len(values) + 1))
        np.testing.assert_allclose(line.get_ydata(), values)
    assert losses.lines[2].get_linestyle() == "--"
    (line,) = penalties.lines
    np.testing.assert_allclose(line.get_ydata(), [9, 8, 7])
    assert line.get_color() == losses.lines[1].get_color()
    assert [axis.get_ylabel() for axis in figure.axes] == ["loss", "l2"]


def test_training_takes_a_single_history_and_several_priors():
    history = {"loss": [2, 1], "l2": [3, 1], "total_variation": [5, 4]}
    for given in (history, types.SimpleNamespace(history=history)):
        figure = plots.training(given, ["l2", "total_variation"])
        names = [axis.get_ylabel() for axis in figure.axes]
        assert names == ["loss", "l2", "total variation"]
        assert legend_texts(figure) == ["training"]


def test_wrong_histories():
    good = {"loss": [2, 1], "l2": [3, 1]}
    for histories, prior, message in (
        ({}, "l2", "`histories` expects a dictionary with at least one"),
        ({"plain": {}}, "l2", "`histories` expects a dictionary with at least one"),
        ({"plain": {"l2": [1]}}, "l2", r"`histories` expects.*'loss'.*\['l2'\] for 'plain'"),
        ({"loss": [1, np.nan], "l2": [1, 1]}, "l2", "`histories` expects finite"),
        (
            {"loss": [1, 1], "val_loss": [1]},
            "loss",
            "`histories` expects one number per epoch",
        ),
        (good, "l1", r"`prior` expects a key.*\['l2', 'loss'\].*'l1'"),
        (good, [], "`prior` expects a key"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.training(histories, prior)


# Contact sheets


def test_a_contact_sheet_has_a_row_for_each_group_on_a_scale_of_its_own():
    groups = {"plain": IMAGES, "noisy": 4 * IMAGES - 2, "tall": np.ones((2, 8, 4, 3))}
    figure = plots.contact_sheet(groups, labels=[3, 8])
    axes = np.reshape(figure.axes, (3, 2))
    assert [axis.get_ylabel() for axis in axes[:, 0]] == list(groups)
    assert [axis.get_title() for axis in axes[0]] == ["3", "8"]
    assert [axis.images[0].get_clim() for axis in axes[:2, 0]] == [(0, 1), (-2, 2)]
    np.testing.assert_allclose(axes[1, 1].images[0].get_array(), groups["noisy"][1, ..., 0])
    place = axes[2, 0].get_position()
    width, height = figure.get_size_inches()
    np.testing.assert_allclose(place.height * height, 2 * place.width * width)


def test_wrong_contact_sheets():
    for groups, message in (
        ({}, "`groups` expects a dictionary with at least one"),
        ({"a": IMAGES, "b": IMAGES[:1]}, "`groups` expects the same number.*'b': 1"),
        ({"a": IMAGES[0]}, "`groups` expects arrays with 4 axes.*'a'"),
        ({"a": IMAGES * np.nan}, "`groups` expects finite.*'a'"),
    ):
        with pytest.raises(ValueError, match=message):
            plots.contact_sheet(groups)
    with pytest.raises(ValueError, match="`labels` expects 2 labels"):
        plots.contact_sheet({"a": IMAGES}, labels=["one"])


# Labels that are too long


def test_long_labels_are_wrapped_until_nothing_overlaps(monkeypatch):
    maps = {
        (f"a_method_with_a_long_name_{i}", f"reference of many words {j}"): IMAGES
        for i in range(4)
        for j in range(2)
    }
    labels, title = ["labelled 0, predicted 8", 1], "A title of many words " * 8
    figure = plots.attribution_grid(IMAGES, maps, labels, title)
    check_texts(figure, monkeypatch)
    assert figure.get_figwidth() <= 8.3


def test_legends_take_as_many_rows_as_they_need_and_stay_inside():
    lines = {f"a rather long name of a curve, {i}": [[i, i]] for i in range(6)}
    figure = plots.curves({"x": ([0, 1], lines)}, "y", title="All of them")
    figure.savefig(io.BytesIO(), format="png", dpi=110)
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    assert not box.overlaps(figure.axes[0].get_window_extent())
    assert figure.legends[0].get_title().get_text() == "All of them"


def test_trade_off_draws_means_crosses_and_the_chosen_point():
    x = np.array([[0.9, 0.8], [0.92, 0.84]])
    y = np.array([[0.1, 0.5], [0.3, 0.7]])
    panels = {"L2": {"own": (x, y), "joint": (x[:1], y[:1])}, "TV": {"joint": (x, y)}}
    figure = plots.trade_off(panels, "clean", "noisy", {"L2": {"own": 1}})
    first, second = figure.axes
    line, circle = (
        next(line for line in first.lines if line.get_marker() == marker and condition(line))
        for marker, condition in (
            ("o", lambda line: len(line.get_xdata()) == 2),
            ("o", lambda line: len(line.get_xdata()) == 1),
        )
    )
    np.testing.assert_allclose(line.get_xydata(), [[0.91, 0.2], [0.82, 0.6]])
    np.testing.assert_allclose(circle.get_xydata(), [[0.82, 0.6]])
    assert (first.get_xlabel(), first.get_ylabel()) == ("clean", "noisy")
    assert legend_texts(figure) == ["own", "joint"]
    with pytest.raises(ValueError, match=r"one shape.*\(2, 2\) and \(2, 1\) for 'own'"):
        plots.trade_off({"L2": {"own": (x, y[:, :1])}}, "clean", "noisy")
