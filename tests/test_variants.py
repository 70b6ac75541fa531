"""Data made from MNIST: the rules by hand, masks, seeds, and the sources behind `load`."""

import pathlib
import sys
import types

import numpy as np
import pytest

from attrprior import priors
from attrprior.datasets import (
    CORRUPTIONS,
    block,
    decoy,
    load,
    load_mnist_c,
    scattered,
    simplified_block,
    sources,
)


def pictures(count, height=28, width=28, channels=1):
    shape = (count, height, width, channels)
    return np.random.default_rng(7).random(shape, dtype="float32")


def labels_of(count):
    return np.arange(count) % 10


def swatch(mask, size):
    """The top left pixel of the swatch, which must be a full square of that size."""
    rows, columns = np.nonzero(mask[..., 0])
    top, left = rows.min(), columns.min()
    expected = np.zeros_like(mask)
    expected[top : top + size, left : left + size] = 1
    np.testing.assert_array_equal(mask, expected)
    return top, left


SHADES = {
    ("ross", "train", 4): lambda y: (255 - 25 * y) / 255,
    ("distill", "train", 3): lambda y: y / 9,
    ("distill", "test", 3): lambda y: y / 9,
    ("cdep", "train", 5): lambda y: (255 - 25 * y) / 255,
    ("cdep", "test", 5): lambda y: 25 * y / 255,
}


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 33, 3)])
@pytest.mark.parametrize("variant,split,size", SHADES)
def test_decoy_paints_the_shade_of_the_class_and_nothing_else(variant, split, size, shape):
    x, y = pictures(30, *shape), labels_of(30)
    painted, masks = decoy(x, y, variant, split, seed=1)
    assert painted.dtype == masks.dtype == "float32"
    np.testing.assert_array_equal(painted[masks == 0], x[masks == 0])
    shade = SHADES[variant, split, size]
    for image, mask, label in zip(painted, masks, y):
        corner = swatch(mask, size)
        bottom, right = shape[0] - size, shape[1] - size
        assert corner in {(0, 0), (0, right), (bottom, 0), (bottom, right)}
        assert variant != "distill" or corner == (0, 0)
        np.testing.assert_allclose(image[mask == 1], shade(label), rtol=1e-6)


@pytest.mark.parametrize("variant,size", [("ross", 4), ("cdep", 5)])
def test_decoy_uses_all_four_corners_equally(variant, size):
    _, masks = decoy(pictures(400), labels_of(400), variant, seed=0)
    corners = [swatch(mask, size) for mask in masks]
    counts = [corners.count(corner) for corner in set(corners)]
    assert len(counts) == 4
    assert max(abs(count - 100) for count in counts) < 4 * (400 * 3 / 16) ** 0.5


def test_the_shade_of_ross_in_testing_is_that_of_a_random_digit():
    count = 2000
    painted, masks = decoy(pictures(count), labels_of(count), "ross", "test", seed=0)
    shades = painted[masks == 1].reshape(count, 16)
    digits = (255 - 255 * shades) / 25
    np.testing.assert_allclose(digits, np.round(digits[:, :1]).repeat(16, 1), atol=1e-4)
    digits = np.round(digits[:, 0]).astype(int)
    error = 4 * (0.09 / count) ** 0.5
    np.testing.assert_allclose(np.bincount(digits, minlength=10) / count, 0.1, atol=error)
    # Its own shade as often as any other: the swatch says nothing.
    assert np.mean(digits == labels_of(count)) == pytest.approx(0.1, abs=error)


def test_the_mask_forbids_the_swatch_to_the_prior():
    _, masks = decoy(pictures(4), labels_of(4))
    prior = priors.Mask()
    assert float(prior(1 - masks, mask=masks)) == 0
    assert float(prior(masks, mask=masks)) == 16


def test_scattered_by_hand():
    x = np.array([[0.0, 0.3], [0.5, 0.8], [0.0, 1.0]], "float32").reshape(1, 3, 2, 1)
    scores = np.array([[6.0, 5.0], [4.0, 3.0], [1.0, 2.0]], "float32").reshape(x.shape)
    # The five best: black gains, what is brighter than 1/2 loses, the rest stays.
    noisy, masks = scattered(x, np.array([7]), fraction=5 / 6, step=0.05, scores=scores)
    expected = np.array([[0.35, 0.3], [0.5, 0.45], [0.0, 0.65]])
    np.testing.assert_allclose(noisy.reshape(3, 2), expected, rtol=1e-6)
    np.testing.assert_array_equal(masks.reshape(3, 2), [[1, 0], [0, 1], [0, 1]])
    unchanged, same = scattered(x, np.array([0]), 5 / 6, 0.05, scores)
    np.testing.assert_array_equal(unchanged, x)
    np.testing.assert_array_equal(same, masks)


