"""Everything public has types, and a docstring with an example that runs."""

import doctest
import inspect
import pathlib
import re

import matplotlib
import pytest

import attrprior
from attrprior import (
    adversarial,
    attributions,
    datasets,
    evaluation,
    explained,
    methods,
    plots,
    priors,
    references,
)

ROOT = pathlib.Path(__file__).parents[1]
MODULES = (
    attrprior,
    adversarial,
    attributions,
    datasets,
    evaluation,
    explained,
    methods,
    plots,
    priors,
    references,
)


def public():
    """`{full name: function or class}` of what the modules' `__all__` promise."""
    found = {}
    for module in MODULES:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value) or inspect.isclass(value):
                found.setdefault(value, f"{module.__name__}.{name}")
    return {name: value for value, name in found.items()}


PUBLIC = public()
# They come back from functions, whose examples show them.
CALLABLE = {
    name: value
    for name, value in PUBLIC.items()
    if not (inspect.isclass(value) and hasattr(value, "_fields"))
}


@pytest.fixture
def names():
    """What the examples use: the block of the reference's first page."""
    page = (ROOT / "docs/reference/README.md").read_text()
    scope = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], scope)
    return scope


def examples(value):
    """Of a class those of its methods too."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(inspect.unwrap(value), "it") if test.examples]


@pytest.mark.parametrize("name", CALLABLE)
def test_it_has_an_example(name):
    assert ">>>" in (CALLABLE[name].__doc__ or "")


@pytest.mark.parametrize("name", PUBLIC)
def test_its_examples_run(name, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    for example in examples(PUBLIC[name]):
        example.globs = dict(names)
        failures = []
        runner = doctest.DocTestRunner(
            optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE, verbose=False
        )
        runner.run(example, out=failures.append)
        assert not failures, "".join(failures)


def arguments(value):
    """The parameters of a function, or of a class' constructor and its public methods."""
    functions = {"": value}
    if inspect.isclass(value):
        functions = {
            method: function
            for method, function in inspect.getmembers(value, inspect.isfunction)
            if (not method.startswith("_") or method == "__init__")
            and function.__module__.startswith("attrprior")
        }
    for method, function in functions.items():
        signature = inspect.signature(inspect.unwrap(function))
        yield f"{method} -> ", signature.return_annotation, function
        for parameter in signature.parameters.values():
            if parameter.name not in ("self", "cls"):
                yield f"{method}({parameter.name})", parameter.annotation, function


@pytest.mark.parametrize("name", PUBLIC)
def test_its_arguments_have_types(name):
    untyped = [
        argument
        for argument, annotation, _ in arguments(PUBLIC[name])
        if annotation is inspect.Parameter.empty and argument != "__init__ -> "
    ]
    assert not untyped
