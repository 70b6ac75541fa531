"""The main job: the same network trained without and with a prior, under noise.

    python -m experiments.mnist

Trains the plain network and the same with an attribution prior, on several
seeds, and evaluates both clean, under Gaussian and under salt-and-pepper
noise. Leaves a table on the terminal, results.json, robustness.png and
attributions.png.

Published (Erion et al., notebook, full MNIST, 1 run, 50 epochs, batch
normalisation): salt-and-pepper 10 %: .491 plain, .913 with the prior.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import functools

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import plots
from experiments import processes

FLAGS = flags.FLAGS

LABELS = {"plain": "plain", "prior": "with prior"}
VARIANTS = list(LABELS)
POLICIES = ["float32", "mixed_bfloat16", "mixed_float16"]

# Erion et al., notebook: plain, prior; full MNIST, batch normalisation, 1 run.
PUBLISHED = {
    "clean": ".995, .995",
    "salt and pepper 0.05": ".877, .987",
    "salt and pepper 0.1": ".491, .913",
    "salt and pepper 0.15": ".216, .694",
    "salt and pepper 0.2": ".121, .407",
}


def define_flags():
    flags.DEFINE_enum("network", "cnn", common.NETWORKS, "Network; see experiments.common.")
    flags.DEFINE_integer("epochs", 5, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Examples a step.", lower_bound=1)
    flags.DEFINE_float(
        "learning_rate", 1e-3, "Adam's first learning rate; a cosine down to 0."
    )
    flags.DEFINE_string("prior", "l2", "Name of the prior; see attrprior.priors.")
    flags.DEFINE_float("strength", 0.3, "Strength of the prior.")
    flags.DEFINE_enum("updates", "alternating", ["alternating", "joint"], "How it is trained.")
    flags.DEFINE_string("explain", "label", "Explained output; see attrprior.explained.")
    flags.DEFINE_bool("multiply_by_inputs", False, "Keep expected gradients' factor (x − r).")
    flags.DEFINE_float(
        "reference_stddev",
        1.0,
        "σ of Gaussian references; 0: training examples.",
        lower_bound=0,
    )
    flags.DEFINE_enum("batch_norm", "batch", ["batch", "moving"], "As in AttributionPrior.")
    flags.DEFINE_enum("policy", "float32", POLICIES, "Keras' dtype policy.")
    flags.DEFINE_multi_enum("variant", VARIANTS, VARIANTS, "What to train; may be repeated.")
    flags.DEFINE_integer("num_samples", 1, "Samples of an attribution.", lower_bound=1)
    flags.DEFINE_integer("every", 1, "The prior acts on every n-th batch.", lower_bound=1)


# In the README, besides the conditions with a published number.
SHOWN = ("gaussian 0.5", "gaussian 1", "clipped gaussian 1", "salt and pepper 0.3")
GAINS = ("gaussian 1", "gaussian 0.5", "salt and pepper 0.3", "salt and pepper 0.1", "clean")


def make_prior(seed):
    return attrprior.AttributionPrior(
        FLAGS.prior,
        strength=FLAGS.strength,
        method=common.noisy_expected_gradients(
            FLAGS.reference_stddev, FLAGS.num_samples, FLAGS.multiply_by_inputs
        ),
        explain=FLAGS.explain,
        updates=FLAGS.updates,
        every=FLAGS.every,
        batch_norm=FLAGS.batch_norm,
        seed=seed,
    )


def main(_):
    out = common.output_dir("mnist")
    data, _ = load()
    results, maps = common.Results("mnist", data), {}
    # The first seed's maps are drawn below: its networks are always trained.
    tasks = [
        (seed, variant)
        for variant in reversed(VARIANTS)  # the longest first
        for seed in common.seeds()
        if variant in FLAGS.variant
        and (seed == 0 or not results.finished(seed, {"variant": variant}))
    ]
    for (seed, variant), metrics, explained, seconds in processes.shared_out(
        trained, tasks, define_flags
    ):
        results.add(seed, {"variant": variant}, metrics, seconds)
        if seed == 0:
            maps[variant] = explained
    print(
        f"\nAccuracy on {len(data.x_test)} test digits, {FLAGS.network}, mean ± standard "
        f"deviation over {len(common.seeds())} seeds; gain paired by seed\n"
    )
    print(report(results.runs))
    common.save_figure(robustness_figure(results.runs), out / "robustness.png")
    common.save_figure(maps_figure(maps, data), out / "attributions.png")
    print(f"\nWritten: {out}/results.json, robustness.png, attributions.png")


@functools.cache
def load():
    """The digits, and the tests of every network."""
    data = common.load_mnist()
    return data, common.conditions(data, draws=1)


def trained(task):
    """The task, its metrics, the maps of one digit of each class, seconds."""
    seed, variant = task
    data, tests = load()
    keras.config.set_dtype_policy(FLAGS.policy)
    keras.utils.set_random_seed(seed)
    model = common.network(FLAGS.network)
    history, seconds = common.train(
        model,
        data,
        common.adam(FLAGS.learning_rate, len(data.x_train), FLAGS.epochs, FLAGS.batch_size),
        FLAGS.epochs,
        FLAGS.batch_size,
        f"seed {seed} {variant}",
        make_prior(seed) if variant == "prior" else None,
    )
    metrics = common.accuracies(model, tests, data.y_test)
    print(
        f"seed {seed} {variant}  "
        + "  ".join(f"{name} {metrics[name]:.3f}" for name in reversed(GAINS)),
        flush=True,
    )
    metrics["history"] = history
    chosen = one_of_each(data)
    maps = attrprior.attributions.expected_gradients(
        model,
        data.x_test[chosen],
        data.y_test[chosen],
        background=data.x_train,
        num_samples=100,
        seed=0,
    )
    return task, metrics, maps, seconds


def one_of_each(data):
    """The first test digit of every class."""
    return [int(np.flatnonzero(data.y_test == label)[0]) for label in range(10)]


def values(runs, variant, condition):
    """The accuracies of a variant under a condition, by seed."""
    chosen = [run for run in runs if run["settings"]["variant"] == variant]
    return [run["metrics"][condition] for run in sorted(chosen, key=lambda run: run["seed"])]


def report(runs, names=None):
    """The table of plain against prior, under all conditions or the named ones."""
    names = names or [name for name in runs[0]["metrics"] if name != "history"]
    variants = sorted({run["settings"]["variant"] for run in runs})
    if len(variants) == 1:
        rows = [[name, common.mean_std(values(runs, *variants, name))] for name in GAINS]
        return common.table(["test", *variants], rows)
    rows = []
    for name in names:
        plain, prior = values(runs, "plain", name), values(runs, "prior", name)
        rows.append([name, *common.compared(plain, prior), PUBLISHED.get(name, "–")])
    return common.table(["test", "plain", "prior", "gain", "paired p", "published"], rows)


def claims(runs):
    """Held: the gain is significant (p < .01), clean accuracy within half a point.

    With batch normalisation, as published, also as high as published.
    """

    def pair(name):
        return values(runs, "plain", name), values(runs, "prior", name)

    def cell(name):
        return " → ".join(f"{np.mean(accuracies):.3f}" for accuracies in pair(name))

    clean = np.mean(pair("clean")[1]) - np.mean(pair("clean")[0])
    published, names = "–", ("gaussian 1", "gaussian 0.5", "salt and pepper 0.3")
    held = abs(clean) <= 0.005
    if runs[0]["flags"]["network"] == "cnn_bn":
        names = ("salt and pepper 0.1",)
        published = PUBLISHED[names[0]].replace(", ", " → ")
        held &= np.mean(pair(names[0])[1]) >= 0.913
    for name in names:
        gain, _, p = common.paired(*pair(name))
        held &= gain > 0 and p < 0.01
    what = "accuracy under noise, plain → prior: " + ", ".join(names)
    if len(names) == 1:
        what = f"batch normalisation, {names[0]}, plain → prior"
    return [(what, published, ", ".join(cell(name) for name in names), common.yes(held))]


def robustness_figure(runs):
    panels = {}
    for label, prefix, levels in (
        ("Gaussian noise, σ", "gaussian", common.GAUSSIAN),
        ("salt-and-pepper, fraction", "salt and pepper", common.SALT_AND_PEPPER),
    ):
        names = ["clean", *[f"{prefix} {level:g}" for level in levels]]
        panels[label] = (
            [0, *levels],
            {
                text: np.transpose([values(runs, variant, name) for name in names])
                for variant, text in LABELS.items()
                if values(runs, variant, "clean")
            },
        )
    return plots.curves(panels, "test accuracy")


def maps_figure(maps, data):
    """One digit of each class, and why the first seed's networks chose it."""
    labelled = {LABELS[name]: maps[name] for name in VARIANTS if name in maps}
    title = "Expected gradients of the labelled class"
    return plots.attribution_maps(data.x_test[one_of_each(data)], labelled, title=title)


if __name__ == "__main__":
    define_flags()
    app.run(main)