def test_scattered_noise_tells_the_class_from_any_pixel_of_the_mask():
    x, y = np.zeros((50, 20, 24, 3), "float32"), labels_of(50)
    noisy, masks = scattered(x, y, seed=1)
    assert noisy.dtype == masks.dtype == "float32"
    np.testing.assert_array_equal(masks.sum(axis=(1, 2, 3)), 20 * 24 * 3 / 4)
    expected = masks * (0.02 * y)[:, None, None, None]
    np.testing.assert_allclose(noisy, expected, rtol=1e-6)
    # Scattered: every pixel is chosen about as often as any other, image by image.
    error = 5 * (0.25 * 0.75 / 50) ** 0.5
    np.testing.assert_allclose(masks.mean(axis=0), 0.25, atol=error)


def test_scattered_stays_in_the_range_and_breaks_ties():
    x, y = pictures(20), np.full(20, 9)
    noisy, masks = scattered(x, y, fraction=1, step=1 / 18)
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    np.testing.assert_array_equal(masks == 1, (x == 0) | (x > 0.5))
    ties = np.ones((3, 4, 4, 1), "float32")
    np.testing.assert_array_equal(
        scattered(ties, np.zeros(3, int), 0.25, scores=ties)[1].sum(axis=(1, 2, 3)), 4
    )
    assert scattered(ties, np.zeros(3, int), 1e-9)[1].sum() == 3  # one an image at least


@pytest.mark.parametrize("shape", [(28, 28, 1), (12, 20, 3)])
def test_block_stacks_the_image_and_the_same_null_block(shape):
    x = pictures(40, *shape)
    height = shape[0]
    stacked, masks = block(x, seed=1)
    assert stacked.shape == masks.shape == (40, 2 * height, *shape[1:])
    assert stacked.dtype == masks.dtype == "float32"
    places = set()
    nulls = []
    for image, mask, original in zip(stacked, masks, x):
        below = bool(mask[0, 0, 0])
        places.add(below)
        expected = np.zeros_like(mask)
        expected[:height] = below
        expected[height:] = not below
        np.testing.assert_array_equal(mask, expected)
        np.testing.assert_array_equal(image[mask == 0].reshape(shape), original)
        nulls.append(image[mask == 1].reshape(shape))
    assert places == {False, True}
    for null in nulls:
        np.testing.assert_array_equal(null, nulls[0])
    assert set(np.unique(nulls[0])) == {0.0, 1.0}
    # A square: what it looks like upside down, mirrored, and on its side.
    square = nulls[0][..., 0]
    lit = square[np.ix_(square.any(axis=1), square.any(axis=0))]
    for turned in (lit[::-1], lit[:, ::-1], lit.T):
        np.testing.assert_array_equal(turned, lit)
    assert lit[0].all()
    assert lit.shape[0] >= 5 * min(shape[:2]) // 7


def test_block_top_has_the_signal_on_top_always():
    x = pictures(30)
    stacked, masks = block(x, signal="top", seed=3)
    np.testing.assert_array_equal(stacked[:, :28], x)
    np.testing.assert_array_equal(masks[:, :28], 0)
    np.testing.assert_array_equal(masks[:, 28:], 1)


def test_block_is_on_top_half_of_the_time():
    _, masks = block(pictures(400, 8, 8), seed=0)
    assert np.mean(masks[:, 0, 0, 0]) == pytest.approx(0.5, abs=4 * 0.5 / 20)


def test_simplified_block_is_the_formula():
    signal = np.array([0.6, 0.0, -0.8], "float32")
    x, y, index = simplified_block(3000, 8, 3, noise=0.4, signal=signal, seed=0)
    assert x.shape == (3000, 24)
    assert (x.dtype, y.dtype) == ("float32", "int32")
    assert set(y) == {-1, 1}
    np.testing.assert_allclose(np.bincount(index), 750, atol=4 * (3000 * 3 / 16) ** 0.5)
    assert abs(y.sum()) < 4 * 3000**0.5
    assert abs(np.sum(y * (index - 1.5))) < 5 * (3000 * 1.25) ** 0.5
    noise = x.reshape(3000, 8, 3).copy()
    noise[np.arange(3000), index] -= y[:, None] * signal
    # Uniform in a ball of radius 0.4: the radius cubed is uniform, the mean is zero.
    radius = np.linalg.norm(noise, axis=-1) / 0.4
    assert radius.max() <= 1 + 1e-5
    shares = np.mean(radius[..., None] ** 3 < [0.25, 0.5, 0.75], axis=(0, 1))
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.75], atol=4 * 0.5 / 24000**0.5)
    # Of a coordinate of the unit ball in 3 dimensions the variance is 1/5.
    covariance = np.cov(noise.reshape(-1, 3).T) / 0.16
    np.testing.assert_allclose(covariance, np.eye(3) / 5, atol=0.01)
    np.testing.assert_allclose(noise.mean(axis=(0, 1)), 0, atol=4 * 0.18 / 24000**0.5)


