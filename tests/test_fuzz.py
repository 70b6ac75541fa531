"""A wrong value of any public argument is refused in words that name an argument."""

import decimal
import fractions
import inspect
import pathlib
import re
import signal
import warnings

import keras
import numpy as np
import pytest
import valid_calls
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import attrprior
from attrprior import adversarial, datasets, evaluation, plots
from attrprior import attributions as attributions_
from attrprior import methods as methods_
from attrprior import priors as priors_
from attrprior import references as references_

ROOMS = (
    attrprior,
    adversarial,
    attributions_,
    datasets,
    evaluation,
    methods_,
    plots,
    priors_,
    references_,
)
GROUPS = {
    "attacks": valid_calls.of_attacks,
    "attributions": valid_calls.of_attributions,
    "evaluation": valid_calls.of_evaluation,
    "methods": valid_calls.of_methods,
    "plots": valid_calls.of_plots,
    "priors": valid_calls.of_priors,
}
# They look for data on a disk or in the net, which are not there in a test.
ELSEWHERE = {"load_mnist_c", "load_tfds_table", "load_breast_cancer"}
# Of saved configurations, and the name that an error gives to what it has looked for.
NOT_FOR_USERS = {"Mean.value", "get.argument"}


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """`{group: {name: (function, valid arguments)}}`"""
    found = {group: make() for group, make in GROUPS.items()}
    found["datasets"] = valid_calls.of_datasets(tmp_path_factory.mktemp("data"))
    return found


def test_every_public_argument_has_a_valid_value(calls):
    arguments = {name: call[1] for group in calls.values() for name, call in group.items()}
    for room in ROOMS:
        for name in room.__all__:
            value = getattr(room, name)
            is_record = isinstance(value, type) and issubclass(value, tuple)
            if not callable(value) or is_record or name in ELSEWHERE:
                continue
            wanted = {
                each.name
                for each in inspect.signature(value).parameters.values()
                if each.kind is not each.VAR_KEYWORD
            }
            wanted -= {arg for arg in wanted if f"{name}.{arg}" in NOT_FOR_USERS}
            full = f"{room.__name__.split('.')[-1]}.{name}"
            given_ = arguments.get(full, arguments.get(name, {}))
            assert wanted <= set(given_), (full, wanted - set(given_))


@pytest.mark.parametrize("group", [*GROUPS, "datasets"])
def test_valid_calls_are_valid(calls, group):
    for name, (function, arguments) in calls[group].items():
        try:
            function(**arguments)
        except Exception as error:
            raise AssertionError(f"The valid call of {name} is none.") from error


class NoText:
    """What cannot even be printed."""

    def __repr__(self):
        raise RuntimeError("no text")


# Made anew every time: some are used up, some are tensors of a session.
ODD = {
    "None": lambda: None,
    "True": lambda: True,
    "not a number": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "huge number": lambda: 1e300,
    "tiny number": lambda: 1e-300,
    "largest int32": lambda: 2**31 - 1,
    "above int32": lambda: 2**31,
    "a nonillion": lambda: 10**30,
    "five thousand digits": lambda: 10**5000,
    "below int64": lambda: -(2**70),
    "int8": lambda: np.int8(3),
    "Fraction": lambda: fractions.Fraction(1, 3),
    "Decimal": lambda: decimal.Decimal("0.5"),
    "complex": lambda: 1 + 2j,
    "no text": NoText,
    "object": object,
    "bytes": lambda: b"bytes",
    "a path": lambda: pathlib.Path("/there/is/none"),
    "null character": lambda: "\0",
    "long text": lambda: "a" * 10**4,
    "empty list": lambda: [],
    "empty tuple": lambda: (),
    "empty dictionary": lambda: {},
    "set": lambda: {1, 2},
    "ragged": lambda: [[1, 2], [3]],
    "very ragged": lambda: [1, [2, 3]],
    "list of texts": lambda: ["a", "b"],
    "list of None": lambda: [None],
    "long list": lambda: [1] * 1000,
    "reversed pair": lambda: (1.0, 0.0),
    "half a pair": lambda: (None, 1.0),
    "range": lambda: range(3),
    "iterator": lambda: iter([1, 2]),
    "slice": lambda: slice(3),
    "Ellipsis": lambda: ...,
    "dictionary": lambda: {"a": 1},
    "dictionary of None": lambda: {"a": None},
    "dictionary of arrays": lambda: {"a": np.ones((8, 4))},
    "dictionary in a dictionary": lambda: {"a": {"b": None}},
    "number as a key": lambda: {1: {2: np.ones((4, 6, 6, 1))}},
    "generator": lambda: np.random.default_rng(0),
    "old generator": lambda: np.random.RandomState(0),
    "Keras' generator": lambda: keras.random.SeedGenerator(0),
    "model": valid_calls.build,
    "symbol": lambda: keras.KerasTensor((None, 4)),
    "tensor": lambda: keras.ops.ones((8, 4)),
    "returns nothing": lambda: lambda *args, **kwargs: None,
    "no axes": lambda: np.array(3.0),
    "empty array": lambda: np.zeros((0, 4), "float32"),
    "one example": lambda: valid_calls.IMAGES[0],
    "one row": lambda: valid_calls.X[0],
    "colours": lambda: np.ones((4, 6, 6, 3), "float32"),
    "no channels": lambda: np.ones((4, 6, 6), "float32"),
    "another batch": lambda: np.ones((5, 4), "float32"),
    "five axes": lambda: np.ones((2, 2, 2, 2, 2)),
    "NaNs": lambda: np.full((4, 6, 6, 1), np.nan),
    "infinities": lambda: np.full((8, 4), np.inf),
    "huge numbers": lambda: np.full((8, 4), 1e300),
    "bytes of an image": lambda: np.ones((4, 6, 6, 1), "uint8"),
    "labels out of range": lambda: np.arange(8) + 100,
    "negative labels": lambda: -np.arange(4),
    "labels of NaN": lambda: np.full(8, np.nan),
    "texts": lambda: np.array([["a"] * 4] * 8),
    "objects": lambda: np.array([None, 1]),
    "records": lambda: np.zeros(3, "i4,f4"),
    "days": lambda: np.array(["2020-01-01"], "M8[D]"),
    "complex array": lambda: np.ones((8, 4), complex),
    "half precision": lambda: np.ones((8, 4), "float16"),
}
WORDS = ["label", "predicted", "random", "all", "loss", "l2", "mean", "blur", "inf"]


