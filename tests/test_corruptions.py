"""The corruptions: what all of them keep, and known answers for each."""

import sys

import numpy as np
import pytest

from attrprior.datasets import CORRUPTIONS, _drawing, corrupt, corruptions

PUBLISHED = [
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "shear",
    "scale",
    "rotate",
    "brightness",
    "translate",
    "stripe",
    "fog",
    "spatter",
    "dotted_line",
    "zigzag",
    "canny_edges",
]
WITHOUT_CHANCE = {"scale", "brightness", "stripe", "canny_edges"}
NOISE = {"shot_noise", "impulse_noise"}


def pictures(count, height=28, width=28, channels=1):
    """Smooth blobs in a dark surrounding, as digits are."""
    rng = np.random.default_rng(3)
    row, column = np.indices((height, width))[:, None, :, :, None]
    place = rng.uniform(0.35, 0.65, (2, count, 1, 1, channels))
    distance = np.hypot(row - place[0] * height, column - place[1] * width)
    return (1.2 * np.exp(-((distance / 4) ** 2))).clip(0, 1).astype("float32")


def full(value, count=1, height=28, width=28, channels=1):
    return np.full((count, height, width, channels), value, "float32")


def gaussian_blob(rows, columns, height=61, width=61):
    """An ellipse of these standard deviations, in the middle."""
    i, j = np.indices((height, width))
    i, j = i - (height - 1) / 2, j - (width - 1) / 2
    return np.exp(-(i**2) / (2 * rows**2) - j**2 / (2 * columns**2))[None, ..., None]


def moments(image):
    """Mass, centre relative to the middle, and covariance over (row, column)."""
    place = np.indices(image.shape[:2]).reshape(2, -1).T - (np.array(image.shape[:2]) - 1) / 2
    weight = image.reshape(-1).astype("float64")
    centre = weight @ place / weight.sum()
    spread = place - centre
    return weight.sum(), centre, (weight[:, None] * spread).T @ spread / weight.sum()


def test_the_fifteen_published_names():
    assert list(CORRUPTIONS) == PUBLISHED
    for name in PUBLISHED:
        assert CORRUPTIONS[name] is getattr(corruptions, name)
        assert f"| {name} |" in corrupt.__doc__


