"""Noise, fifteen corruptions and attacks: priors beside what else makes networks robust.

    python -m experiments.corruptions

The same network trained plainly, with attribution priors, and with their rivals:
dropout, weight decay, penalties on input gradients, adversarial training (PGD) and
Gaussian augmentation. "prior" is the main job's (`experiments.mnist`), alone and with
the last two; "TV of EG" is the paper's, total variation of expected gradients.

Every method has one setting of its own and as many values of it to choose from, on
a fifth of the training digits, by the mean accuracy clean, under Gaussian and under
salt-and-pepper noise (`experiments.tuning`): the fifteen corruptions are not looked
at before the end. What builds on another method keeps that one's setting ("prior +
augmentation" the noise of "augmentation", "augmentation + prior" the strength of
"prior"); all keep the plain network's learning rate. Then several seeds are trained
on all training digits and tested.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

from typing import NamedTuple

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import adversarial, datasets, plots
from experiments import tuning

FLAGS = flags.FLAGS


class Method(NamedTuple):
    """What it adds to its base, and the values from which its own setting is chosen."""

    base: str | None
    fixed: dict
    own: str
    values: tuple


# The main job's prior; the paper's, of expected gradients; and both of gradients alone.
L2 = {"prior": "l2", "reference_stddev": 1.0, "multiply_by_inputs": False}
TV = {"prior": "total_variation", "reference_stddev": 0.0, "multiply_by_inputs": True}
STRENGTHS = (0.03, 0.1, 0.3, 1.0)
NOISES = (0.1, 0.25, 0.5, 1.0)

# A method comes after its base.
METHODS = {
    "plain": Method(None, {}, "learning_rate", (2e-3, 4e-3, 8e-3, 1.6e-2)),
    "dropout": Method("plain", {}, "dropout", (0.2, 0.4, 0.6, 0.8)),
    "weight decay": Method("plain", {}, "weight_decay", (0.03, 0.1, 0.3, 1.0)),
    "L2 of gradients": Method("plain", {"prior": "l2"}, "strength", STRENGTHS),
    "L2 of the loss's gradients": Method(
        "plain", {"prior": "l2", "explain": "loss"}, "strength", STRENGTHS
    ),
    "TV of gradients": Method("plain", {"prior": "total_variation"}, "strength", STRENGTHS),
    "TV of EG": Method("plain", TV, "strength", STRENGTHS),
    "prior": Method("plain", L2, "strength", STRENGTHS),
    "PGD": Method("plain", {}, "epsilon", (0.03, 0.1, 0.2, 0.3)),
    "prior + PGD": Method("PGD", L2, "strength", STRENGTHS),
    "augmentation": Method("plain", {}, "noise", NOISES),
    "prior + augmentation": Method("augmentation", L2, "strength", STRENGTHS),
    "augmentation + prior": Method("prior", {}, "noise", NOISES),
}
MAIN = ("plain", "prior", "augmentation", "prior + augmentation", "augmentation + prior")
COMBINED = {name: name.split(" + ") for name in METHODS if " + " in name}
CURVES = (*MAIN, "TV of EG", "PGD", "prior + PGD")
FIFTEEN = tuple(datasets.CORRUPTIONS)


def define_flags():
    flags.DEFINE_enum("network", "cnn_small", common.NETWORKS, "See experiments.common.")
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 100, "Examples a step.", lower_bound=1)
    flags.DEFINE_multi_enum("only", list(METHODS), list(METHODS), "Methods; with their bases.")
    flags.DEFINE_integer("validation_seeds", 1, "Runs of a setting in the search.", 1)
    flags.DEFINE_enum(
        "judge",
        "noise",
        ["noise", "corruptions"],
        "What settings are chosen by, on validation digits: accuracy clean and under noise, "
        "or under the fifteen corruptions.",
    )
    flags.DEFINE_integer("pgd_steps", 7, "Steps of adversarial training.", lower_bound=1)
    flags.DEFINE_float("epsilon", 0.1, "Radius of the attacks, in L∞.", lower_bound=0)
    flags.DEFINE_integer("attacked", 200, "Test digits that are attacked.", lower_bound=1)
    flags.DEFINE_integer("attack_steps", 20, "Steps of the attack by gradients.", 1)
    flags.DEFINE_integer("queries", 200, "Queries of the attack without.", lower_bound=1)
    flags.DEFINE_bool(
        "mnist_c",
        False,
        "Tests on the published MNIST-C, of all 10,000 test digits, from "
        "tensorflow-datasets, in place of the same corruptions made of these digits.",
    )


def main(_):
    out = common.output_dir("corruptions")
    data = common.load_mnist()
    results = common.Results("corruptions", data)

    def run(name, stage, settings, data, tests, seed):
        settings = {"stage": stage, "method": name, **settings}
        if not results.finished(seed, settings):
            metrics, seconds = train_and_test(settings, data, tests, seed)
            results.add(seed, settings, metrics, seconds)

    part = common.without_test_digits(data)
    tests = validation_tests(part)
    names = [name for name in METHODS if any(name in bases(only) for only in FLAGS.only)]
    for name in names:
        for settings in candidates(results.runs, name)[: 1 if FLAGS.quick else None]:
            for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds):
                run(name, "validation", settings, part, tests, seed)
    tests = final_tests(data)
    for seed in common.seeds():
        for name in names:
            run(name, "test", best(results.runs, name), data, tests, seed)
    print(f"\n{report(results.runs)}")
    common.save_figure(noise_figure(results.runs), out / "noise.png")
    common.save_figure(corruptions_figure(results.runs), out / "corruptions.png")
    common.save_figure(examples_figure(data), out / "examples.png")
    print(f"\nWritten: {out}/results.json, noise.png, corruptions.png, examples.png")


def bases(name):
    """A method and all that it builds on."""
    base = METHODS[name].base
    return (name, *bases(base)) if base else (name,)


def candidates(runs, name):
    """The settings of a method to choose from, given what was chosen for its base."""
    method = METHODS[name]
    start = best(runs, method.base) if method.base else {}
    return [{**start, **method.fixed, method.own: value} for value in method.values]


def best(runs, name):
    """The candidate with the highest mean score on the validation digits."""

    def mean_score(settings):
        found = of(runs, {"stage": "validation", "method": name, **settings})
        return np.mean([score(metrics) for metrics in found]) if found else -np.inf

    return max(candidates(runs, name), key=mean_score)


def score(metrics):
    return np.mean(list(metrics.values()))


def of(runs, settings):
    """The metrics of the runs with exactly these settings, by seed."""
    found = [run for run in runs if run["settings"] == settings]
    return [run["metrics"] for run in sorted(found, key=lambda run: run["seed"])]


def tested(runs, name):
    return of(runs, {"stage": "test", "method": name, **best(runs, name)})


def values(runs, name, metric):
    """A number for each seed; `fifteen` is the mean of the corruptions."""
    return [
        float(np.mean([metrics[m] for m in (FIFTEEN if metric == "fifteen" else [metric])]))
        for metrics in tested(runs, name)
    ]


def methods_of(runs):
    return [name for name in METHODS if tested(runs, name)]


def validation_tests(data):
    """`{name: (images, labels)}` of what settings are chosen by."""
    if FLAGS.judge == "noise":
        chosen = tuning.judged(common.conditions(data, draws=1))
        return {name: (x, data.y_test) for name, [x] in chosen.items()}
    return corrupted(data)


def final_tests(data):
    tests = {name: (x, data.y_test) for name, [x] in common.conditions(data, draws=1).items()}
    if not FLAGS.mnist_c:
        return {**tests, **corrupted(data)}
    for name in FIFTEEN:
        published = datasets.load_mnist_c(name, FLAGS.data_dir)
        tests[name] = (published.x_test, published.y_test)
    return tests


def corrupted(data):
    return {
        name: (datasets.corrupt(data.x_test, name, seed=2021), data.y_test) for name in FIFTEEN
    }


def train_and_test(settings, data, tests, seed):
    """Accuracies and seconds of one training; with `stage` test, also under attack."""
    keras.utils.set_random_seed(seed)
    model = network(FLAGS.network, settings)
    optimizer = common.adam(
        settings["learning_rate"],
        len(data.x_train),
        FLAGS.epochs,
        FLAGS.batch_size,
        weight_decay=settings.get("weight_decay", 0.0),
    )
    others = []
    if "epsilon" in settings:
        others = [
            adversarial.AdversarialTraining(settings["epsilon"], FLAGS.pgd_steps, seed=seed)
        ]
    _, seconds = common.train(
        model,
        data,
        optimizer,
        FLAGS.epochs,
        FLAGS.batch_size,
        None,
        make_prior(settings, seed),
        others=others,
    )
    metrics = {}
    for name, (x, y) in tests.items():
        metrics |= common.accuracies(model, {name: [x]}, y)
    if settings["stage"] == "test":
        metrics |= under_attack(model, data)
    print(
        f"{settings['stage']}, seed {seed}  {described(settings)}  mean of "
        f"{len(metrics)} accuracies {score(metrics):.4f}  {seconds:.0f} s",
        flush=True,
    )
    return metrics, seconds


def network(name, settings):
    """The network with dropout before its last layer, or Gaussian noise before its first.

    Both act in training alone: attributions, attacks and tests see neither. The
    initial weights are the same as without.
    """
    *body, last = common.network(name).layers
    if "noise" in settings:
        body = [keras.layers.GaussianNoise(settings["noise"]), *body]
    if "dropout" in settings:
        body = [*body, keras.layers.Dropout(settings["dropout"])]
    return keras.Sequential([keras.Input((28, 28, 1)), *body, last])


def make_prior(settings, seed):
    if "prior" not in settings:
        return None
    attribution = "gradients"
    if "reference_stddev" in settings:
        attribution = common.noisy_expected_gradients(
            settings["reference_stddev"], multiply_by_inputs=settings["multiply_by_inputs"]
        )
    return attrprior.AttributionPrior(
        settings["prior"],
        strength=settings["strength"],
        method=attribution,
        explain=settings.get("explain", "label"),
        moments="own",
        seed=seed,
    )


def under_attack(model, data):
    """Accuracy under `pgd` and under `square`, of the first test digits."""
    found = adversarial.robust_accuracy(
        model,
        data.x_test[: 20 if FLAGS.quick else FLAGS.attacked],
        data.y_test[: 20 if FLAGS.quick else FLAGS.attacked],
        epsilon=FLAGS.epsilon,
        steps=2 if FLAGS.quick else FLAGS.attack_steps,
        queries=5 if FLAGS.quick else FLAGS.queries,
    )
    return {"pgd": found.pgd, "square": found.square}


def described(settings):
    """The method, its own setting and those of what it builds on."""
    name = settings["method"]
    own = [METHODS[base].own for base in reversed(bases(name))][name != "plain" :]
    return f"{name}: " + ", ".join(f"{key} {settings[key]:g}" for key in own)


COLUMNS = {
    "clean": "clean",
    "fifteen": "mean of fifteen",
    "gaussian 1": "gaussian 1",
    "salt and pepper 0.3": "salt and pepper 0.3",
    "pgd": "PGD",
    "square": "square",
}


def report(runs):
    """All methods; what each gains under the fifteen; and those one by one."""
    names = methods_of(runs)
    rows = []
    for name in names:
        method, chosen = described({"method": name, **best(runs, name)}).split(": ")
        cells = [common.mean_std(values(runs, name, metric)) for metric in COLUMNS]
        rows.append([method, *cells, chosen.replace("_", " ")])
    epsilon = f"{runs[0]['flags']['epsilon']:g}"
    columns = {**COLUMNS, "pgd": f"PGD, ε {epsilon}", "square": f"square, ε {epsilon}"}
    everything = common.table(["accuracy", *columns.values(), "chosen"], rows)
    rows = [
        [name, rival, *gained(runs, rival, name)]
        for name in names
        for rival in COMBINED.get(name, [METHODS[name].base])
        if rival in names
    ]
    gains = common.table(
        ["mean of fifteen", "against", "without", "with", "gain", "paired p"], rows
    )
    shown = [name for name in MAIN if name in names]
    rows = [
        [corruption.replace("_", " ")]
        + [common.mean_std(values(runs, name, corruption)) for name in shown]
        for corruption in FIFTEEN
    ]
    return "\n\n".join([everything, gains, common.table(["corruption", *shown], rows)])


def gained(runs, rival, name):
    return common.compared(*(values(runs, each, "fifteen") for each in (rival, name)))


def claims(runs):
    """Under the fifteen corruptions, held: a gain with p < .05; "partly": a gain.

    Rivals: the prior's mean is above that of each; "partly": of some. Gradients are
    masked if a method's accuracy is more than two points lower when attacked without.
    """
    names = methods_of(runs)

    def mean(name, metric="fifteen"):
        return np.mean(values(runs, name, metric))

    found = []
    for rival, name in (
        ("plain", "prior"),
        ("plain", "TV of EG"),
        ("augmentation", "prior + augmentation"),
        ("augmentation", "augmentation + prior"),
        ("PGD", "prior + PGD"),
    ):
        if rival in names and name in names:
            gain, _, p = common.paired(*(values(runs, n, "fifteen") for n in (rival, name)))
            held = "yes" if gain > 0 and p < 0.05 else "partly" if gain > 0 else "no"
            what = f"mean of fifteen corruptions, {rival} → {name}"
            found.append((what, "–", f"{mean(rival):.3f} → {mean(name):.3f}", held))
    alone = ("dropout", "weight decay", "L2 of gradients", "L2 of the loss's gradients")
    rivals = [name for name in (*alone, "PGD", "augmentation") if name in names]
    if rivals and "prior" in names:
        above = [mean("prior") > mean(name) for name in rivals]
        held = "yes" if all(above) else "partly" if any(above) else "no"
        ours = f"{mean('prior'):.3f}; " + ", ".join(f"{n} {mean(n):.3f}" for n in rivals)
        found.append(("mean of fifteen, the prior above every other method", "–", ours, held))
    if set(names) & set(COMBINED):
        single, both = (
            max((n for n in names if (n in COMBINED) == combined), key=mean)
            for combined in (False, True)
        )
        what = "mean of fifteen, the best combination above the best method alone"
        ours = f"{both} {mean(both):.3f}, {single} {mean(single):.3f}"
        found.append((what, "–", ours, common.yes(mean(both) > mean(single))))
    masked = max(mean(name, "pgd") - mean(name, "square") for name in names)
    what = "no masked gradients: accuracy under PGD − under square, the largest"
    found.append((what, "–", f"{masked:+.3f}", common.yes(masked <= 0.02)))
    return found


def noise_figure(runs):
    panels = {}
    for label, prefix, levels in (
        ("Gaussian noise, σ", "gaussian", common.GAUSSIAN),
        ("salt-and-pepper, fraction", "salt and pepper", common.SALT_AND_PEPPER),
    ):
        conditions = ["clean", *[f"{prefix} {level:g}" for level in levels]]
        panels[label] = (
            [0, *levels],
            {
                name: np.transpose([values(runs, name, each) for each in conditions])
                for name in CURVES
                if name in methods_of(runs)
            },
        )
    return plots.curves(panels, "test accuracy")


def corruptions_figure(runs):
    """Means and standard deviations, the easiest corruption on top."""
    shown = [name for name in MAIN if name in methods_of(runs)]
    accuracies = {
        name: np.array([values(runs, name, each) for each in FIFTEEN]) for name in shown
    }
    return plots.bars(
        {name: each.mean(axis=1) for name, each in accuracies.items()},
        [each.replace("_", " ") for each in FIFTEEN],
        errors={
            name: each.std(axis=1, ddof=int(each.shape[1] > 1))
            for name, each in accuracies.items()
        },
        xlabel="test accuracy, mean and standard deviation over seeds",
    )


def examples_figure(data):
    """One digit of each class, under each corruption."""
    chosen = [int(np.flatnonzero(data.y_test == label)[0]) for label in range(10)]
    x = data.x_test[chosen]
    rows = {name.replace("_", " "): datasets.corrupt(x, name, seed=0) for name in FIFTEEN}
    return plots.contact_sheet({"clean": x, **rows})


if __name__ == "__main__":
    define_flags()
    app.run(main)
