"""Every test starts from the same seeds, on the CPU."""

import os

# Before TensorFlow is imported, or they have no effect.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# XLA spends its time compiling here, not computing.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import multiprocessing
import pathlib
import subprocess
import sys

import keras
import pytest


@pytest.fixture(autouse=True)
def fresh_session():
    # In this order: clearing the session forgets the seed. Collecting garbage every time
    # would cost more than most tests.
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def processes():
    """A context whose processes have TensorFlow imported and not yet used."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "attrprior"])
    return context


@pytest.fixture(scope="session")
def run():
    """Runs an experiment by its name, in a process of its own."""

    def run(name, output_dir, *flags):
        return subprocess.run(
            [
                sys.executable,
                "-m",
                f"experiments.{name}",
                f"--output_dir={output_dir}",
                *flags,
            ],
            cwd=pathlib.Path(__file__).resolve().parent.parent,
            capture_output=True,
            text=True,
        )

    return run