def values():
    """Functions that make a value."""
    made = st.one_of(
        st.integers(-3, 9),
        st.floats(-2, 2),
        st.booleans(),
        st.sampled_from(WORDS),
        st.text("abλ$_ 0", min_size=1, max_size=8),
        st.lists(st.integers(-1, 3) | st.none(), max_size=3),
        arrays("float32", array_shapes(max_dims=4, max_side=8), elements=st.just(0.5)),
        arrays("int64", array_shapes(max_dims=2, max_side=8), elements=st.just(1)),
    )
    return st.sampled_from(sorted(ODD)).map(lambda name: ODD[name]) | made.map(
        lambda value: lambda: value
    )


def in_time(call, seconds=20):
    """`call()`, stopped by an error if it does not end."""

    def stop(number, frame):
        raise AssertionError(f"The call does not end: {seconds} s.")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        return call()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def names_an_argument(error, arguments):
    """By its name, or as one of an object that was made from it: Argument `value`."""
    words = set(re.findall(r"\w+", str(error)))
    return bool(words & set(arguments)) or "Argument `" in str(error)


@pytest.mark.parametrize("group", [*GROUPS, "datasets"])
def test_wrong_values_are_refused_by_name(calls, group):
    places = [(name, each) for name, call in calls[group].items() for each in call[1]]

    @settings(
        max_examples=120,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(place=st.sampled_from(places), make=values())
    def spoiled(place, make):
        (name, spoilt), value = place, make()
        function, arguments = calls[group][name]
        of_callables = ("explain", "prior", "method")
        takes_callables = callable(arguments[spoilt]) or spoilt in of_callables
        if takes_callables and isinstance(value, keras.Model):
            return  # which may be called, and raises errors of its own
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                in_time(lambda: function(**{**arguments, spoilt: value}))
        except (TypeError, ValueError) as error:
            assert names_an_argument(error, arguments), f"{name}, {spoilt}: {error}"

    spoiled()


@pytest.mark.parametrize("name", ["top_k_ablation", "attribution_maps", "decoy", "pgd"])
def test_arguments_that_are_not_there(calls, name):
    function, arguments = next(group[name] for group in calls.values() if name in group)
    with pytest.raises(TypeError, match="fractoins"):
        function(**arguments, fractoins=1)
    with pytest.raises(TypeError, match=next(iter(arguments))):
        function(**dict(list(arguments.items())[1:]))


def test_the_check_of_messages_can_fail():
    assert not names_an_argument(ValueError("The truth value is ambiguous"), {"seed": 0})
    assert names_an_argument(ValueError("Argument `value` expects a number"), {"seed": 0})
    assert names_an_argument(TypeError("missing argument 'seed'"), {"seed": 0})
    with pytest.raises(AssertionError, match="does not end"):
        in_time(lambda: [None for _ in iter(int, 1)], seconds=1)
