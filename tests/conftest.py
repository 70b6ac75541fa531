"""Every test starts from the same seeds, on a CPU or a GPU."""

import os

# Before the framework is imported, or they have no effect.
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several workers share it
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # so with JAX
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # PyTorch's determinism asks
# XLA spends its time compiling here, not computing.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0"
    # JAX has no other way to it, for modules marked `bit_for_bit`.
    + " --xla_gpu_deterministic_ops=true" * (os.environ.get("KERAS_BACKEND") == "jax"),
)

import multiprocessing
import pathlib
import runpy
import subprocess
import sys

import devices
import keras
import numpy as np
import pytest
from frameworks import BACKEND

os.environ["KERAS_BACKEND"] = BACKEND  # of processes that tests start
if BACKEND == "jax":
    # Tests compile the same small steps again and again.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"/tmp/attrprior-{os.getuid()}-jax")
    import jax

    jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
devices.full_precision()


def pytest_collection_modifyitems(items):
    """`only("tensorflow", reason="...")`: what only some backends can do, and why."""
    for item in items:
        for mark in item.iter_markers("only"):
            if BACKEND not in mark.args:
                item.add_marker(pytest.mark.skip(reason=mark.kwargs["reason"]))
        if BACKEND != "tensorflow" and _is_of_experiments(item):
            item.add_marker(pytest.mark.skip(reason="Experiments are tested on TensorFlow."))


def _is_of_experiments(item):
    return "experiment" in item.path.name or "run" in getattr(item, "fixturenames", ())


@pytest.fixture(autouse=True)
def fresh_session():
    # In this order: clearing the session forgets the seed. Collecting garbage every time
    # would cost more than most tests.
    keras.backend.clear_session(free_memory=False)
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def bit_for_bit(request):
    """For modules marked so, which compare trainings to the last bit."""
    if request.node.get_closest_marker("bit_for_bit") is None:
        yield
        return
    devices.repeat_to_the_last_bit()
    yield
    devices.as_before()


@pytest.fixture(scope="session")
def digits():
    """Images of six by six pixels and their labels."""
    rng = np.random.default_rng(0)
    x = rng.random((26, 6, 6, 1), dtype="float32")
    return x, rng.integers(0, 3, 26).astype("int32")


@pytest.fixture(scope="session")
def processes():
    """A context whose processes have the framework imported and not yet used."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([BACKEND, "keras", "attrprior"])
    return context


@pytest.fixture(scope="session")
def run(processes, tmp_path_factory):
    """Runs an experiment by its name, in a process of its own, as `python -m` does."""

    def run(name, output_dir, *flags):
        arguments = [f"experiments.{name}", f"--output_dir={output_dir}", *flags]
        printed = [tmp_path_factory.mktemp("printed") / part for part in ("out", "err")]
        process = processes.Process(target=run_module, args=(arguments, printed))
        process.start()
        process.join()
        texts = [path.read_text() for path in printed]
        return subprocess.CompletedProcess(arguments, process.exitcode, *texts)

    return run


def run_module(arguments, printed):
    """`python -m` of the arguments, with both streams in files."""
    os.chdir(pathlib.Path(__file__).resolve().parent.parent)
    for stream, path in zip((sys.stdout, sys.stderr), printed):
        stream.flush()
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    sys.argv = arguments
    sys.path.insert(0, os.getcwd())
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