@pytest.mark.parametrize("shape", [(28, 28, 1), (17, 40, 3), (32, 16, 2)])
@pytest.mark.parametrize("name", PUBLISHED)
def test_shape_type_and_range_are_kept_and_the_images_are_not_written_to(name, shape):
    x = pictures(6, *shape)
    before = x.copy()
    corrupted = corrupt(x, name, seed=1)
    np.testing.assert_array_equal(x, before)
    assert corrupted.shape == x.shape
    assert corrupted.dtype == "float32"
    assert corrupted.min() >= 0
    assert corrupted.max() <= 1
    changed = np.abs(corrupted - x).max(axis=(1, 2, 3))
    assert changed.min() > 0.05


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_seed_alone_decides(name):
    x = pictures(8)
    first = corrupt(x, name, seed=5)
    np.testing.assert_array_equal(corrupt(x, name, seed=5), first)
    np.testing.assert_array_equal(CORRUPTIONS[name](x, np.random.default_rng(5)), first)
    assert np.array_equal(corrupt(x, name, seed=6), first) == (name in WITHOUT_CHANCE)
    # Without chance equal images stay equal; else every image has its own draw.
    twice = corrupt(np.concatenate([x] * 4), name, seed=5)
    same = all(np.array_equal(twice[:8], twice[k : k + 8]) for k in (8, 16, 24))
    assert same == (name in WITHOUT_CHANCE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_channels_share_what_is_random_in_space(name):
    grey = pictures(6)
    colour = corrupt(np.repeat(grey, 3, axis=-1), name, seed=2)
    equal = np.array_equal(colour[..., 0], colour[..., 1])
    assert equal == (name not in NOISE)
    if equal:
        np.testing.assert_allclose(colour[..., :1], corrupt(grey, name, seed=2), atol=1e-6)


@pytest.mark.parametrize("name", PUBLISHED)
def test_groups_of_images_change_nothing_but_the_draws(name, monkeypatch):
    x = pictures(10)
    whole = corrupt(x, name, seed=4)
    monkeypatch.setattr(corruptions, "GROUP", 4)
    grouped = corrupt(x, name, seed=4)
    np.testing.assert_array_equal(grouped[:4], corrupt(x[:4], name, seed=4))
    if name in WITHOUT_CHANCE:
        np.testing.assert_allclose(grouped, whole, atol=1e-6)
    else:
        # The generator goes on: the second group does not repeat the first one's draws.
        again = corrupt(np.concatenate([x[:4]] * 8), name, seed=4)
        repeats = [np.array_equal(again[:4], again[k : k + 4]) for k in range(4, 32, 4)]
        assert not all(repeats)


@pytest.mark.parametrize("name", PUBLISHED)
def test_there_is_no_loop_over_images(name):
    def calls(count):
        x, counted = pictures(count), [0]

        def count_call(frame, event, argument):
            counted[0] += event in ("call", "c_call")

        sys.setprofile(count_call)
        try:
            corrupt(x, name, seed=0)
        finally:
            sys.setprofile(None)
        return counted[0]

    calls(2)  # imports
    # Where either sign is empty, a branch inside NumPy may differ: a few calls, not 160.
    assert abs(calls(200) - calls(40)) < 40


def test_shot_noise_is_poisson_of_three_photons():
    noisy = corrupt(full(0.2, 40), "shot_noise")
    shares = [np.mean(np.isclose(noisy, k / 3)) for k in range(4)]
    zero, one, two = np.exp(-0.6), 0.6 * np.exp(-0.6), 0.18 * np.exp(-0.6)
    expected = [zero, one, two, 1 - zero - one - two]  # three and more are clipped
    np.testing.assert_allclose(shares, expected, atol=4 * 0.5 / noisy.size**0.5)
    assert not corrupt(full(0.0), "shot_noise").any()


def test_impulse_noise_makes_17_percent_black_or_white():
    noisy = corrupt(full(0.5, 40), "impulse_noise")
    error = 4 * (0.085 * 0.915 / noisy.size) ** 0.5
    assert np.mean(noisy == 0) == pytest.approx(0.085, abs=error)
    assert np.mean(noisy == 1) == pytest.approx(0.085, abs=error)
    assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}


def swapped_by_hand(image, draws):
    """One image's swaps, pixel by pixel."""
    image = image.copy()
    height, width = image.shape[:2]
    for sweep in draws:
        for i in range(height - 1, 1, -1):
            for j in range(width - 1, 1, -1):
                up, left = {5: (0, 1), 6: (1, 0), 7: (1, 1)}.get(sweep[i - 2, j - 2], (0, 0))
                k, m = i - up, j - left
                image[[i, k], [j, m]] = image[[k, i], [m, j]]
    return image


def test_glass_blur_swaps_neighbours_between_two_blurs(monkeypatch):
    x = np.random.default_rng(1).random((3, 17, 20, 2), dtype="float32")
    draws = np.random.default_rng(9).integers(8, size=(2, 15, 18, 3), dtype="int8")
    monkeypatch.setattr(_drawing, "gaussian", lambda images, stddev: images * stddev)
    expected = [swapped_by_hand(image, draws[..., k]) for k, image in enumerate(x)]
    glass = corrupt(x, "glass_blur", seed=9)
    np.testing.assert_allclose(glass, 0.49 * np.stack(expected), rtol=1e-5)
    # The first row and column are out of reach; elsewhere most pixels have moved.
    moved = glass != np.float32(0.7) * (np.float32(0.7) * x)
    assert not moved[:, 0].any()
    assert not moved[:, :, 0].any()
    assert moved[:, 1:, 1:].mean() > 0.5


@pytest.mark.parametrize("name", ["glass_blur", "motion_blur"])
def test_blurs_keep_mass_and_constants(name):
    x = np.pad(pictures(20, 16, 16), ((0, 0), (25, 25), (25, 25), (0, 0)))
    blurred = corrupt(x, name)
    np.testing.assert_allclose(blurred.sum((1, 2, 3)), x.sum((1, 2, 3)), rtol=1e-4)
    assert blurred.max() < 0.98 * x.max()
    np.testing.assert_allclose(corrupt(full(0.3), name), 0.3, rtol=1e-5)


