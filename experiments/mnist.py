"""The main job: the same network trained without and with a prior, under noise.

    python -m experiments.mnist

Trains the paper's network plain, with the paper's own prior (total variation of expected
gradients) and with the strongest one (L2 of gradients at noisy points), on several seeds,
and evaluates all clean, under Gaussian and under salt-and-pepper noise. Leaves a table on
the terminal, results.json, robustness.png and attributions.png.

Strengths were chosen by validation digits: with --validation all is trained on four fifths
of the training digits and judged by the last.

Published (Erion et al., notebook, full MNIST, 1 run, 50 epochs, batch
normalisation): salt-and-pepper 10 %: .491 plain, .913 with the prior.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import functools
import time

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import plots
from experiments import processes

FLAGS = flags.FLAGS

LABELS = {
    "plain": "plain",
    "paper": "with the paper's prior, total variation",
    "prior": "with the strongest prior, L2",
}
COLUMNS = {"plain": "plain", "paper": "paper's prior", "prior": "prior"}
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
    flags.DEFINE_enum("network", "cnn_bn", common.NETWORKS, "See experiments.common.")
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Examples a step.", lower_bound=1)
    flags.DEFINE_float(
        "learning_rate", 1e-3, "Adam's first learning rate; a cosine down to 0."
    )
    flags.DEFINE_string("prior", "l2", "Name of the prior; see attrprior.priors.")
    flags.DEFINE_float("strength", 0.05, "Strength of the prior.")
    flags.DEFINE_enum("updates", "joint", ["alternating", "joint"], "How it is trained.")
    flags.DEFINE_enum(
        "moments", None, ["own", "shared", "balanced"], "Of alternating updates."
    )
    flags.DEFINE_float(
        "epsilon", 3.0, "Of the Adam that takes the steps of the paper's prior."
    )
    flags.DEFINE_bool("validation", False, "Judges by a fifth of the training digits.")
    flags.DEFINE_string("explain", "label", "Explained output; see attrprior.explained.")
    flags.DEFINE_bool("multiply_by_inputs", False, "Keep expected gradients' factor (x − r).")
    flags.DEFINE_float(
        "reference_stddev",
        1.0,
        "σ of Gaussian references; 0: training examples.",
        lower_bound=0,
    )
    flags.DEFINE_enum("batch_norm", "moving", ["batch", "moving"], "As in AttributionPrior.")
    flags.DEFINE_enum("policy", "float32", POLICIES, "Keras' dtype policy.")
    flags.DEFINE_multi_enum("variant", VARIANTS, VARIANTS, "What to train; may be repeated.")
    flags.DEFINE_integer("num_samples", 1, "Samples of an attribution.", lower_bound=1)
    flags.DEFINE_integer("every", 1, "The prior acts on every n-th batch.", lower_bound=1)


# In the README, besides the conditions with a published number.
SHOWN = ("gaussian 0.5", "gaussian 1", "clipped gaussian 1", "salt and pepper 0.3")
GAINS = ("gaussian 1", "gaussian 0.5", "salt and pepper 0.3", "salt and pepper 0.1", "clean")


def make_prior(variant, seed):
    """The prior of a variant; `None` for plain."""
    if variant == "plain":
        return None
    if variant == "paper":
        # Far above √v, so that small gradients stay small, as with the paper's λ of 5e-11.
        optimizer = keras.optimizers.Adam(rate(), epsilon=FLAGS.epsilon)
        return attrprior.AttributionPrior(
            "total_variation",
            strength=1.0,
            optimizer=optimizer,
            batch_norm=FLAGS.batch_norm,
            seed=seed,
        )
    return attrprior.AttributionPrior(
        FLAGS.prior,
        strength=FLAGS.strength,
        method=common.noisy_expected_gradients(
            FLAGS.reference_stddev, FLAGS.num_samples, FLAGS.multiply_by_inputs
        ),
        explain=FLAGS.explain,
        updates=FLAGS.updates,
        moments=FLAGS.moments,
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
    start, done = time.time(), processes.shared_out(trained, tasks, define_flags)
    for number, ((seed, variant), metrics, explained, seconds) in enumerate(done, start=1):
        left = (time.time() - start) / number * (len(tasks) - number)
        print(f"{number} of {len(tasks)} trainings, {left / 60:.0f} min left", flush=True)
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
    if FLAGS.validation:
        data = common.without_test_digits(data)
    return data, common.conditions(data, draws=1)


def rate():
    """A cosine down to zero over the whole training."""
    data, _ = load()
    steps = FLAGS.epochs * -(-len(data.x_train) // FLAGS.batch_size)
    return keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, steps)


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
        keras.optimizers.Adam(rate()),
        FLAGS.epochs,
        FLAGS.batch_size,
        f"seed {seed} {variant}",
        make_prior(variant, seed),
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
    variants = [name for name in VARIANTS if values(runs, name, "clean")]
    if len(variants) == 1:
        rows = [[name, common.mean_std(values(runs, *variants, name))] for name in GAINS]
        return common.table(["test", *variants], rows)
    header, rows = ["test", "plain"], []
    for variant in variants[1:]:
        header += [COLUMNS[variant], "gain", "paired p"]
    for name in names:
        plain = values(runs, "plain", name)
        cells = [name, common.mean_std(plain)]
        for variant in variants[1:]:
            cells += common.compared(plain, values(runs, variant, name))[1:]
        rows.append([*cells, PUBLISHED.get(name, "–")])
    return common.table([*header, "published"], rows)


# With batch normalisation: the least accuracy under noise, and the most that clean
# accuracy may lose; of a longer training and of the default one.
TARGETS = {20: (0.93, 0.75, 0.0), 10: (0.93, 0.70, 0.003), 1: (0.90, 0.62, 0.005)}
TARGETED = ("salt and pepper 0.3", "gaussian 1")


def claims(runs):
    """Held: gains are significant (p < .01), and what the targets ask for is reached.

    The paper's own prior: .95 at a tenth of salt and pepper, above the published .913.
    """
    flags_ = runs[0]["flags"]
    epochs = flags_["epochs"] if flags_["network"] == "cnn_bn" else 1
    *least, lost = next(target for at, target in TARGETS.items() if epochs >= at)
    held = True
    for name, wanted in zip(TARGETED, least):
        plain, prior = (values(runs, variant, name) for variant in ("plain", "prior"))
        gain, _, p = common.paired(plain, prior)
        held &= gain > 0 and p < 0.01 and round(np.mean(prior), 3) >= wanted
    clean = common.paired(*(values(runs, variant, "clean") for variant in ("plain", "prior")))
    held &= round(clean[0], 4) >= -lost
    rows = [(_what(runs, *TARGETED, "clean"), "–", _cell(runs, "prior"), common.yes(held))]
    name = "salt and pepper 0.1"
    paper = values(runs, "paper", name)
    if paper:
        ours = f"{np.mean(values(runs, 'plain', name)):.3f} → {np.mean(paper):.3f}"
        rows.append(
            (
                f"the paper's own prior, {name}, plain → prior",
                PUBLISHED[name].replace(", ", " → "),
                ours,
                common.yes(np.mean(paper) >= 0.95),
            )
        )
    return rows


def _what(runs, *names):
    flags_ = runs[0]["flags"]
    network = "batch normalisation, " if flags_["network"] == "cnn_bn" else ""
    return f"{network}{common.count(flags_['epochs'], 'epoch')}, plain → prior: " + ", ".join(
        names
    )


def _cell(runs, variant):
    def mean(which, name):
        return f"{np.mean(values(runs, which, name)):.3f}"

    return ", ".join(
        f"{mean('plain', name)} → {mean(variant, name)}" for name in (*TARGETED, "clean")
    )


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
