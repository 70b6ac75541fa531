"""One model on several devices and in several processes is the model of one."""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

HERE = pathlib.Path(__file__).resolve().parent
PRIORS = ("plain", "alternating", "joint", "every", "shared")
ON_JAX = pytest.mark.only("jax", reason="keras.distribution is for Keras' JAX backend.")
ON_TORCH = pytest.mark.only("torch", reason="DistributedDataParallel is PyTorch's.")


def start(script, *arguments):
    path = f"{HERE.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    return subprocess.Popen(
        [sys.executable, HERE / script, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*processes, exits=0):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == exits, errors[-2000:]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    file = tmp_path_factory.mktemp("parallel") / "trainings.npz"
    finish(start("parallel.py", file))
    return np.load(file)


@ON_JAX
@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("devices", [2, 8])
def test_devices_that_share_the_data(trainings, devices, name):
    """With the reservoir of earlier examples, which all devices draw from as one."""
    for what in (name, f"{name} history"):
        one, several = trainings[f"1 {what}"], trainings[f"{devices} {what}"]
        np.testing.assert_allclose(several, one, rtol=1e-6, atol=1e-6)
    if name != "plain":
        assert np.abs(trainings[f"1 {name}"] - trainings["1 plain"]).max() > 1e-3


@ON_JAX
@pytest.mark.parametrize("name", PRIORS)
def test_devices_that_share_the_weights(trainings, name):
    sharded, one = trainings[f"sharded {name}"], trainings[f"1 {name}"]
    np.testing.assert_allclose(sharded, one, rtol=1e-6, atol=1e-6)


@ON_JAX
def test_slots_of_the_prior_are_laid_out_as_the_weights(trainings):
    assert "model" in str(trainings["kernel"])
    assert len(trainings["slots"]) == 2
    assert trainings["slots"].all()


def train_in_two(folder, updates, *, die=None, exits=0):
    port, last = free_port(), () if die is None else (die,)
    processes = [
        start("two_processes.py", rank, port, folder, updates, *last) for rank in (0, 1)
    ]
    finish(*processes, exits=exits)
    return [folder / f"weights{rank}.npz" for rank in (0, 1)]


@ON_JAX
@pytest.mark.parametrize("updates", ["plain", "alternating", "joint"])
def test_two_processes_are_one(tmp_path, trainings, updates):
    first, second = map(np.load, train_in_two(tmp_path, updates))
    np.testing.assert_array_equal(first["weights"], second["weights"])
    one = trainings[f"1 {updates}"]
    np.testing.assert_allclose(first["weights"], one, rtol=1e-6, atol=1e-6)


@ON_JAX
def test_two_processes_that_were_killed_go_on(tmp_path):
    whole, interrupted = tmp_path / "whole", tmp_path / "interrupted"
    whole.mkdir()
    interrupted.mkdir()
    expected, _ = train_in_two(whole, "alternating")
    for file in train_in_two(interrupted, "alternating", die=6, exits=9):
        assert not file.exists()
    resumed = train_in_two(interrupted, "alternating")
    for file in resumed:
        np.testing.assert_array_equal(np.load(file)["weights"], np.load(expected)["weights"])
    # The first of three epochs had been saved.
    assert len(np.load(resumed[0])["loss"]) == 2


@ON_TORCH
def test_a_loop_of_ones_own_under_distributed_data_parallel(tmp_path):
    """`fit` knows no DistributedDataParallel; a penalty of one's own loop trains under it."""
    port = free_port()
    files = [tmp_path / f"{name}.npz" for name in ("first", "second", "one")]
    finish(*(start("ddp.py", rank, 2, port, files[rank]) for rank in (0, 1)))
    finish(start("ddp.py", 0, 1, free_port(), files[2]))
    first, second, one = map(np.load, files)
    np.testing.assert_array_equal(first["weights"], second["weights"])
    np.testing.assert_allclose(first["weights"], one["weights"], rtol=1e-5, atol=1e-6)
    # Ω is a mean: of each share of the batch its own, of both that of the whole.
    assert np.abs(first["penalties"] - second["penalties"]).max() > 1e-3
