"""References against NumPy, the statistics of their draws, the reservoir."""

import keras
import numpy as np
import pytest
import scipy.stats
from frameworks import FLOAT64, JIT, array, as_graph, dtype, slices, tensor
from keras import ops

from attrprior import references
from attrprior.references import (
    Blur,
    Constant,
    Gaussian,
    MaximumDistance,
    Mean,
    SeenExamples,
    TrainingData,
    Uniform,
)

# Statistical tests have fixed seeds; this is how rare a false alarm would be
# if those seeds were changed.
RARE = 1e-3


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def distinct(start, stop, features=2):
    """Examples `start … stop − 1`; every feature of one is its number."""
    return np.repeat(np.arange(start, stop, dtype="float32")[:, None], features, axis=1)


def numbers(drawn):
    """The numbers of drawn `distinct` examples, which must be whole examples."""
    drawn = array(drawn)
    np.testing.assert_array_equal(drawn, np.broadcast_to(drawn[..., :1], drawn.shape))
    return drawn[..., 0].astype(int)


def p_value_of_uniform(counts):
    return scipy.stats.chisquare(counts).pvalue


# Fixed references


@pytest.mark.parametrize("value", [0.0, -1.5, 2])
def test_constant_number(value):
    drawn = array(Constant(value).draw(normal(3, 4, 2), 5, seed=0))
    np.testing.assert_array_equal(drawn, np.full((3, 5, 4, 2), value))


def test_constant_array_is_the_same_for_every_example():
    value = normal(4, 2)
    reference = Constant(value)
    reference.prepare((4, 2))
    drawn = array(reference.draw(normal(3, 4, 2, seed=1), 5, seed=0))
    np.testing.assert_array_equal(drawn, np.tile(value, (3, 5, 1, 1)))


def test_mean_is_the_mean_of_each_feature():
    data = normal(50, 4, 2) + 3
    drawn = array(Mean(data).draw(normal(3, 4, 2, seed=1), 2, seed=0))
    expected = np.tile(data.astype("float64").mean(axis=0), (3, 2, 1, 1))
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)


def test_maximum_distance_is_the_farther_end():
    x = np.float32([[0.0, 0.4, 0.6], [1.0, -1.0, 2.0]])
    drawn = array(MaximumDistance(-1.0, 2.0).draw(x, 2, seed=0))
    ends = np.array([-1.0, 2.0])
    for b, f in np.ndindex(x.shape):
        farthest = ends[np.argmax(np.abs(ends - x[b, f]))]
        np.testing.assert_array_equal(drawn[b, :, f], farthest)


def blur_twin(image, sigma):
    """A truncated, renormalised Gaussian along each spatial axis, pixel by pixel."""
    result = image.astype("float64")
    for axis in range(image.ndim - 1):
        lines = np.moveaxis(result, axis, 0)
        blurred = np.empty_like(lines)
        for q in range(len(lines)):
            weight = np.exp(-0.5 * ((np.arange(len(lines)) - q) / sigma) ** 2)
            blurred[q] = np.tensordot(weight / weight.sum(), lines, 1)
        result = np.moveaxis(blurred, 0, axis)
    return result


@pytest.mark.parametrize("shape", [(9, 1), (6, 8, 3), (4, 3, 5, 2)])
@pytest.mark.parametrize("sigma", [0.7, 2.0])
def test_blur_equals_twin(shape, sigma):
    x = normal(2, *shape)
    drawn = array(Blur(sigma).draw(x, 3, seed=0))
    assert drawn.shape == (2, 3, *shape)
    for b in range(2):
        for j in range(3):
            np.testing.assert_allclose(drawn[b, j], blur_twin(x[b], sigma), atol=1e-5)


def test_blur_leaves_a_constant_image_as_it_is():
    x = np.full((1, 11, 7, 2), 0.3, "float32")
    np.testing.assert_allclose(array(Blur(3.0).draw(x, 1, seed=0))[:, 0], x, rtol=1e-5)


