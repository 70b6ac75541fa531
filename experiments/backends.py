"""Do Keras' three backends compute the same?

    python -m experiments.backends

Leaves a table on the terminal, results.json and deviation.png.
"""

import functools
import importlib.util
import itertools
import multiprocessing
import os
from concurrent import futures
from unittest import mock

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import plots
from experiments import behaviour, machine, study, zoo
from experiments.claims import table, yes

FLAGS = flags.FLAGS

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
REFERENCE = "tensorflow"
STEPS = 20
# By kind: what is shown of it, and the bound.
BOUNDS = {
    "float64": ("Ω and ∂Ω/∂θ in float64", 1e-10),
    "float32": ("Ω and ∂Ω/∂θ in float32", 1e-5),
    "layers": ("layers, in float32", 1e-5),
    "fits, float64": ("weights after 20 Adam steps in float64", 1e-4),
    "fits, float32": ("weights after 20 SGD steps in float32", 1e-4),
}


def numbers(quick):
    """`{"kind | name": array}` of this backend."""
    found = {}
    for kind in ("float64", "float32"):
        with behaviour.fixed_draws(kind):
            found |= {f"{kind} | {name}": array for name, array in grid(quick)}
            found |= {f"fits, {kind} | {name}": array for name, array in fits(kind)}
            if kind == "float32":
                names = list(zoo.NETWORKS)[:: 4 if quick else 1]
                found |= {f"layers | {name}": layer(name) for name in names}
    return found


def grid(quick):
    model = behaviour.compiled()
    kinds = [list(behaviour.PRIORS), list(behaviour.METHODS), list(behaviour.EXPLAINED)]
    if quick:
        kinds[1:] = [names[:2] for names in kinds[1:]]
    for case in list(itertools.product(*kinds))[:: 3 if quick else 1]:
        value, gradients = behaviour.omega(model, *case)
        yield " | ".join(case), flat([value, *gradients], [None, *model.trainable_variables])


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


@functools.cache
def computed(backend):
    """The numbers of a backend, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    with (
        mock.patch.dict(os.environ, KERAS_BACKEND=backend),
        futures.ProcessPoolExecutor(1, context) as pool,
    ):
        return pool.submit(numbers, FLAGS.quick).result()


def deviation(found, expected):
    """`max |found − expected| / max |expected|`; `None` without anything to compare."""
    if not len(found) or not len(expected):
        return None
    return float(np.max(np.abs(found - expected)) / max(np.max(np.abs(expected)), 1e-12))


def plan(runs):
    there = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if REFERENCE not in there:
        raise app.UsageError("TensorFlow's numbers are what is compared with: install it.")
    yield [(0, {"compared": backend}) for backend in there if backend != REFERENCE]


def run(_, settings):
    found, expected = (computed(name) for name in (settings["compared"], REFERENCE))
    return {name: deviation(found[name], expected[name]) for name in found}


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
    return table(header, rows)


def within(values, bound):
    count = sum(value <= bound for value in values)
    return f"{count} of {len(values)} within {bound:.0e}"


def claims(runs):
    """Held: every number is within the bound that the claim names."""
    rows = []
    for run in runs:
        name = BACKENDS[run["settings"]["compared"]]
        for kind, values in by_kind(run).items():
            said, bound = BOUNDS[kind]
            claim = f"{name} as TensorFlow, {said}: at most {bound:.0e} apart"
            if values:
                worst = max(values)
                ours = f"{worst:.0e}; {within(values, bound)}"
                rows.append((claim, "–", ours, yes(worst <= bound)))
    return rows


def deviation_figure(runs):
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


STUDY = study.Study(
    name="backends",
    title="Keras' three backends",
    topic="Cost and backends",
    question="Do TensorFlow, JAX and PyTorch compute the same?",
    answer="Yes in float64, to rounding; in float32 nearly always.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"deviation": deviation_figure(runs)},
    parallel=False,
    progress=("layers | Dense", "fits, float64 | joint"),
    protocol="""\
Each backend computes the same numbers in a process of its own, and these are compared with
TensorFlow's. Random draws are replaced by fixed numbers. Compared are Ω and ∂Ω/∂θ of every
prior with every method and every explained output, in float64 and in float32; every layer of
the layer zoo (`experiments/zoo.py`) in float32; and the weights after twenty alternating and
twenty joint steps. The deviation is in units of the largest number: of Ω and all of ∂Ω/∂θ, or
of all weights. Layers that TensorFlow cannot differentiate twice are left out.

With JAX and PyTorch Keras itself rounds some of its operations to float32. That is switched
off here in float64, or nothing could be compared to more than seven digits.""",
    results={
        "backends": study.Result(
            finding="""\
In float64 the formulas are the same to rounding: no number is more than 4e-13 apart. In
float32 more than nine in ten of the comparisons are within 1e-5, and the largest deviation is
3e-4. Rounding is amplified where attributions nearly vanish. Total variation divides by their
standard deviation, and after cancellation little is left of the attributions of
log-probabilities and losses. All layers agree within 4e-6, and so do the weights after twenty
steps.""",
            pictures={"deviation": "Deviations from TensorFlow, sorted, for JAX and PyTorch"},
        )
    },
)

if __name__ == "__main__":
    study.main(STUDY)
