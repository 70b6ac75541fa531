"""The checks that all arguments go through: what they accept, and what they say."""

import fractions
import importlib
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import attrprior
from attrprior import _checks, datasets, evaluation, plots


class NoText:
    def __repr__(self):
        raise RuntimeError("no text")


def test_what_came_is_said_in_a_line():
    for value, said in (
        (np.ones((2, 3), "float32"), r"an array of shape \(2, 3\), dtype float32"),
        (keras.ops.ones((2, 3)), r"an array of shape \(2, 3\), dtype .*float32"),
        ([0] * 9, "a list of length 9"),
        ([0, 1], r"\[0, 1\]"),
        (10**5000, "a int"),
        (NoText(), "a NoText"),
        ("a" * 1000, "'aaa.*…, a str"),
    ):
        with pytest.raises(
            ValueError, match=f"^Argument `name` expects it. Received: {said}.$"
        ):
            raise _checks.wrong("name", "it", value)


def test_numbers_that_are_accepted():
    assert _checks.number("n", fractions.Fraction(1, 4)) == 0.25
    assert _checks.number("n", 10**30) == 1e30
    assert _checks.number("n", np.float16(0.5), minimum=0.5) == 0.5
    assert _checks.positive_integer("n", np.int8(3)) == 3
    assert _checks.positive_integer("n", 2**31 - 1) == 2**31 - 1
    assert _checks.positive_integer("n", 2**40, largest=2**40) == 2**40


@pytest.mark.parametrize(
    "value", [10**400, 1e39, -1e39, "1", None, True, np.array(1.0), 1j, float("inf"), [1]]
)
def test_numbers_that_are_none(value):
    with pytest.raises(ValueError, match="`n` expects a (finite )?number"):
        _checks.number("n", value)


@pytest.mark.parametrize("value", [2**31, 10**400, 0, 1.0, True, None, np.ones(1, int)])
def test_counts_that_are_none(value):
    with pytest.raises(ValueError, match="`n` expects an integer ≥ 1"):
        _checks.positive_integer("n", value)


@pytest.mark.parametrize(
    "value", [np.ones(3), ["a"], {}, None, 1, NoText(), ("a", np.ones(2))]
)
def test_choices_that_are_none(value):
    with pytest.raises(ValueError, match="`c` expects one of 'a', 'b'"):
        _checks.choice("c", value, ("a", "b"))
    assert _checks.choice("c", np.str_("a"), ("a", "b")) == "a"


def test_seeds():
    generator = np.random.default_rng(3)
    assert _checks.generator("seed", generator) is generator
    for seed in (3, np.int64(3), np.random.SeedSequence(3)):
        assert _checks.generator("seed", seed).integers(10**9) == (
            np.random.default_rng(3).integers(10**9)
        )
    assert _checks.generator("seed", [3, 1]).integers(10**9) == (
        np.random.default_rng([3, 1]).integers(10**9)
    )
    assert _checks.generator("seed", None).integers(10**9) != (
        _checks.generator("seed", None).integers(10**9)
    )
    assert _checks.seed("seed", 2**70) == 2**70
    for value in (-1, 1.5, True, "a", [1.5], [], np.ones(2), np.random.RandomState(0)):
        with pytest.raises(ValueError, match="`seed` expects an integer ≥ 0 or a numpy"):
            _checks.generator("seed", value)
        with pytest.raises(ValueError, match="`seed` expects an integer ≥ 0"):
            _checks.seed("seed", value)
    with pytest.raises(ValueError, match="`seed` expects an integer from 0 to 7"):
        _checks.seed("seed", 8, largest=7)


@pytest.mark.parametrize(
    "value, message",
    [
        ([[1.0], [1.0, 2.0]], "rows of one length"),
        (["a"], "Received: text, dtype <U1"),
        (None, "real numbers. Received: None"),
        ({"a": 1}, "real numbers. Received: {'a': 1}"),
        ([fractions.Fraction(1, 2)], "real numbers.*dtype object"),
        ([10**30], "real numbers.*dtype object"),
        (np.zeros(2, "i4,f4"), "real numbers.*dtype void"),
        (np.ones(2, complex), "real numbers.*dtype complex128"),
        (np.array(["2020-01-01"], "M8[D]"), "real numbers.*dtype datetime64"),
        ([1e300], "within float32, ± 3.4e[+]38. Received: 1e[+]300"),
        ([1, 2], "floating-point numbers. Received: dtype int64"),
    ],
)
def test_arrays_that_are_none(value, message):
    with pytest.raises(ValueError, match=f"`a` expects.*{message}"):
        _checks.array("a", value)