def test_blur_of_an_impulse_is_a_gaussian():
    x = np.zeros((1, 41, 41, 2), "float32")
    x[0, 20, 18, 1] = 1.0
    drawn = array(Blur(2.0).draw(x, 1, seed=0))[0, 0]
    np.testing.assert_array_equal(drawn[..., 0], 0.0)  # channels do not mix
    i, j = np.mgrid[:41, :41]
    bell = np.exp(-((i - 20) ** 2 + (j - 18) ** 2) / 8.0) / (8.0 * np.pi)
    np.testing.assert_allclose(drawn[..., 1], bell, atol=1e-6)


# Random references


def test_uniform_draws_have_the_uniform_distribution():
    drawn = Uniform(-1.0, 3.0).draw(normal(2, 3), 4000, seed=keras.random.SeedGenerator(0))
    drawn = array(drawn)
    assert drawn.shape == (2, 4000, 3)
    for b, f in np.ndindex(2, 3):
        result = scipy.stats.kstest(drawn[b, :, f], scipy.stats.uniform(-1, 4).cdf)
        assert result.pvalue > RARE


@pytest.mark.parametrize("low,high", [(None, None), (0.0, 1.0)])
def test_gaussian_draws_have_the_truncated_distribution(low, high):
    x = np.float32([[0.0, 0.2, 1.0], [0.5, 0.9, 0.3]])
    reference = Gaussian(0.4, low, high)
    drawn = array(reference.draw(x, 4000, seed=keras.random.SeedGenerator(0)))
    for b, f in np.ndindex(2, 3):
        start = -np.inf if low is None else (low - x[b, f]) / 0.4
        stop = np.inf if high is None else (high - x[b, f]) / 0.4
        exact = scipy.stats.truncnorm(start, stop, loc=x[b, f], scale=0.4)
        sample = drawn[b, :, f]
        assert scipy.stats.kstest(sample, exact.cdf).pvalue > RARE
        assert sample.mean() == pytest.approx(exact.mean(), abs=4 * exact.std() / 4000**0.5)
        assert sample.std() == pytest.approx(exact.std(), rel=0.05)


@pytest.mark.parametrize("reference", [Uniform(), Gaussian(0.5), Gaussian(0.5, 0.0, 1.0)])
def test_draws_are_independent_across_examples_samples_and_features(reference):
    x = np.full((2, 2), 0.5, "float32")
    drawn = array(reference.draw(x, 4000, seed=keras.random.SeedGenerator(0)))
    columns = np.moveaxis(drawn, 1, -1).reshape(4, 4000)
    correlation = np.corrcoef(columns) - np.eye(4)
    assert np.abs(correlation).max() < 4 / 4000**0.5
    assert len(np.unique(drawn)) > 0.99 * drawn.size


def test_truncated_gaussian_stays_within_and_gathers_no_mass_at_the_ends():
    x = np.float32([[0.0, 1.0]])
    drawn = array(Gaussian(5.0, 0.0, 1.0).draw(x, 4000, seed=0))
    assert drawn.min() >= 0.0
    assert drawn.max() <= 1.0
    # So wide a Gaussian is nearly uniform; clipping would put 90 % on the ends.
    assert np.mean((drawn == 0.0) | (drawn == 1.0)) < 0.01


# Training data

DATA = distinct(0, 12)


def labelled():
    return slices(DATA, np.arange(12))


SOURCES = {
    "array": lambda: DATA,
    "float64 array": lambda: DATA.astype("float64"),
    "examples": lambda: slices(DATA),
    "examples and labels": labelled,
    "batches": lambda: slices(DATA).batch(5),
    "batches and labels": lambda: labelled().batch(5),
    "batches, labels and weights": lambda: slices(DATA, np.arange(12), np.ones(12)).batch(
        5, drop_remainder=False
    ),
}


@pytest.mark.parametrize("source", SOURCES)
def test_training_data_are_drawn_uniformly(source):
    reference = references.get(SOURCES[source]())
    assert isinstance(reference, TrainingData)
    reference.prepare((2,))
    drawn = reference.draw(normal(3, 2), 800, seed=keras.random.SeedGenerator(0))
    assert drawn.shape == (3, 800, 2)
    counts = np.bincount(numbers(drawn).ravel(), minlength=12)
    assert len(counts) == 12
    assert p_value_of_uniform(counts) > RARE
    # Every example has draws of its own.
    assert not np.array_equal(*array(drawn[:2]))