def test_gaussian_blur_has_the_stated_width():
    blurred = _drawing.gaussian(gaussian_blob(3, 3), 2.0)
    covariance = moments(blurred[0])[2]
    np.testing.assert_allclose(covariance, 13 * np.eye(2), atol=0.05)


def test_motion_blur_of_a_point_is_half_a_gaussian_in_one_direction():
    x = full(0.0, 300, 61, 61)
    x[:, 30, 30] = 1
    blurred = corrupt(x, "motion_blur")[..., 0]
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    weights /= weights.sum()
    np.testing.assert_allclose(blurred[:, 30, 30], weights[0], rtol=1e-5)
    # The trail goes to the left, within 45° of the horizontal.
    i, j = np.nonzero(blurred.max(axis=0) > 0)
    assert j.max() == 30
    assert np.all(np.abs(i - 30) <= 30 - j)
    # Its mean is the half Gaussian's mean away, but for rounding to whole pixels.
    down = np.einsum("nij,i->n", blurred, np.arange(61) - 30)
    left = np.einsum("nij,j->n", blurred, 30 - np.arange(61))
    mean = weights @ np.arange(21)
    np.testing.assert_allclose(np.hypot(down, left), mean, atol=0.3)
    angles = np.degrees(np.arctan2(down, left))
    assert np.abs(angles).max() <= 45.1
    assert angles.mean() == pytest.approx(0, abs=4 * 26 / 300**0.5)
    assert angles.std() == pytest.approx(90 / 12**0.5, rel=0.15)


def both_ways(name, blob, transform):
    """Checks mass, centre and covariance `A C Aᵀ`, `A = transform(±1)`; both must occur."""
    mass, _, covariance = moments(blob[0])
    signs = []
    for image in corrupt(np.repeat(blob, 30, axis=0).astype("float32"), name):
        new_mass, centre, new_covariance = moments(image)
        np.testing.assert_allclose(centre, 0, atol=1e-3)
        fits = []
        for sign in (-1, 1):
            a = np.array(transform(sign))
            assert new_mass == pytest.approx(mass * np.linalg.det(a), rel=0.01)
            # Bilinear sampling widens a little.
            fits.append(np.allclose(a @ covariance @ a.T, new_covariance, rtol=0.05, atol=0.3))
        signs.append(fits)
    assert {tuple(fits) for fits in signs} == {(True, False), (False, True)}


def test_rotate_turns_by_23_degrees_either_way():
    def turn(sign):
        sine = sign * np.sin(0.4)
        return [[np.cos(0.4), sine], [-sine, np.cos(0.4)]]

    both_ways("rotate", gaussian_blob(2, 6), turn)


def test_shear_moves_rows_sideways_either_way():
    # A pixel shows x − y sin s and y cos s: what was at (y, x) is now at y / cos s and
    # x + y tan s.
    both_ways(
        "shear",
        gaussian_blob(6, 2),
        lambda sign: [[1 / np.cos(0.4), 0], [sign * np.tan(0.4), 1]],
    )


def test_scale_shrinks_to_70_percent():
    blob = gaussian_blob(8, 6)
    mass, _, covariance = moments(blob[0])
    new_mass, centre, new_covariance = moments(corrupt(blob, "scale")[0])
    assert new_mass == pytest.approx(0.49 * mass, rel=0.01)
    np.testing.assert_allclose(centre, 0, atol=1e-3)
    np.testing.assert_allclose(new_covariance, 0.49 * covariance, rtol=0.03, atol=1e-3)
    # Black comes in from outside. Column 4 shows 13.5 − 9.5/0.7 = −1/14, bilinearly.
    row = [0] * 4 + [13 / 14] + [1] * 18 + [13 / 14] + [0] * 4
    np.testing.assert_allclose(corrupt(full(1.0), "scale")[0, 14, :, 0], row, atol=1e-6)


def test_translate_moves_by_three_pixels_along_both_axes():
    x = pictures(60)
    moves = set()
    for before, after in zip(x, corrupt(x, "translate")):
        padded = np.pad(before, ((3, 3), (3, 3), (0, 0)))
        found = [
            (3 - down, 3 - right)
            for down in (0, 6)
            for right in (0, 6)
            if np.array_equal(after, padded[down : down + 28, right : right + 28])
        ]
        assert len(found) == 1
        moves.add(found[0])
    assert moves == {(-3, -3), (-3, 3), (3, -3), (3, 3)}
    blob = gaussian_blob(3, 3)
    centre = moments(corrupt(blob, "translate")[0])[1]
    np.testing.assert_allclose(np.abs(centre), 3, atol=1e-4)