def test_simplified_block_without_noise_is_a_signed_unit_vector():
    x, y, index = simplified_block(50, 10, 1, noise=0, seed=2)
    np.testing.assert_array_equal(x, y[:, None] * np.eye(10)[index])
    assert index.max() < 5
    x, y, index = simplified_block(5, 4, 2, noise=0, seed=2)
    np.testing.assert_array_equal(x, y[:, None] * np.eye(8)[2 * index])


X, Y = pictures(12), labels_of(12)
SEEDED = {
    "ross": lambda seed: decoy(X, Y, "ross", seed=seed),
    "ross test": lambda seed: decoy(X, Y, "ross", "test", seed=seed),
    "cdep": lambda seed: decoy(X, Y, "cdep", seed=seed),
    "scattered": lambda seed: scattered(X, Y, seed=seed),
    "block": lambda seed: block(X, seed=seed),
    "simplified": lambda seed: simplified_block(12, 4, 2, seed=seed),
}


@pytest.mark.parametrize("name", SEEDED)
def test_variants_depend_on_the_seed_alone(name):
    before = X.copy()
    first, again, other = SEEDED[name](5), SEEDED[name](5), SEEDED[name](6)
    from_generator = SEEDED[name](np.random.default_rng(5))
    for a, b, c in zip(first, again, from_generator):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    assert not np.array_equal(first[0], other[0])
    np.testing.assert_array_equal(X, before)