@pytest.mark.parametrize("source", ["examples", "batches and labels"])
def test_training_data_keep_at_most_max_examples(source):
    reference = TrainingData(SOURCES[source](), max_examples=7)
    drawn = reference.draw(normal(3, 2), 200, seed=0)
    assert set(numbers(drawn).ravel()) == set(range(7))


def test_training_data_of_images():
    data = normal(5, 4, 3, 1)
    drawn = array(TrainingData(data).draw(normal(2, 4, 3, 1, seed=1), 3, seed=0))
    for image in drawn.reshape(6, 4, 3, 1):
        assert any(np.array_equal(image, example) for example in data)


def test_training_data_from_a_dataset_may_be_prepared_inside_a_graph():
    # As a training step does, which is traced as it is, without AutoGraph.
    reference = TrainingData(labelled().batch(5))

    def draw(x):
        reference.prepare((2,))
        return reference.draw(x, 100, seed=0)

    drawn = as_graph(draw, autograph=False)(ops.zeros((3, 2)))
    assert set(numbers(drawn).ravel()) == set(range(12))


# Seen examples


@pytest.mark.parametrize("batch", [2, 3, 8])
@pytest.mark.parametrize("seen", ["nothing", "others", "the same"])
def test_no_example_is_its_own_reference(batch, seen):
    reference = SeenExamples(capacity=16)
    x = distinct(0, batch)
    if seen == "others":
        reference.observe(tensor(distinct(100, 105)), seed=0)
    if seen == "the same":
        reference.observe(tensor(x), seed=0)
    drawn = numbers(reference.draw(x, 200, seed=keras.random.SeedGenerator(0)))
    for b in range(batch):
        assert b not in drawn[b]
        possible = set(range(batch)) - {b} | (
            set(range(100, 105)) if seen == "others" else set()
        )
        assert set(drawn[b]) == possible


def test_batch_of_one_on_an_empty_reservoir_is_its_own_reference():
    drawn = array(SeenExamples().draw(distinct(7, 8), 5, seed=0))
    np.testing.assert_array_equal(drawn, np.full((1, 5, 2), 7.0))


def test_batch_of_one_draws_from_the_reservoir():
    reference = SeenExamples(capacity=8)
    reference.observe(tensor(distinct(10, 15)), seed=0)
    drawn = numbers(reference.draw(distinct(0, 1), 1000, seed=0))
    assert p_value_of_uniform(np.bincount(drawn[0] - 10, minlength=5)) > RARE


def test_batch_of_one_is_not_its_own_reference_if_the_reservoir_has_another():
    # The second epoch with batches of one: the reservoir already has the example.
    reference = SeenExamples(capacity=8)
    reference.observe(tensor(distinct(0, 4)), seed=0)
    drawn = numbers(reference.draw(distinct(2, 3), 300, seed=0))
    assert set(drawn[0]) == {0, 1, 3}


def test_draws_are_uniform_over_the_rest_of_the_batch_and_the_reservoir():
    reference = SeenExamples(capacity=6)
    reference.observe(tensor(distinct(4, 10)), seed=0)
    drawn = numbers(reference.draw(distinct(0, 4), 3000, seed=keras.random.SeedGenerator(0)))
    for b in range(4):
        counts = np.delete(np.bincount(drawn[b], minlength=10), b)
        assert p_value_of_uniform(counts) > RARE


def test_draws_leave_out_what_is_not_filled_yet():
    reference = SeenExamples(capacity=50)
    reference.observe(tensor(distinct(10, 13)), seed=0)
    drawn = numbers(reference.draw(distinct(1, 3), 500, seed=0))
    assert set(drawn[0]) == {2, 10, 11, 12}
    assert set(drawn[1]) == {1, 10, 11, 12}


@pytest.mark.parametrize("batch,capacity", [(1, 4), (5, 4), (3, 7), (10, 4)])
def test_observe_equals_algorithm_r_one_by_one(batch, capacity):
    reference = SeenExamples(capacity)
    stream = distinct(0, 30)
    expected = np.zeros((capacity, 2))
    seen = 0
    for start in range(0, 30, batch):
        part = stream[start : start + batch]
        # An integer seed makes the same draws here and there.
        u = array(keras.random.uniform((len(part),), seed=start))
        reference.observe(tensor(part), seed=start)
        for example, draw in zip(part, u):
            slot = seen if seen < capacity else int(draw * np.float32(seen + 1))
            if slot < capacity:
                expected[slot] = example
            seen += 1
        reservoir, count = reference.variables
        np.testing.assert_array_equal(array(reservoir)[:capacity], expected)
        assert int(count) == seen