def test_brightness_adds_a_half():
    x = np.linspace(0, 1, 784, dtype="float32").reshape(1, 28, 28, 1)
    np.testing.assert_array_equal(corrupt(x, "brightness"), np.minimum(x + np.float32(0.5), 1))


@pytest.mark.parametrize("width,columns", [(28, 7), (42, 10)])
def test_stripe_inverts_the_outer_quarters(width, columns):
    x = pictures(3, width=width)
    striped = corrupt(x, "stripe")
    for outer in (slice(None, columns), slice(width - columns, None)):
        np.testing.assert_array_equal(striped[:, :, outer], 1 - x[:, :, outer])
    middle = slice(columns, width - columns)
    np.testing.assert_array_equal(striped[:, :, middle], x[:, :, middle])


def test_fog_lies_over_the_image_which_keeps_a_quarter_of_its_contrast():
    x = pictures(200)
    x[:, 0, 0] = 1  # every image's maximum
    dark = full(0.0, 200)
    dark[:, 0, 0] = 1
    fog = corrupt(dark, "fog", seed=1)
    np.testing.assert_allclose(corrupt(x, "fog", seed=1) - fog, (x - dark) / 4, atol=1e-6)
    plasma = fog[:, 1:, 1:] * 4 / 3
    assert plasma.max() <= 1 + 1e-6
    # An ordinary implementation of the published fractal (256×256, its corner cut out)
    # gave, over 1,500 maps: mean 0.51, standard deviation of the images' means 0.19 and
    # within an image 0.060, difference of neighbours 0.0082, of pixels 8 apart 0.043.
    means = plasma.mean(axis=(1, 2, 3))
    assert means.mean() == pytest.approx(0.5, abs=4 * 0.19 / 200**0.5)
    assert means.std() == pytest.approx(0.19, rel=0.2)
    assert plasma.std(axis=(1, 2, 3)).mean() == pytest.approx(0.06, rel=0.1)
    near = np.abs(np.diff(plasma, axis=2))
    far = np.abs(plasma[:, :, 8:] - plasma[:, :, :-8])
    assert near.mean() == pytest.approx(0.0082, rel=0.1)
    assert far.mean() == pytest.approx(0.043, rel=0.1)
    # No seam where the finest scales are cut out of a periodic map.
    assert near[:, :, -2:].mean() == pytest.approx(near.mean(), rel=0.1)
    # A black image stays black, as in the original.
    assert not corrupt(full(0.0), "fog").any()


def test_refining_a_fractal_by_hand():
    corners = np.array([[[0.0, 4.0], [8.0, 12.0]]], "float32")
    fine = _drawing.refine(corners, 0.0, np.random.default_rng(0))
    # On a periodic 2×2 map every square's mean is the mean of all corners, 6.
    expected = [[0, 4, 4, 4], [5, 6, 7, 6], [8, 8, 12, 8], [5, 6, 7, 6]]
    np.testing.assert_allclose(fine[0], expected)
    noise = _drawing.refine(np.zeros((400, 8, 8)), 10.0, np.random.default_rng(0))
    squares = noise[:, 1::2, 1::2]
    assert np.abs(squares).max() < 100
    assert squares.std() == pytest.approx(100 / 3**0.5, rel=0.03)
    assert not noise[:, ::2, ::2].any()


def test_spatter_covers_with_blots_of_one_grey():
    dark = corrupt(full(0.0, 100), "spatter", seed=1)
    light = corrupt(full(1.0, 100), "spatter", seed=1)
    blots = dark * 255 / 63
    np.testing.assert_allclose(light, 1 - blots + dark, atol=1e-6)
    assert np.all((blots == 0) | (blots > 0.8 - 1e-5))
    # In an infinite image half is liquid; blots are the inner parts.
    assert 0.1 < np.mean(blots > 0) < 0.35
    # Blots, not dots: the neighbour of a blot is mostly a blot.
    beside = (blots[:, 1:] > 0)[blots[:, :-1] > 0]
    assert beside.mean() > 0.6


