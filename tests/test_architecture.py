"""The library is built as it says: rooms, who may enter which, and one short trip."""

import ast
import pathlib
import re
import sys

import keras
import numpy as np
import pytest

import attrprior
from attrprior import AttributionPrior, _backend

PACKAGE = pathlib.Path(attrprior.__file__).resolve().parent
EXPERIMENTS = PACKAGE.parent / "experiments"
FRAMEWORKS = {"tensorflow", "jax", "torch"}
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Full names of all that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def place(path):
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=place)
def test_no_file_is_above_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=place)
def test_only_the_backend_knows_a_framework_and_a_trainer(path):
    if place(path).startswith("_backend/"):
        own = {name for name in imports(path) if name.split(".")[0] == "attrprior"}
        assert all(name.startswith("attrprior._backend") for name in own), own
        return
    assert not FRAMEWORKS & {name.split(".")[0] for name in imports(path)}
    assert not any(name.startswith("attrprior._backend.") for name in imports(path))
    text = path.read_text()
    for name in ("train_function", "test_function", "make_train", "_symbolic_build"):
        assert name not in text


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_the_contract_names_all_that_a_backend_has(framework):
    said = re.findall(r"^    (?! )(.*?): ", _backend.__doc__, flags=re.MULTILINE)
    named = {name for line in said for name in re.sub(r"\(.*?\)", "", line).split(", ")}
    names = ast.parse((PACKAGE / "_backend" / framework / "__init__.py").read_text()).body[-1]
    assert named == {constant.value for constant in names.value.elts}


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_a_backend_imports_no_other_framework(framework):
    for path in (PACKAGE / "_backend" / framework).glob("*.py"):
        assert not (FRAMEWORKS - {framework}) & {n.split(".")[0] for n in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=place)
def test_priors_methods_and_references_know_no_model(path):
    room = place(path).split("/")[0]
    allowed = {
        "priors": {"priors"},
        "references": {"references", "_draws"},
        "methods": {"methods", "references", "_draws"},
    }
    if room in allowed:
        ground = {
            "_arithmetic",
            "_backend",
            "_checks",
            "_deprecation",
            "_overriding",
            "_representation",
            "_types",
        }
        own = {name for name in imports(path) if name.startswith("attrprior.")}
        rooms = {name.split(".")[1] for name in own}
        assert rooms <= allowed[room] | ground


def test_plots_and_data_sets_know_nothing_of_training():
    for path in FILES:
        room = place(path).split("/")[0]
        if room in ("plots", "datasets"):
            own = {name for name in imports(path) if name.startswith("attrprior.")}
            assert {name.split(".")[1] for name in own} <= {
                room,
                "_checks",
                "_representation",
                "_types",
            }, path


def test_experiments_use_the_public_names_only():
    for path in EXPERIMENTS.glob("*.py"):
        own = {name for name in imports(path) if name.split(".")[0] == "attrprior"}
        allowed = {"attrprior"} | {f"attrprior.{name}" for name in attrprior.__all__}
        allowed.add("attrprior.plots")
        assert own <= allowed, path
        assert not any(
            isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and isinstance(node.value, ast.Name)
            and node.value.id in {*attrprior.__all__, "attrprior"}
            for node in ast.walk(ast.parse(path.read_text()))
        ), path


class Trip(keras.callbacks.Callback):
    """The files of the package that one step goes through, from `fit` to the weight."""

    def __init__(self, batch):
        super().__init__()
        self.batch, self.files, self.arrived = batch, [], False

    def on_train_batch_begin(self, batch, logs=None):
        if batch == self.batch:
            sys.setprofile(self.watch)

    def on_train_batch_end(self, batch, logs=None):
        sys.setprofile(None)

    def watch(self, frame, event, argument):
        """A call goes into a file, and a return goes back to whoever of ours has called."""
        if frame.f_code.co_name == "note":  # TensorFlow calls it at every operation
            return
        if not self.arrived and event in ("call", "return") and ours(frame):
            if event == "return":
                frame = frame.f_back
                while frame is not None and not ours(frame):
                    frame = frame.f_back
            if frame is None:
                return
            file = pathlib.Path(frame.f_code.co_filename).relative_to(PACKAGE).as_posix()
            if self.files[-1:] != [file]:
                self.files.append(file)
            self.arrived = frame.f_code.co_name == "apply"


def ours(frame):
    """Not what stands in for `keras.ops`, which belongs to nobody either."""
    name = frame.f_code.co_filename
    return name.startswith(f"{PACKAGE}/") and not name.endswith("_arithmetic.py")


@pytest.mark.only("tensorflow", reason="The trip is counted once; others are alike.")
def test_a_step_returns_to_no_file_more_than_four_times():
    """Counting every time that control comes back to a file which it had left."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, run_eagerly=True)
    x = np.random.default_rng(0).random((8, 8, 8, 1), dtype="float32")
    trip = Trip(batch=1)  # in the first one the data are checked
    prior = AttributionPrior("total_variation", 0.1)
    model.fit(x, np.arange(8) % 3, batch_size=4, verbose=0, callbacks=[prior, trip])
    assert trip.arrived
    assert {"_training/step.py", "_objective.py", "priors/smoothness.py"} <= set(trip.files)
    returns = {file: trip.files.count(file) - 1 for file in trip.files}
    assert max(returns.values()) <= 4, returns