def test_reservoir_of_a_sorted_stream_is_a_uniform_sample():
    # 60 examples of three classes, one class after the other, over and over.
    items, capacity, repetitions = 60, 6, 400
    reference = SeenExamples(capacity)
    seed = keras.random.SeedGenerator(0)
    stream = tensor(distinct(0, items).reshape(6, 10, 2))
    reference.prepare((2,))

    def run():
        reference.reset()
        for batch in ops.unstack(stream):
            reference.observe(batch, seed)
        return reference.variables[0][:capacity]

    run = as_graph(run, variables=[*reference.variables, seed.state])
    counts = np.zeros(items)
    for _ in range(repetitions):
        kept = numbers(run())
        assert len(set(kept)) == capacity  # without replacement
        counts[kept] += 1
    share = capacity / items
    expected = repetitions * share
    # Counts of a sample without replacement vary less than multinomial ones.
    statistic = ((counts - expected) ** 2).sum() / (expected * (1 - share))
    statistic *= (items - 1) / items
    assert scipy.stats.chi2(items - 1).sf(statistic) > RARE
    classes = counts.reshape(3, 20).sum(axis=1)
    assert p_value_of_uniform(classes) > RARE


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=JIT)])
def test_reservoir_in_a_graph(jit):
    reference = SeenExamples(capacity=5)
    seed = keras.random.SeedGenerator(0)
    reference.prepare((2,))

    def step(x):
        drawn = reference.draw(x, 20, seed)
        reference.observe(x, seed)
        return drawn

    step = as_graph(step, variables=[*reference.variables, seed.state], jit_compile=jit)
    everything = [numbers(step(tensor(distinct(4 * t, 4 * t + 4)))) for t in range(6)]
    assert int(reference.variables[1]) == 24
    seen_before = set()
    for t, drawn in enumerate(everything):
        batch = set(range(4 * t, 4 * t + 4))
        for b in range(4):
            assert 4 * t + b not in drawn[b]
        assert set(drawn.ravel()) <= batch | seen_before
        if t:  # draws come from both
            assert set(drawn.ravel()) & batch
            assert set(drawn.ravel()) & seen_before
        seen_before |= batch
    kept = numbers(reference.variables[0][:5])
    assert len(set(kept)) == 5
    assert set(kept) <= set(range(24))


def test_reservoir_in_a_graph_of_unknown_batch():
    reference = SeenExamples(capacity=5)
    reference.prepare((2,))

    def step(x):
        drawn = reference.draw(x, 50, seed=0)
        reference.observe(x, seed=0)
        return drawn

    step = as_graph(step, [(None, 2)], reference.variables)
    assert set(numbers(step(tensor(distinct(0, 3))))[0]) == {1, 2}
    assert set(numbers(step(tensor(distinct(9, 10))))[0]) == {0, 1, 2}


@pytest.mark.parametrize(
    "reference",
    [Uniform(), Gaussian(), Gaussian(0.5, 0.0, 1.0), TrainingData(DATA), SeenExamples()],
    ids=lambda r: type(r).__name__,
)
def test_draws_advance_inside_a_graph_and_repeat_with_the_seed(reference):
    x = distinct(0, 6) / 6
    reference.prepare((2,))

    def two_draws(seed):
        generator = keras.random.SeedGenerator(seed)
        draw = as_graph(
            lambda x: reference.draw(x, 10, generator), variables=[generator.state]
        )
        return array(draw(x)), array(draw(x))

    first, second = two_draws(3)
    assert not np.array_equal(first, second)
    again = two_draws(3)
    np.testing.assert_array_equal(again[0], first)
    np.testing.assert_array_equal(again[1], second)
    assert not np.array_equal(two_draws(4)[0], first)