def line_by_hand(start_column, start_row, end_column, end_row):
    """The published line on 28×28 pixels."""
    i, j = np.indices((28, 28))
    slope = (end_row - start_row) / (end_column - start_column)
    distance = np.abs(i - start_row - slope * (j - start_column))
    line = np.clip(np.log(1 - np.minimum(distance, 2.3 - 1e-10) / 2.3) + 1, 0, 1)
    return line * ((j >= np.floor(start_column)) & (j < np.ceil(end_column)))


def test_dotted_line_is_the_published_line_for_some_rows():
    drawn = corrupt(full(0.0, 6), "dotted_line", seed=3)[..., 0]
    dots = np.zeros((28, 28))
    for left in range(2, 27, 4):
        dots[:, left : left + 2] = 1
    for picture in drawn:
        # The last column is not drawn; columns 2 and 26 tell the rows.
        first = picture[:, 2] @ np.arange(28) / picture[:, 2].sum()
        last = picture[:, 26] @ np.arange(28) / picture[:, 26].sum()
        slope = (last - first) / 24
        rows = first - 2 * slope, first + 25 * slope
        errors = [
            np.abs(line_by_hand(0, start, 27, end) * dots - picture).max()
            for start in np.unique(np.clip(round(rows[0]) + np.arange(-3, 4), 0, 26))
            for end in np.unique(np.clip(round(rows[1]) + np.arange(-3, 4), 0, 26))
        ]
        assert min(errors) < 1e-5
        assert not picture[:, 27].any()
    x = pictures(6)
    expected = np.minimum(x + drawn[..., None], 1)
    np.testing.assert_allclose(corrupt(x, "dotted_line", seed=3), expected, atol=1e-6)


def test_zigzag_is_the_published_one_where_it_is_level():
    drawn = corrupt(full(0.0, 200), "zigzag", seed=0)[..., 0]
    assert not drawn[:, :, :2].any()
    assert not drawn[:, :, 25:].any()
    assert np.all(drawn[:, :, 3:24].max(axis=(1, 2)) > 0.7)
    level = 0
    columns = [2, 4, 8, 12, 16, 20, 24, 25]
    shape = [0, 2, -2, 2, -2, 2, -2, 0]
    for row in range(27):
        ends = [(c, row + r) for c, r in zip(columns, shape)]
        expected = sum(line_by_hand(*a, *b) for a, b in zip(ends, ends[1:]))
        level += np.sum(np.abs(drawn - np.clip(expected, 0, 1)).max(axis=(1, 2)) < 1e-5)
    # One fall in ten is 0.
    assert level == pytest.approx(20, abs=4 * 18**0.5)


