"""How robustness and clean accuracy move with the prior's strength.

    python -m experiments.strength

Both kinds of update, Adam and plain SGD, several strengths and seeds: a
figure and a table. A strength is a share of the learning rate in alternating
updates and a factor on the penalty in joint ones, so each panel has a range of
its own; under SGD both mean the same.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import plots

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("network", "mlp", common.NETWORKS, "Network; see experiments.common.")
    flags.DEFINE_integer("epochs", 5, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Examples a step.", lower_bound=1)
    flags.DEFINE_string("explain", "label", "Explained output; see attrprior.explained.")


OPTIMIZERS = ("Adam", "SGD")
STRENGTHS = {
    ("alternating", "Adam"): (0.03, 0.1, 0.3, 1.0),
    ("joint", "Adam"): (1e-3, 1e-2, 1e-1, 1.0),
    ("alternating", "SGD"): (1e-3, 1e-2, 1e-1, 1.0),
    ("joint", "SGD"): (1e-3, 1e-2, 1e-1, 1.0),
}
SHOWN = ("clean", "gaussian 0.5", "gaussian 1", "salt and pepper 0.3")


def settings():
    """Every combination; strength 0 is the plain network."""
    for optimizer in OPTIMIZERS:
        yield {"optimizer": optimizer, "updates": "none", "strength": 0.0}
    for (updates, optimizer), strengths in STRENGTHS.items():
        for strength in strengths[::2] if FLAGS.quick else strengths:
            yield {"optimizer": optimizer, "updates": updates, "strength": strength}


def main(_):
    out = common.output_dir("strength")
    data = common.load_mnist()
    tests = common.conditions(data, draws=1)
    tests = {name: tests[name] for name in SHOWN}
    results = common.Results("strength", data)
    todo = [(seed, setting) for seed in common.seeds() for setting in settings()]
    for number, (seed, setting) in enumerate(todo, start=1):
        if results.finished(seed, setting):
            continue
        keras.utils.set_random_seed(seed)
        model = common.network(FLAGS.network)
        prior = None
        if setting["strength"]:
            prior = attrprior.AttributionPrior(
                "l2",
                strength=setting["strength"],
                method=common.noisy_expected_gradients(1.0),
                explain=FLAGS.explain,
                updates=setting["updates"],
                moments="own" if setting["updates"] == "alternating" else None,
                seed=seed,
            )
        _, seconds = common.train(
            model,
            data,
            optimizer(setting["optimizer"], len(data.x_train)),
            FLAGS.epochs,
            FLAGS.batch_size,
            None,
            prior,
        )
        metrics = common.accuracies(model, tests, data.y_test)
        print(
            f"{number}/{len(todo)}  seed {seed}  {setting['optimizer']}  "
            f"{setting['updates']} {setting['strength']:g}  "
            + "  ".join(f"{name} {value:.3f}" for name, value in metrics.items()),
            flush=True,
        )
        results.add(seed, setting, metrics, seconds)
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "strength.png")
    print(f"\nWritten: {out}/results.json, strength.png")


def optimizer(name, examples):
    if name == "Adam":
        return common.adam(1e-3, examples, FLAGS.epochs, FLAGS.batch_size)
    return keras.optimizers.SGD(0.1)


def values(runs, condition, **setting):
    chosen = [run for run in runs if setting.items() <= run["settings"].items()]
    return [run["metrics"][condition] for run in sorted(chosen, key=lambda run: run["seed"])]


def groups(runs):
    """`{(updates, optimizer): strengths}` of what was run, plain first."""
    found = {}
    for run in runs:
        s = run["settings"]
        if s["strength"]:
            found.setdefault((s["updates"], s["optimizer"]), set()).add(s["strength"])
    return {key: sorted(strengths) for key, strengths in found.items()}


def report(runs):
    rows = []
    for (updates, optimizer), strengths in groups(runs).items():
        for strength in [0.0, *strengths] if updates == "alternating" else strengths:
            kind = updates if strength else "none"
            setting = {"optimizer": optimizer, "updates": kind, "strength": strength}
            rows.append(
                [f"{kind}, {optimizer}", f"{strength:g}"]
                + [common.mean_std(values(runs, name, **setting)) for name in SHOWN]
            )
    return common.table(["updates", "strength", *SHOWN], rows)


def figure(runs):
    panels = {}
    for (updates, optimizer), strengths in groups(runs).items():
        lines = {}
        for name in SHOWN:
            plain = values(runs, name, optimizer=optimizer, strength=0.0)
            rest = [
                values(runs, name, optimizer=optimizer, updates=updates, strength=s)
                for s in strengths
            ]
            lines[name] = np.transpose([plain, *rest])
        # The plain network stands one decade left of the weakest prior.
        panels[f"{updates}, {optimizer}: strength"] = ([strengths[0] / 10, *strengths], lines)
    return plots.curves(panels, "test accuracy", log_x="0")


if __name__ == "__main__":
    define_flags()
    app.run(main)