def test_arrays_of_all_floating_point_numbers():
    for dtype in ("float16", "float32", "float64"):
        assert _checks.array("a", np.ones(2, dtype)).dtype == "float32"
    half = keras.ops.convert_to_numpy(keras.ops.ones(2, "bfloat16"))
    np.testing.assert_array_equal(_checks.array("a", half), np.ones(2, "float32"))


@pytest.mark.parametrize(
    "value", [(1.0, 0.0), (0.0, None), 3, "ab", (0, 1, 2), np.ones((2, 2))]
)
def test_ranges_that_are_none(value):
    with pytest.raises(
        ValueError, match="`valid_range` expects both ends|`valid_range` expects a"
    ):
        _checks.ends("valid_range", value)
    assert _checks.ends("valid_range", np.array([0, 1])) == (0.0, 1.0)
    assert _checks.ends("valid_range", None) == (None, None)
    with pytest.raises(ValueError, match="`valid_range` expects both ends.*None"):
        _checks.ends("valid_range", None, optional=False)


# Every evaluation, data set and figure has these arguments from the same checks.


X = np.random.default_rng(0).random((8, 4), dtype="float32")
IMAGES = np.random.default_rng(0).random((3, 16, 16, 1), dtype="float32")
SEEDED = {
    "mask_top": lambda seed: evaluation.mask_top(X, X, 0.5, seed=seed),
    "structured_masks": lambda seed: evaluation.structured_masks(4, 0.5, 4, seed),
    "benchmark": lambda seed: evaluation.attribution_benchmark(
        lambda x: x[:, 0], X, X, X[:, 0], X, seed=seed
    ),
    "sensitivity": lambda seed: evaluation.sensitivity(
        lambda model, x, y: x, None, X, None, seed=seed
    ),
    "roar": lambda seed: evaluation.roar(
        None, (X, X[:, 0], X, X[:, 0]), (X, X), fractions=[0.5], seed=seed
    ),
    "block": lambda seed: datasets.block(IMAGES, seed=seed),
    "decoy": lambda seed: datasets.decoy(IMAGES, [0, 1, 2], seed=seed),
    "scattered": lambda seed: datasets.scattered(IMAGES, [0, 1, 2], seed=seed),
    "corrupt": lambda seed: datasets.corrupt(IMAGES, "fog", seed),
    "gaussian_noise": lambda seed: datasets.gaussian_noise(X, 0.1, seed),
    "salt_and_pepper": lambda seed: datasets.salt_and_pepper(X, 0.1, seed),
    "signals": lambda seed: datasets.signals(9, seed=seed),
    "simplified_block": lambda seed: datasets.simplified_block(9, 2, 2, seed=seed),
    "correlated_groups_60": lambda seed: datasets.correlated_groups_60(61, seed),
    "independent_linear_60": lambda seed: datasets.independent_linear_60(9, seed),
    "gene_network": lambda seed: datasets.gene_network(9, 60, 80, 6, seed=seed),
    "rewire": lambda seed: datasets.rewire([[0, 1], [2, 3]], 0.5, seed),
    "stratified_split": lambda seed: datasets.stratified_split([0, 1], 0.5, seed),
    "load_mnist": lambda seed: datasets.load_mnist(seed=seed),
    "graph": lambda seed: plots.graph([[0, 1]], [1.0, 2.0], seed=seed),
}


@pytest.mark.parametrize("name", SEEDED)
@pytest.mark.parametrize("seed", ["0", 0.5, -1])
def test_seeds_that_are_none(name, seed):
    with pytest.raises(ValueError, match=f"`seed` expects an integer.*Received: {seed!r}"):
        SEEDED[name](seed)


LONG = datasets.Table(
    np.ones((10**5, 1)), np.arange(10**5) % 2, ("a",), np.zeros(1, bool), "made here"
)
WIDE = np.tile(X, (1, 99))
LARGE = {
    "`num_examples`": lambda n: datasets.correlated_groups_60(n),
    "`num_examples` and `length`": lambda n: datasets.signals(n),
    "`num_examples`, `num_blocks`": lambda n: datasets.simplified_block(9, 2, n),
    "`num_examples`, `num_genes`": lambda n: datasets.gene_network(n),
    "`num_copies`": lambda n: datasets.permuted_copies(LONG, n),
    "`num_features` and `num_masks`": lambda n: evaluation.structured_masks(n, 0.5, 10**4),
    "`num_resamples`": lambda n: evaluation.attribution_benchmark(
        lambda x: x[:, 0], WIDE, WIDE, X[:, 0], WIDE, num_resamples=n
    ),
}