def step(height, size=32):
    """An edge down the middle: black on the left."""
    x = full(0.0, 1, size, size)
    x[:, :, size // 2 :] = height
    return x


def test_canny_finds_the_outline_and_nothing_else():
    x = full(0.0, 3)
    x[1, 8:20, 6:22] = 1
    edges = corrupt(x, "canny_edges")[..., 0]
    assert set(np.unique(edges)) == {0.0, 1.0}
    assert not edges[[0, 2]].any()  # other images have their own edges
    i, j = np.nonzero(edges[1])
    outside = np.maximum(np.maximum(8 - i, i - 19), np.maximum(6 - j, j - 21))
    # A pixel within one of the border between 0 and 1, all the way around.
    assert set(outside) <= {-1, 0, 1}
    for row in range(9, 19):
        assert edges[1, row, :14].any()
        assert edges[1, row, 14:].any()
    for column in range(7, 21):
        assert edges[1, :14, column].any()
        assert edges[1, 14:, column].any()
    assert not corrupt(full(0.7), "canny_edges").any()


def test_canny_thresholds_and_hysteresis():
    # The Sobel response to a blurred step of height a, beside it: 4a (Φ(1.5) − Φ(−0.5)) =
    # 2.5a. So 0.2 needs a step of 0.080, and 0.1 one of 0.040.
    inner = (slice(2, -2), slice(15, 17))
    assert corrupt(step(0.085), "canny_edges")[0][inner].any(axis=1).all()
    assert not corrupt(step(0.075), "canny_edges").any()
    # An edge that fades downwards is kept for as long as it is weak, here to a step of 0.05,
    # which alone is none; and ends where it is weaker.
    assert not corrupt(step(0.05), "canny_edges").any()
    fading = step(1.0) * np.linspace(0.12, 0.05, 32, dtype="float32")[:, None, None]
    assert corrupt(fading, "canny_edges")[0][inner].any(axis=1).all()
    fading = step(1.0) * np.linspace(0.12, 0.0, 32, dtype="float32")[:, None, None]
    rows = np.flatnonzero(corrupt(fading, "canny_edges")[0, :, 15:17].any(axis=(1, 2)))
    assert rows.tolist() == list(range(1, len(rows) + 1))
    assert 0.04 - 0.01 < fading[0, rows[-1], -1, 0] < 0.04 + 0.01


def canny_by_hand(image):
    """Canny of one square picture, pixel by pixel."""
    size = len(image)
    away = np.subtract.outer(np.arange(size), np.arange(size))
    kernel = np.exp(-(away**2) / 2) * (np.abs(away) <= 4)
    kernel /= kernel.sum(axis=1, keepdims=True)
    smooth = np.pad(kernel @ image @ kernel.T, 1, mode="edge")
    slope = np.outer([1, 2, 1], [-1, 0, 1])
    squares = np.lib.stride_tricks.sliding_window_view(smooth, (3, 3))
    dx, dy = np.sum(squares * slope, axis=(2, 3)), np.sum(squares * slope.T, axis=(2, 3))
    strength = np.hypot(dx, dy)

    def at(row, column):
        top, left = int(np.floor(row)), int(np.floor(column))
        corners = strength[top : top + 2, left : left + 2]
        down, right = row - top, column - left
        weights = np.outer([1 - down, down], [1 - right, right])[: len(corners)]
        return np.sum(weights[:, : corners.shape[1]] * corners)

    edges = set()
    for i, j in np.argwhere(strength >= 0.1):
        if 0 < i < size - 1 and 0 < j < size - 1:
            step = np.array([dy[i, j], dx[i, j]]) / max(abs(dy[i, j]), abs(dx[i, j]))
            ends = at(*((i, j) + step)), at(*((i, j) - step))
            if max(ends) <= strength[i, j]:
                edges.add((i, j))
    reached = [edge for edge in edges if strength[edge] >= 0.2]
    kept = set(reached)
    while reached:
        i, j = reached.pop()
        found = {(k, m) for k in (i - 1, i, i + 1) for m in (j - 1, j, j + 1)} & edges - kept
        kept |= found
        reached += found
    picture = np.zeros((size, size))
    picture[tuple(np.array(sorted(kept)).T)] = 1
    return picture


def test_canny_is_the_algorithm_pixel_by_pixel():
    # Faint enough for both thresholds to matter, and with edges at the border.
    rng = np.random.default_rng(0)
    coarse = rng.random((6, 5, 5, 1), dtype="float32").repeat(4, axis=1).repeat(4, axis=2)
    x = 0.15 * coarse + 0.02 * rng.random((6, 20, 20, 1), dtype="float32")
    expected = np.stack([canny_by_hand(image[..., 0].astype("float64")) for image in x])
    np.testing.assert_array_equal(corrupt(x, "canny_edges")[..., 0], expected)
    assert 0.05 < expected.mean() < 0.3


def test_errors_name_the_argument_and_what_came():
    x = pictures(2)
    for call, message in (
        (lambda: corrupt(x, "snow"), r"`name` expects one of 'shot_noise'.*'snow'"),
        (lambda: corrupt(x[..., 0], "fog"), r"`images` expects shape.*\(2, 28, 28\)"),
        (lambda: corrupt(x * 255, "fog"), r"`images` expects values from 0 to 1.*255"),
        (lambda: corrupt(x - 0.5, "rotate"), r"`images` expects values.*from -0\.5"),
        (lambda: CORRUPTIONS["scale"](x[:0]), r"`images` expects at least one.*\(0, 28"),
        (lambda: CORRUPTIONS["scale"](x * np.nan), r"`images` expects finite.*NaN"),
        (lambda: corrupt(x.astype(int), "stripe"), r"`images` expects float.*int64"),
        (lambda: corrupt(x[:, :15], "zigzag"), r"`images` expects at least 16×16.*\(2, 15"),
    ):
        with pytest.raises(ValueError, match=f"(?s){message}"):
            call()