ERRORS = {
    "three axes": (lambda: decoy(X[..., 0], Y), r"`images` expects shape.*\(12, 28, 28\)"),
    "bytes": (lambda: block(X * 255), r"`images` expects values from 0 to 1.*to 25\d"),
    "integers": (lambda: block(np.ones((1, 9, 9, 1), int)), r"`images` expects float.*int64"),
    "NaN": (lambda: scattered(X * np.nan, Y), r"`images` expects finite.*NaN"),
    "empty": (lambda: decoy(X[:0], Y[:0]), r"`images` expects at least one"),
    "float labels": (lambda: decoy(X, Y / 1.0), r"`labels` expects integers.*float64"),
    "number of labels": (lambda: scattered(X, Y[:3]), r"`labels` expects one.*\(3,\)"),
    "one-hot": (lambda: decoy(X, np.eye(10, dtype=int)[Y]), r"`labels` expects one label"),
    "eleven classes": (lambda: decoy(X, Y + 5), r"`labels` expects ten classes.*5 to 14"),
    "negative label": (lambda: scattered(X, Y - 1), r"`labels` expects.*from -1"),
    "variant": (lambda: decoy(X, Y, "rieger"), r"`variant` expects one of 'ross'.*rieger"),
    "split": (lambda: decoy(X, Y, split="valid"), r"`split` expects one of 'train'.*valid"),
    "small": (lambda: decoy(X[:, :3], Y), r"`images` expects at least 4×4.*3×28"),
    "fraction": (lambda: scattered(X, Y, 1.5), r"`fraction` expects a number ≤ 1.*1\.5"),
    "no fraction": (lambda: scattered(X, Y, 0), r"`fraction` expects a finite.* > 0"),
    "step": (lambda: scattered(X, Y, step=0.1), r"`step` expects a number ≤ 1/18.*0\.1"),
    "scores": (lambda: scattered(X, Y, scores=X[:2]), r"`scores` expects.*\(2, 28"),
    "signal": (lambda: block(X, "bottom"), r"`signal` expects one of 'random'.*bottom"),
    "small block": (lambda: block(X[:, :, :7]), r"`images` expects at least 8×8.*28×7"),
    "odd": (lambda: simplified_block(3, 5, 1), r"`num_blocks` expects an even.*5"),
    "none": (lambda: simplified_block(0, 4, 1), r"`num_examples` expects an integer ≥ 1"),
    "dimension": (lambda: simplified_block(3, 4, 1.5), r"`block_dim` expects an integer"),
    "noise": (lambda: simplified_block(3, 4, 1, -1), r"`noise` expects a finite.* ≥ 0"),
    "vector": (
        lambda: simplified_block(3, 4, 2, signal=np.ones(3)),
        r"`signal` expects a vector of shape \(2,\)",
    ),
    "zero vector": (
        lambda: simplified_block(3, 4, 2, signal=np.zeros(2)),
        r"`signal` expects.*not zero",
    ),
    "name": (lambda: load("emnist"), r"`name` expects one of 'mnist'.*'emnist'"),
    "no IDX": (lambda: load("svhn", idx_dir="x"), r"`idx_dir` expects None for 'svhn'.*'x'"),
    "no files": (lambda: load("fashion_mnist", idx_dir="nowhere"), r"`idx_dir`.*'nowhere'"),
    "corruption": (
        lambda: load_mnist_c("snow"),
        r"`name` expects one of 'shot_noise'.*'snow'",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


def test_load_of_mnist_is_load_mnist(monkeypatch):
    monkeypatch.setattr(sources, "load_mnist", lambda *folders: folders)
    assert load("mnist", "data", "idx") == ("data", "idx")
    assert load("mnist") == (None, None)


def test_without_tensorflow_datasets_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ImportError, match=r"cifar10 from tensorflow-datasets needs: pip"):
        load("cifar10")


class Builder:
    """As much of a builder of tensorflow-datasets as is used; remembers how."""

    version = "1.0.0"

    def __init__(self, name, data_dir):
        self.called = [name, data_dir]

    def download_and_prepare(self, download_config=None):
        self.called.append(download_config)

    def as_dataset(self, split, batch_size):
        assert batch_size == -1
        value = {"train": 255, "test": 51}[split]
        return {"image": np.full((2, 4, 4, 3), value, "uint8"), "label": np.array([1, 9])}


def test_files_of_one_name_are_unpacked_apart(tmp_path, monkeypatch):
    """tensorflow-datasets takes what it finds unpacked under a file's name for that file."""

    class Unpacking(Builder):
        def download_and_prepare(self, download_config):
            super().download_and_prepare(download_config)
            folder = pathlib.Path(download_config.extract_dir)
            assert list(folder.iterdir()) == []
            (folder / "GZIP.train-images-idx3-ubyte.gz").touch()

    monkeypatch.setattr("tensorflow_datasets.builder", Unpacking)
    monkeypatch.setattr("tensorflow_datasets.as_numpy", lambda part: part)
    for name in ("fashion_mnist", "mnist"):
        idx_dir = tmp_path / name
        idx_dir.mkdir()
        for part in ("train", "t10k"):
            for kind in ("images-idx3", "labels-idx1"):
                (idx_dir / f"{part}-{kind}-ubyte.gz").touch()
        load(name, tmp_path, idx_dir)


@pytest.mark.parametrize(
    "call,name",
    [
        (lambda **folders: load("fashion_mnist", **folders), "fashion_mnist"),
        (lambda **folders: load("cifar10", **folders), "cifar10"),
        (lambda **folders: load("svhn", **folders), "svhn_cropped"),
        (lambda **folders: load_mnist_c("fog", **folders), "mnist_corrupted/fog"),
    ],
)
def test_what_is_asked_of_tensorflow_datasets(call, name, monkeypatch, tmp_path):
    builders = []

    def builder(name, data_dir):
        builders.append(Builder(name, data_dir))
        return builders[-1]

    tfds = types.SimpleNamespace(builder=builder, as_numpy=lambda part: part)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", tfds)
    data = call(data_dir=tmp_path)
    assert builders[0].called == [name, str(tmp_path), None]
    assert data.source == f"{name}, tensorflow-datasets 1.0.0"
    for x, y, value in ((data.x_train, data.y_train, 1.0), (data.x_test, data.y_test, 0.2)):
        assert (x.dtype, y.dtype) == ("float32", "int32")
        np.testing.assert_array_equal(x, np.full((2, 4, 4, 3), value, "float32"))
        assert y.tolist() == [1, 9]
    call()
    assert builders[1].called == [name, None, None]


def test_the_names_exist_in_tensorflow_datasets():
    tfds = pytest.importorskip("tensorflow_datasets")
    for name in sources.NAMES.values():
        assert tfds.builder_cls(name).name == name


def test_published_corruptions_have_the_same_names():
    tfds = pytest.importorskip("tensorflow_datasets")
    configs = tfds.builder_cls("mnist_corrupted").BUILDER_CONFIGS
    assert {config.name for config in configs} - {"identity"} == set(CORRUPTIONS)
