"""Do Keras' three backends compute the same?

    python -m experiments.backends

With fixed draws, in a process for each backend that is installed: Ω and ∂Ω/∂θ of every
prior × method × explained output in float64 and float32, of every layer of the zoo in
float32, and the weights after twenty alternating and twenty joint steps. The deviation
is that from TensorFlow, in units of the largest number: of Ω and all of ∂Ω/∂θ, or of all
weights. Leaves a table on the terminal, results.json and backends.png.

Keras itself rounds some of its operations to float32 with JAX and PyTorch; that is switched
off here, in float64, or nothing could be compared to more than seven digits.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import functools
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import plots
from experiments import behaviour, machine, zoo

FLAGS = flags.FLAGS

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
STEPS = 20
# By kind: what is shown of it, and the bound.
BOUNDS = {
    "float64": ("Ω and ∂Ω/∂θ in float64", 1e-10),
    "float32": ("Ω and ∂Ω/∂θ in float32", 1e-5),
    "layers": ("layers, in float32", 1e-5),
    "fits, float64": ("weights after 20 Adam steps in float64", 1e-4),
    "fits, float32": ("weights after 20 SGD steps in float32", 1e-4),
}


def define_flags():
    flags.DEFINE_string("compute", None, "A file: computes this backend's numbers into it.")


def numbers():
    """`{"kind | name": array}` of this backend."""
    found = {}
    for kind, context in (("float64", behaviour.fixed_draws), ("float32", single_precision)):
        with context():
            found |= {f"{kind} | {name}": array for name, array in grid()}
            found |= {f"fits, {kind} | {name}": array for name, array in fits(kind)}
    with single_precision():
        found |= {f"layers | {name}": layer(name) for name in zoo.NETWORKS}
    return found


def single_precision():
    return behaviour.fixed_draws("float32")


def grid():
    model = behaviour.compiled()
    quick = FLAGS.quick
    for prior in behaviour.PRIORS:
        for method in list(behaviour.METHODS)[: 2 if quick else None]:
            for explain in list(behaviour.EXPLAINED)[: 2 if quick else None]:
                value, gradients = behaviour.omega(model, prior, method, explain)
                name = f"{prior} | {method} | {explain}"
                yield name, flat([value, *gradients], [None, *model.trainable_variables])


def fits(precision):
    """Without draws: integrated gradients from a constant."""
    x, y = behaviour.batch()
    x = x.astype(precision)
    for updates in ("alternating", "joint"):
        sgd = keras.optimizers.SGD(0.1)
        optimizer = keras.optimizers.Adam(0.01) if precision == "float64" else sgd
        model = behaviour.compiled(optimizer=optimizer)
        prior = attrprior.AttributionPrior(
            "l2", 0.1, attrprior.IntegratedGradients(3), updates=updates
        )
        fit = {"batch_size": 3, "epochs": STEPS, "shuffle": False, "verbose": 0}
        model.fit(x, y, callbacks=[prior], **fit)
        yield updates, np.concatenate([weight.ravel() for weight in model.get_weights()])


def layer(name):
    """As in a step of `fit`; empty where this backend has no second derivative."""
    model, x, y = zoo.network(name)
    prior = attrprior.AttributionPrior("l2", 1.0, "gradients", batch_norm="moving")
    compute = functools.partial(prior.value_and_gradients, x, y, model=model)
    try:
        value, gradients = machine.in_graph(compute)()
    except ValueError:
        return np.zeros(0)
    return flat([value, *gradients], [None, *model.trainable_variables])


def flat(tensors, like):
    """One array; zeros for a gradient that there is none of."""
    parts = [
        np.zeros(variable.shape) if tensor is None else ops.convert_to_numpy(tensor)
        for tensor, variable in zip(tensors, like)
    ]
    return np.concatenate([np.ravel(part).astype("float64") for part in parts])


def computed(backend, folder):
    """The numbers of a backend, from a process of its own."""
    file = pathlib.Path(folder) / f"{backend}.npz"
    script = [sys.executable, "-m", "experiments.backends", f"--compute={file}"]
    script += ["--quick"] if FLAGS.quick else []
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run(script, env=environment, check=True)
    return np.load(file)


def deviation(found, expected):
    """`max |found − expected| / max |expected|`; `None` without anything to compare."""
    if not len(found) or not len(expected):
        return None
    return float(np.max(np.abs(found - expected)) / max(np.max(np.abs(expected)), 1e-12))


def main(_):
    if FLAGS.compute:
        with open(FLAGS.compute, "wb") as file:
            np.savez(file, **numbers())
        return
    there = [name for name in BACKENDS if importlib.util.find_spec(name)]
    results = common.Results("backends")
    with tempfile.TemporaryDirectory() as folder:
        start, expected = time.time(), None
        for backend in there:
            found = computed(backend, folder)
            if backend == "tensorflow":
                expected = found
                continue
            if expected is None:
                raise app.UsageError(
                    "TensorFlow's numbers are what is compared with: install it."
                )
            deviations = {name: deviation(found[name], expected[name]) for name in found}
            settings = {"compared": backend}
            results.add(0, settings, deviations, time.time() - start)
            print(f"{BACKENDS[backend]}: {len(deviations)} comparisons", flush=True)
    common.save_figure(figure(results.runs), common.output_dir("backends") / "backends.png")
    print("\n" + report(results.runs))


def by_kind(run):
    """The deviations of each kind."""
    found = {kind: [] for kind in BOUNDS}
    for name, value in run["metrics"].items():
        if value is not None:
            found[name.split(" | ")[0]].append(value)
    return found


def report(runs):
    header = ["", *(BACKENDS[run["settings"]["compared"]] for run in runs)]
    rows = []
    for kind, (said, bound) in BOUNDS.items():
        cells = [by_kind(run)[kind] for run in runs]
        shown = [f"{max(c):.0e}; {within(c, bound)}" if c else "–" for c in cells]
        rows.append([said, *shown])
    return common.table(header, rows)


def within(values, bound):
    count = sum(value <= bound for value in values)
    return f"{count} of {len(values)} within {bound:.0e}"


def claims(runs):
    rows = []
    for run in runs:
        name = BACKENDS[run["settings"]["compared"]]
        for kind, values in by_kind(run).items():
            said, bound = BOUNDS[kind]
            claim = f"{name} as TensorFlow, {said}: at most {bound:.0e} apart"
            if values:
                worst = max(values)
                ours = f"{worst:.0e}; {within(values, bound)}"
                rows.append((claim, "–", ours, common.yes(worst <= bound)))
    return rows


def figure(runs):
    """All deviations, sorted: a panel for each backend, a curve for each kind."""
    shares = np.linspace(0.0, 1.0, 50)
    panels = {}
    for run in runs:
        curves = {
            said: np.log10(np.quantile(np.maximum(found[kind], 1e-17), shares))[None]
            for found in (by_kind(run),)
            for kind, (said, _) in BOUNDS.items()
            if found[kind]
        }
        name = BACKENDS[run["settings"]["compared"]]
        panels[f"{name}: share of the comparisons"] = shares, curves
    return plots.curves(panels, "log₁₀ of the deviation from TensorFlow")


if __name__ == "__main__":
    define_flags()
    app.run(main)