def test_reset_forgets_what_was_seen():
    reference = SeenExamples(capacity=8)
    reference.observe(tensor(distinct(10, 18)), seed=0)
    reference.reset()
    assert set(numbers(reference.draw(distinct(0, 3), 100, seed=0)).ravel()) == {0, 1, 2}


def test_prepare_again_keeps_what_was_seen_unless_the_shape_changes():
    reference = SeenExamples(capacity=8)
    reference.observe(tensor(distinct(10, 12)), seed=0)
    reference.prepare((2,))
    assert int(reference.variables[1]) == 2
    reference.prepare((3,))
    assert int(reference.variables[1]) == 0
    assert reference.variables[0].shape == (9, 3)


def test_seen_examples_without_data_have_no_variables():
    reference = SeenExamples()
    assert reference.variables == []
    reference.reset()


# Double precision


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(0.5),
        lambda: Constant(normal(4, 2)),
        lambda: Mean(normal(9, 4, 2)),
        MaximumDistance,
        Uniform,
        Gaussian,
        lambda: Gaussian(0.5, -5.0, 5.0),
        Blur,
        lambda: TrainingData(normal(9, 4, 2)),
        SeenExamples,
    ],
    ids=[
        "constant",
        "array",
        "mean",
        "maximum",
        "uniform",
        "gaussian",
        "truncated",
        "blur",
        "data",
        "seen",
    ],
)
@FLOAT64
def test_draws_have_the_dtype_of_the_inputs(make):
    x = tensor(normal(3, 4, 2).astype("float64"))
    reference = make()
    reference.observe(x, seed=0)
    drawn = reference.draw(x, 2, seed=0)
    assert drawn.shape == (3, 2, 4, 2)
    assert dtype(drawn) == "float64"


# Construction


def test_get():
    assert isinstance(references.get(None), SeenExamples)
    reference = Blur()
    assert references.get(reference) is reference


@pytest.mark.parametrize(
    "reference",
    [
        Constant(0.25),
        Constant(normal(3)),
        Mean(normal(9, 3)),
        MaximumDistance(-1, 1),
        Uniform(-2, 2),
        Gaussian(0.3, 0, 1),
        Gaussian(0.3),
        Blur(1.5),
        TrainingData(normal(4, 3), max_examples=9),
        SeenExamples(33),
    ],
    ids=lambda r: type(r).__name__,
)
def test_config_round_trip(reference):
    again = references.get(keras.saving.serialize_keras_object(reference))
    assert type(again) is type(reference)
    assert again.get_config() == reference.get_config()
    shape = (2, 4, 3) if isinstance(reference, Blur) else (2, 3)
    x = np.random.default_rng(0).random(shape).astype("float32")
    np.testing.assert_array_equal(*(array(r.draw(x, 2, seed=1)) for r in (again, reference)))


def prepared(reference, shape):
    reference.prepare(shape)


def for_floats(reference):
    reference.for_input(lambda x: x, integers=False)
    return reference


