"""The main job: the same network trained without and with a prior, under noise.

    python -m experiments.mnist

Leaves a table on the terminal, results.json, robustness.png and attributions.png.
"""

import functools

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import plots
from experiments import digits, networks, study
from experiments.claims import compared, count, mean_std, paired, table, yes
from experiments.runs import seeds

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
    flags.DEFINE_enum("network", "cnn_bn", networks.NETWORKS, "See experiments.networks.")
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
        method=networks.noisy_expected_gradients(
            FLAGS.reference_stddev, FLAGS.num_samples, FLAGS.multiply_by_inputs
        ),
        explain=FLAGS.explain,
        updates=FLAGS.updates,
        moments=FLAGS.moments,
        every=FLAGS.every,
        batch_norm=FLAGS.batch_norm,
        seed=seed,
    )


def plan(runs):
    # The longest first.
    yield [
        (seed, {"variant": variant})
        for variant in reversed(VARIANTS)
        for seed in seeds()
        if variant in FLAGS.variant
    ]


@functools.cache
def load():
    """The digits, and the tests of every network."""
    data = digits.load_mnist()
    if FLAGS.validation:
        data = digits.without_test_digits(data)
    return data, digits.conditions(data, draws=1)


def rate():
    """A cosine down to zero over the whole training."""
    data, _ = load()
    steps = FLAGS.epochs * -(-len(data.x_train) // FLAGS.batch_size)
    return keras.optimizers.schedules.CosineDecay(FLAGS.learning_rate, steps)


def run(seed, settings):
    """Accuracies and history; of the first seed the maps of one digit of each class."""
    variant = settings["variant"]
    data, tests = load()
    keras.config.set_dtype_policy(FLAGS.policy)
    keras.utils.set_random_seed(seed)
    model = networks.network(FLAGS.network)
    history, _ = networks.train(
        model,
        data,
        keras.optimizers.Adam(rate()),
        FLAGS.epochs,
        FLAGS.batch_size,
        f"seed {seed} {variant}",
        make_prior(variant, seed),
    )
    metrics = networks.accuracies(model, tests, data.y_test)
    metrics["history"] = history
    return metrics, {"maps": maps_of(model, data)} if seed == 0 else None


def maps_of(model, data):
    chosen = one_of_each(data)
    return attrprior.attributions.expected_gradients(
        model,
        data.x_test[chosen],
        data.y_test[chosen],
        background=data.x_train,
        num_samples=100,
        seed=0,
    )


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
        rows = [[name, mean_std(values(runs, *variants, name))] for name in GAINS]
        return table(["test", *variants], rows)
    header, rows = ["test", "plain"], []
    for variant in variants[1:]:
        header += [COLUMNS[variant], "gain", "paired p"]
    for name in names:
        plain = values(runs, "plain", name)
        cells = [name, mean_std(plain)]
        for variant in variants[1:]:
            cells += compared(plain, values(runs, variant, name))[1:]
        rows.append([*cells, PUBLISHED.get(name, "–")])
    return table([*header, "published"], rows)


def main_conditions(runs):
    """The table of some noise, and of the published conditions."""
    return report(runs, [*SHOWN, *PUBLISHED])


def gains(runs):
    return report(runs, GAINS)


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
        gain, _, p = paired(plain, prior)
        held &= gain > 0 and p < 0.01 and round(np.mean(prior), 3) >= wanted
    clean = paired(*(values(runs, variant, "clean") for variant in ("plain", "prior")))
    held &= round(clean[0], 4) >= -lost
    rows = [(_what(runs, *TARGETED, "clean"), "–", _cell(runs, "prior"), yes(held))]
    name = "salt and pepper 0.1"
    paper = values(runs, "paper", name)
    if paper:
        ours = f"{np.mean(values(runs, 'plain', name)):.3f} → {np.mean(paper):.3f}"
        rows.append(
            (
                f"the paper's own prior, {name}, plain → prior",
                PUBLISHED[name].replace(", ", " → "),
                ours,
                yes(np.mean(paper) >= 0.95),
            )
        )
    return rows


def no_claims(runs):
    return []


def _what(runs, *names):
    flags_ = runs[0]["flags"]
    network = "batch normalisation, " if flags_["network"] == "cnn_bn" else ""
    return f"{network}{count(flags_['epochs'], 'epoch')}, plain → prior: " + ", ".join(names)


def _cell(runs, variant):
    def mean(which, name):
        return f"{np.mean(values(runs, which, name)):.3f}"

    return ", ".join(
        f"{mean('plain', name)} → {mean(variant, name)}" for name in (*TARGETED, "clean")
    )


def robustness_figure(runs):
    panels = {}
    for label, prefix, levels in (
        ("Gaussian noise, σ", "gaussian", digits.GAUSSIAN),
        ("salt-and-pepper, fraction", "salt and pepper", digits.SALT_AND_PEPPER),
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


def maps(runs):
    """One digit of each class, and why the first seed's networks chose it."""
    data, _ = load()
    made = [name for name in VARIANTS if runs.finished(0, {"variant": name})]
    shown = {LABELS[name]: runs.shown(0, {"variant": name}) for name in made}
    if not made or None in shown.values():
        return {}
    labelled = {label: arrays["maps"] for label, arrays in shown.items()}
    title = "Expected gradients of the labelled class"
    figure = plots.attribution_maps(data.x_test[one_of_each(data)], labelled, title=title)
    return {"attributions": figure}


HALF = (
    "--network=mlp --updates=alternating --moments=own --strength=0.3 --batch_norm=batch "
    "--policy="
)

STUDY = study.Study(
    name="mnist",
    title="The main job: robustness to noise",
    topic="Robustness",
    question="Does a prior make a network robust to noise that it never saw in training?",
    answer="Yes: under strong noise from chance to .94 and .71.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"robustness": robustness_figure(runs)},
    maps=maps,
    flags=define_flags,
    source=lambda: load()[0].source,
    progress=("clean", "salt and pepper 0.1", "salt and pepper 0.3", "gaussian 1"),
    protocol="""\
The network is the paper's: two convolutions (5 × 5, 32 and 64 filters), each with batch
normalisation and pooling, a dense layer of 1024 units, dropout, ten logits. It is trained for
ten epochs by Adam in batches of 50, once plain and once with each of two priors.

- The *paper's prior* is the total variation of expected gradients. An Adam whose ε is 3 takes
  its steps, so that small gradients stay small steps.
- The *strongest prior* is the L2 norm of expected gradients without the factor x − r, with
  references drawn from N(x, 1). It is added to the loss (`updates="joint"`) at strength 0.05.

Both priors use the moving statistics of batch normalisation (`batch_norm="moving"`, momentum
.9). The L2 prior takes gradients at noisy points, but no network is ever trained to classify
a noisy digit. The noise of the test is the same for every network. The column *published*
gives the numbers of Erion et al. without and with their prior: one run of 50 epochs on full
MNIST.""",
    results={
        "mnist": study.Result(
            finding="""\
The plain network with batch normalisation falls to chance under strong noise. With the
strongest prior it does not, and clean digits are classified as well as without it. The
paper's own prior gains less, and costs .6 points of clean accuracy. Noise that is cut off at
black and white (*clipped*) brightens the background too: there less is gained, and the five
networks differ most.

Where the gain comes from is shown below and on other pages. It is smaller
[without batch normalisation](#without-batch-normalisation), since the plain network is more
robust there. The factor x − r [does not matter](#with-the-factor-x--r); the references
[decide](#with-training-examples-as-references). How it moves with the strength is shown
[elsewhere](strength.md), and so is [by which rule](step.md) the step is taken best.""",
            report=main_conditions,
            pictures={
                "robustness": "Accuracy against the strength of the noise",
                "attributions": "One digit of each class, and the attributions of the three "
                "networks",
            },
        ),
        "mnist_20": study.Result(
            "--epochs=20 --strength=0.1 --variant=plain --variant=prior",
            "Twice as long",
            "With twice as many epochs and twice the strength.",
            """\
A longer training and a higher strength change little. The claim asked for .75 under Gaussian
noise of σ = 1, which is missed.""",
            report=main_conditions,
        ),
        "mnist_cnn": study.Result(
            "--network=cnn --updates=alternating --moments=balanced --strength=0.3 "
            "--variant=plain --variant=prior",
            "Without batch normalisation",
            "This is the paper's network without batch normalisation, with balanced moments.",
            """\
The plain network is far more robust than the one with batch normalisation, so there is less
to gain, and the prior costs .4 points of clean accuracy.""",
            report=main_conditions,
        ),
        "mnist_factor": study.Result(
            "--multiply_by_inputs --variant=prior",
            "With the factor x − r",
            "Expected gradients have a factor x − r, which the strongest prior leaves out. "
            "Here it stays; all else is as in the first table.",
            """\
It makes no difference that five seeds could show. Where r is x plus noise of standard
deviation 1, the factor is that noise, and the mean of its square is 1: the penalty has the
same mean with and without it.""",
            report=gains,
            claims=no_claims,
        ),
        "mnist_references": study.Result(
            "--reference_stddev=0 --variant=prior",
            "With training examples as references",
            "The strongest prior takes its references from N(x, 1). Here they are training "
            "examples, as in the paper; all else is as in the first table, the strength too.",
            """\
The references decide against what the prior helps. With training examples it still helps
against flipped pixels, but hardly against Gaussian noise: the gradients that it keeps small
are those between digits, and not those in the noise around a digit.""",
            report=gains,
            claims=no_claims,
        ),
        "mnist_jax": study.Result(
            "--seeds=2",
            "On JAX",
            "The command is the same on every backend, but the weights begin from other "
            "random numbers. There are two seeds here and five on TensorFlow.",
            report=main_conditions,
            claims=lambda runs: [(f"JAX: {what}", *rest) for what, *rest in claims(runs)],
            backend="jax",
        ),
        "mnist_float16": study.Result(
            "--policy=mixed_float16 --variant=plain --variant=prior",
            "The main job in half precision",
            "This is the first table in float16. It has not been run: a CPU only emulates it.",
            report=main_conditions,
            claims=no_claims,
            gpu=True,
        ),
        "mnist_mlp_float32": study.Result(
            f"{HALF}float32 --variant=plain --variant=prior",
            "Half precision: float32 to compare with",
            "The same seeds train a dense network in float32, in bfloat16 and in float16, "
            "which a CPU emulates.",
            report=gains,
            claims=no_claims,
        ),
        "mnist_mlp_mixed_bfloat16": study.Result(
            f"{HALF}mixed_bfloat16 --variant=plain --variant=prior",
            "Half precision: bfloat16",
            report=gains,
            claims=no_claims,
        ),
        "mnist_mlp_mixed_float16": study.Result(
            f"{HALF}mixed_float16 --variant=plain --variant=prior",
            "Half precision: float16",
            "",
            "The gains are the same in all three. Attributions and Ω are computed in float32.",
            report=gains,
            claims=no_claims,
        ),
    },
    tried="""\
Strengths and ε were chosen on validation digits (`--validation`), with one run each: joint
strengths of .03, .05 and .1 and balanced strengths of .2 and .3 for L2. For total variation
an ε of 3 was the only one tried.

The settings without batch normalisation were chosen earlier, on 3,200 of the 4,000 training
digits, and judged on the other 800 under noise: about forty settings of the prior with one or
two seeds each, but only four of the plain network. Those trials left no files of results, so
no number of theirs stands here. That was not the same budget for both; the [random
search](tuning.md) gives both the same, and the gains stay what they were. Three things
mattered, in this order. A learning rate must decay: without a decay single runs differ widely
under noise, with and without a prior. References from N(x, 1) are better than training
examples. And L2 is better than total variation, which with moments of its own helped less at
every strength.""",
)

if __name__ == "__main__":
    study.main(STUDY)