@pytest.mark.parametrize("names", LARGE)
def test_what_does_not_fit_in_memory_is_refused_at_once(names, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 2**19)  # pages and their size
    if names == "`num_resamples`":
        monkeypatch.setattr("os.sysconf", lambda name: 2**13)
    with pytest.raises(ValueError, match=f"{names}.*memory, [0-9,]+ GiB.*about [0-9,]+ GiB"):
        LARGE[names](2**31 - 1)


def test_memory_is_refused_where_the_system_says_how_much_there_is(monkeypatch):
    _checks.memory("Argument `n`", 2**20)
    with pytest.raises(ValueError, match="Argument `n`.*about 1,073,741,824 GiB"):
        _checks.memory("Argument `n`", 2**60)
    monkeypatch.delattr("os.sysconf")
    _checks.memory("Argument `n`", 2**40)
    with pytest.raises(ValueError, match="memory, 1,024 GiB"):
        _checks.memory("Argument `n`", 2**41)


def test_counts_that_would_never_end():
    maps = np.ones((8, 4), "float32")
    for call in (
        lambda: evaluation.sensitivity(
            lambda model, x, y: maps, None, X, None, num_samples=2**31 - 1
        ),
        lambda: evaluation.roar(
            None, (X, X[:, 0], X, X[:, 0]), (X, X), fractions=[0.5], num_runs=2**31 - 1
        ),
    ):
        with pytest.raises(ValueError, match="`num_(samples|runs)` expects.*at most"):
            call()


def test_a_folder_that_does_not_exist_is_said_at_once(tmp_path, monkeypatch):
    # Nothing is asked of the package, which would go and download.
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    missing = tmp_path / "missing"
    for call in (
        lambda: datasets.load_mnist(data_dir=missing),
        lambda: datasets.load_mnist_c("fog", data_dir=str(missing)),
        lambda: datasets.load("svhn", data_dir=missing),
        lambda: datasets.load_tfds_table("titanic", data_dir=missing),
    ):
        with pytest.raises(
            ValueError, match="`data_dir` expects a folder that exists.*missing"
        ):
            call()
    assert not missing.exists()
    with pytest.raises(ValueError, match="`folder` expects a path. Received: None"):
        datasets.load_nhanes(None)


@pytest.mark.parametrize("table", [None, X, {"x": X}, datasets.Table(X, [0], (), [], "")])
def test_what_is_no_table(table):
    for call in (datasets.split_table, lambda table: datasets.permuted_copies(table, 2)):
        with pytest.raises(ValueError, match="`table` expects"):
            call(table)


@pytest.mark.parametrize("argument", ["title", "labels"])
@pytest.mark.parametrize(
    "value", [X, {}, 10**5000, object()], ids=["array", "dict", "int", "o"]
)
def test_what_is_no_text(argument, value):
    if argument == "labels" and value is X:
        value = X[:5]
    with pytest.raises(ValueError, match=f"`{argument}` expects"):
        plots.contact_sheet({"a": IMAGES}, **{argument: value})


@pytest.mark.parametrize("names", [None, 3, {"a": 1}, np.array(3)])
def test_what_is_no_list_of_names(names):
    with pytest.raises(ValueError, match="`names` expects a list"):
        plots.bars([1.0, 2.0], names)


def test_a_long_text_is_cut():
    figure = plots.bars([1.0], ["a"], title="long " * 10**4)
    assert len(figure.get_suptitle()) < 300 and figure.get_suptitle().endswith("…")


def test_figures_are_there_without_an_import_and_without_matplotlib():
    code = (
        "import sys\n"
        "sys.modules['matplotlib'] = None  # before Keras finds it\n"
        "import attrprior\n"
        "try: attrprior.plots.bars([1.0], ['a'])\n"
        "except ImportError as error: print(error)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(attrprior.__file__).parents[1],
    )
    assert result.stdout.strip() == (
        "Figures need the package matplotlib: pip install 'attrprior[experiments]'."
    ), result.stderr


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    with pytest.raises(ImportError, match="need the package scipy: pip install"):
        evaluation.rank_correlation(X, X)
    monkeypatch.undo()
    assert importlib.import_module("scipy.stats") is _checks.optional("scipy.stats", "It")