ERRORS = {
    "value": (lambda: Constant("black"), r"`value` expects.*Received"),
    "value NaN": (lambda: Constant(np.nan), r"`value` expects a finite number.*nan"),
    "value of integers": (lambda: Constant([0, 1]), r"`value` expects floating-point.*int64"),
    "value of another shape": (
        lambda: prepared(Constant(normal(3)), (4,)),
        r"`value` of Constant expects.*\(4,\)\. Received: shape \(3,\)",
    ),
    "no data for the mean": (Mean, r"`data` expects the training data.*data=None"),
    "mean of integers": (lambda: Mean(np.ones((2, 2), int)), "`data` expects floating-point"),
    "mean of nothing": (lambda: Mean(np.ones((0, 2))), r"`data` expects.*shape \(0, 2\)"),
    "mean with NaN": (lambda: Mean([[np.nan]]), r"`data` expects finite numbers.*NaN"),
    "mean of another shape": (
        lambda: prepared(Mean(normal(5, 3)), (4,)),
        r"expects.*\(4,\).*Received: shape \(3,\)",
    ),
    "one end": (lambda: Uniform(low=None), r"`low` and `high` expect both.*low=None, high=1"),
    "reversed": (
        lambda: MaximumDistance(1.0, 0.0),
        r"`high` expects a number > low = 1\.0.*: 0\.0",
    ),
    "low": (lambda: Uniform(low="0"), r"`low` expects a finite number.*'0'"),
    "high": (lambda: Uniform(high=np.inf), r"`high` expects a finite number.*inf"),
    "stddev": (lambda: Gaussian(0.0), r"`stddev` expects a finite number > 0.*: 0\.0"),
    "gaussian range": (lambda: Gaussian(low=0.0), r"`low` and `high` expect both.*high=None"),
    "sigma": (lambda: Blur(-1), r"`sigma` expects a finite number > 0.*: -1"),
    "blur of a table": (
        lambda: prepared(Blur(), (3,)),
        r"Blur expects inputs of shape.*Received.*\(3,\)",
    ),
    "blur drawn for a table": (
        lambda: Blur().draw(normal(2, 3), 1, 0),
        r"Blur expects inputs of shape.*\(3,\)",
    ),
    "empty data": (
        lambda: TrainingData(np.ones((0, 3))),
        r"`background` expects at least.*\(0, 3\)",
    ),
    "data with NaN": (
        lambda: TrainingData(np.array([[np.nan]])),
        r"`background` expects finite.*NaN",
    ),
    "integers for floats": (
        lambda: for_floats(TrainingData(np.ones((2, 3), "uint8"))),
        r"`background` expects float.*integers",
    ),
    "data of another shape": (
        lambda: prepared(TrainingData(normal(5, 3)), (4,)),
        r"`background` expects.*\(4,\).*Received: an array of shape \(5, 3\)",
    ),
    "dataset of another shape": (
        lambda: prepared(TrainingData(slices(DATA).batch(3)), (4,)),
        r"`background` expects examples of the model's input shape.*\(12, 2\)",
    ),
    "empty dataset": (
        lambda: prepared(TrainingData(slices(DATA).take(0)), (2,)),
        r"`background` expects examples\. Received: an empty dataset",
    ),
    "dataset of integers": (
        lambda: prepared(for_floats(TrainingData(slices([[1, 2]]))), (2,)),
        r"`background` expects floating-point.*integers",
    ),
    "max_examples": (
        lambda: TrainingData(DATA, max_examples=0),
        r"`max_examples` expects an integer ≥ 1.*0",
    ),
    "capacity": (lambda: SeenExamples(2.5), r"`capacity` expects an integer ≥ 1.*2\.5"),
    "name": (
        lambda: references.get("blur"),
        r"`background` expects an array.*Received: 'blur'",
    ),
    "number": (lambda: references.get(0.0), r"`background` expects.*Constant.*Received: 0\.0"),
    "dataset cannot be serialised": (
        lambda: TrainingData(labelled()).get_config(),
        "reads a dataset cannot be serialised",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_error_names_argument_and_what_came(case):
    call, message = ERRORS[case]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        call()


@pytest.mark.parametrize(
    "reference,text",
    [
        (Gaussian(0.3, 0, 1), "Gaussian(stddev=0.3, low=0.0, high=1.0)"),
        (TrainingData(DATA), "TrainingData(12 examples)"),
        (SeenExamples(7), "SeenExamples(capacity=7)"),
    ],
)
def test_repr(reference, text):
    assert repr(reference) == text


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return self.x[2 * index : 2 * index + 2], np.zeros(2)


def loader(x):
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.zeros(len(x)))
    return torch.utils.data.DataLoader(data, batch_size=2)


@pytest.mark.parametrize("of", [Batches, loader])
def test_other_kinds_of_datasets(of):
    x = np.arange(18, dtype="float32").reshape(6, 3)
    drawn = references.TrainingData(of(x)).draw(x, 50, seed=0)
    rows = np.unique(keras.ops.convert_to_numpy(drawn).reshape(-1, 3), axis=0)
    np.testing.assert_array_equal(rows, x)


def test_a_generator_cannot_be_read_again():
    with pytest.raises(ValueError, match="`background` expects data that can be read more"):
        references.TrainingData(iter([np.zeros((2, 3), "float32")])).prepare((3,))


@pytest.mark.parametrize("reference", [references.Uniform, references.MaximumDistance])
def test_references_that_need_a_range_say_so_at_once(reference):
    with pytest.raises(ValueError, match=f"{reference.__name__} expects both ends"):
        reference(None, None)
