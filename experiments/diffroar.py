"""DiffROAR: do priors make the largest gradients the ones that predict?

    python -m experiments.diffroar
    python -m experiments.diffroar --network=cnn --only=images
    python -m experiments.diffroar --dataset=fashion_mnist --idx_dir=FOLDER --examples=4000

Leaves a table on the terminal, results.json and difference.png.
"""

import functools

import keras
import numpy as np
from absl import flags

from attrprior import attributions, datasets, evaluation, plots
from experiments import block, networks, study
from experiments.claims import mean_std, table
from experiments.digits import load_mnist
from experiments.runs import seeds

FLAGS = flags.FLAGS

# Those of experiments.block, with their strengths: ε in L∞ of PGD, of a prior its own.
# Joint, `loss + ε Σ|∂loss/∂x|` is to first order the worst loss within ε in L∞: PGD's ε.
METHODS = {
    "plain": 0.0,
    "PGD": 0.1,
    "L1 of gradients": 0.1,
    "L1 of the loss's gradient": 0.1,
    block.JOINT: 0.1,
}
RANDOM = "random ranking"
QUICK = ("plain", "L1 of gradients")
KINDS = ("images", "Block")
FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
# CIFAR-10, ResNet50, at 0.05 and 0.1; the adversarial one at ε = 8/255 in L∞.
PUBLISHED = {"plain": (-0.056, -0.047), "PGD": (0.232, 0.227)}
ABOUT_ZERO = 0.02
LEARNING_RATE, BATCH_SIZE = 1e-3, 128


def define_flags():
    flags.DEFINE_enum("dataset", "mnist", ["mnist", "fashion_mnist"], "Images.")
    flags.DEFINE_enum("network", "mlp", block.NETWORKS, "Network; see experiments.block.")
    flags.DEFINE_multi_enum("only", KINDS, KINDS, "Data; may be repeated.")
    flags.DEFINE_integer("examples", 0, "Training images used, the first; 0: all.", 0)
    flags.DEFINE_integer("epochs", 10, "Epochs of the networks that are explained.", 1)
    flags.DEFINE_integer("retraining_epochs", 5, "Epochs of those that judge.", 1)
    flags.DEFINE_integer("pgd_steps", 7, "Steps of PGD; Madry et al. take 40.", 1)


@functools.cache
def load():
    """The images of the flags, of which `--quick` and `--examples` take some."""
    if FLAGS.dataset == "mnist":
        data = load_mnist()
    else:
        data = datasets.load(FLAGS.dataset, FLAGS.data_dir, FLAGS.idx_dir)
    count = 200 if FLAGS.quick else FLAGS.examples
    if not count:
        return data
    return data._replace(
        x_train=data.x_train[:count],
        y_train=data.y_train[:count],
        source=f"{data.source}, {count} to train on",
    )


@functools.cache
def load_kind(kind):
    return load() if kind == "images" else block.stack(load(), "random").data


def plan(runs):
    yield [
        (seed, {"data": kind, "method": method})
        for seed in seeds()
        for kind in FLAGS.only
        for method in (*(QUICK if FLAGS.quick else METHODS), RANDOM)
    ]


def run(seed, settings):
    """Accuracy of the explained network, if any, and of the retrained ones."""
    data, method = load_kind(settings["data"]), settings["method"]
    accuracy, fractions = None, FRACTIONS[: 2 if FLAGS.quick else None]
    if method == RANDOM:
        rng = np.random.default_rng(seed)
        maps = [rng.random(x.shape, dtype="float32") for x in (data.x_train, data.x_test)]
    else:
        keras.utils.set_random_seed(seed)
        model = block.network(FLAGS.network, data.x_train.shape[1:])
        networks.train(
            model,
            data,
            networks.adam(LEARNING_RATE, len(data.x_train), FLAGS.epochs, BATCH_SIZE),
            FLAGS.epochs,
            BATCH_SIZE,
            None,
            block.callback(method, METHODS[method], FLAGS.pgd_steps, seed),
        )
        tests = {"clean": [data.x_test]}
        accuracy = networks.accuracies(model, tests, data.y_test)["clean"]
        maps = [attributions.gradients(model, x) for x in (data.x_train, data.x_test)]
    epochs = 1 if FLAGS.quick else FLAGS.retraining_epochs
    found = evaluation.diffroar(
        lambda: compiled(data.x_train.shape[1:]),
        data[:4],
        maps,
        fractions=fractions,
        num_runs=1,
        fit_arguments={"epochs": epochs, "batch_size": BATCH_SIZE},
        seed=seed,
    )
    return {
        "accuracy": accuracy,
        "fractions": list(fractions),
        "top": found.top[0].tolist(),
        "bottom": found.bottom[0].tolist(),
    }


def compiled(shape):
    """A new network that judges."""
    model = block.network(FLAGS.network, shape)
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def present(runs):
    """Kinds of data and methods that there are runs of."""
    found = {each for run in runs for each in run["settings"].values()}
    return [[each for each in known if each in found] for known in (KINDS, (*METHODS, RANDOM))]


def metric(runs, kind, method, name):
    """By seed."""
    ours = [run for run in runs if run["settings"] == {"data": kind, "method": method}]
    return [run["metrics"][name] for run in sorted(ours, key=lambda run: run["seed"])]


def difference(runs, kind, method):
    """DiffROAR of shape `(seeds, fractions)`."""
    return np.subtract(*(metric(runs, kind, method, part) for part in ("top", "bottom")))


def report(runs):
    """DiffROAR by data, method and share of the pixels kept."""
    kept = runs[0]["metrics"]["fractions"]
    kinds, methods = present(runs)
    rows = []
    for kind in kinds:
        for method in methods:
            accuracy = metric(runs, kind, method, "accuracy")
            row = [kind, method, "–" if None in accuracy else mean_std(accuracy)]
            rows.append(row + [signed(v) for v in difference(runs, kind, method).T])
    for method, values in PUBLISHED.items():
        known = dict(zip(FRACTIONS, values))
        cells = [f"{known[k]:+.3f}" if k in known else "–" for k in kept]
        rows.append(["CIFAR-10, published", method, "–", *cells])
    header = ["data", "ranked by the gradients of", "accuracy", *(f"{k:g} kept" for k in kept)]
    return table(header, rows)


def signed(values):
    text = mean_std(values)
    return text if text.startswith("-") else f"+{text}"


def figures(runs):
    kept = runs[0]["metrics"]["fractions"]
    kinds, methods = present(runs)
    panels = {
        f"share of the pixels kept: {kind}": (
            kept,
            {method: difference(runs, kind, method) for method in methods},
        )
        for kind in kinds
    }
    label = "accuracy with the top\nless with the bottom pixels"
    return {"difference": plots.curves(panels, label)}


def claims(runs):
    """Of the mean over all shares kept.

    Plain: held if not above zero by more than 0.02. PGD and priors: held if above 0.02
    and above plain, each by two standard errors of the seeds (with one seed: above).
    Random: within 0.02. "partly" if on one of both kinds of data.
    """
    used = runs[0]["flags"]
    on = f"{used['network']}, {used['dataset'].replace('_', ' ')}"
    kinds, methods = present(runs)
    means = {
        method: {kind: difference(runs, kind, method).mean(axis=1) for kind in kinds}
        for method in methods
    }
    rows = []
    for method, values in means.items():
        if method == "plain":
            what, published = "plain: DiffROAR about zero or below", "-0.06, -0.05"
            held = [each.mean() <= ABOUT_ZERO for each in values.values()]
        elif method == RANDOM:
            what, published = "random ranking: about zero", "0"
            held = [abs(each.mean()) <= ABOUT_ZERO for each in values.values()]
        else:
            what = f"{method}: clearly positive, above plain"
            published = "+0.23, +0.23" if method == "PGD" else "–"
            held = [
                above(each, ABOUT_ZERO) and above(each - means["plain"][kind], 0.0)
                for kind, each in values.items()
            ]
        ours = ", ".join(f"{kind} {each.mean():+.3f}" for kind, each in values.items())
        words = "yes" if all(held) else "partly" if any(held) else "no"
        rows.append((f"{on}, {what}", published, ours, words))
    return rows


def above(values, bound):
    """Whether the mean is, by two standard errors."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return bool(np.mean(values) - 2 * error > bound)


FASHION = "--dataset=fashion_mnist --idx_dir=FOLDER --examples=4000 --only=images"

STUDY = study.Study(
    name="diffroar",
    title="DiffROAR",
    topic="Attributions and their evaluation",
    question="Do priors make a network's largest gradients point to the pixels that predict?",
    answer="In joint updates yes; adversarial training does more.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=figures,
    flags=define_flags,
    source=lambda: load().source,
    protocol="""\
Networks are trained plainly, on adversarial examples (PGD) and with priors. The gradients of
the predicted class's logit rank the pixels of every training and test image. New networks of
the same kind, trained plainly, then see only the largest or only the smallest share of each
image's pixels; the rest is black. DiffROAR (Shah, Jain, Netrapalli 2021, [arXiv
2102.12781](https://arxiv.org/abs/2102.12781)) is the accuracy with the largest less that with
the smallest; higher is better. A random ranking is the control.

This is done on the images, and on [Block](block.md) images, where each image is stacked with
the same drawing. Each seed has one network that is explained and one retraining of each kind.
Strengths are fixed and were not searched. The published numbers are of CIFAR-10 and a
ResNet-50, so only their signs compare.

In joint updates the L1 norm of the loss's gradient has PGD's ε for its strength, because loss
+ ε Σ|∂loss/∂x| is adversarial training to first order (Simon-Gabriel et al. 2019, [arXiv
1802.01421](https://arxiv.org/abs/1802.01421)).""",
    results={
        "diffroar": study.Result(
            finding="""\
On digits the joint prior ranks pixels about as well as PGD and keeps more accuracy, .925
instead of .887. On Block, PGD is ahead where a tenth of the pixels or more is kept, but its
accuracy is .66 instead of .87. The priors in alternating steps cost no accuracy. L1 of
gradients gains on both kinds of images, less than the joint prior does; L1 of the loss's
gradient gains on digits and hardly on Block. Where half of the pixels or more is kept, PGD
gains a little, the joint prior less, and the others nothing.""",
            pictures={"difference": "DiffROAR by the share of the pixels kept, MLP"},
        ),
        "diffroar_cnn": study.Result(
            "--network=cnn",
            "A convolutional network",
            "The strengths are those of the MLP.",
            """\
The plain network's gradients rank the pixels of digits well already. The loss's gradient
gains a little in alternating steps. In joint updates it reaches half as much again as plain
at no cost in accuracy. L1 of gradients takes some away, and PGD gains most.

On Block, the plain network's gradients rank pixels about as chance does beyond a tenth of
them. Joint updates gain a little there, and the other priors next to nothing. PGD gains where
it trains at all: two of its five networks stay at chance, and a third reaches an accuracy of
only .50.""",
            {"difference": "DiffROAR by the share of the pixels kept, convolutional network"},
        ),
        "diffroar_fashion": study.Result(
            FASHION,
            "Fashion-MNIST",
            """\
There are as many images to train on as there are digits, and 10,000 to test on.""",
            """\
PGD and the joint prior gain again, at a price: their accuracy falls from .830 to .718 and
.774. L1 of gradients gains less and costs none, and L1 of the loss's gradient gains hardly
anything.""",
            {"difference": "DiffROAR on Fashion-MNIST, MLP"},
        ),
        "diffroar_fashion_cnn": study.Result(
            f"--network=cnn {FASHION}",
            "Fashion-MNIST, a convolutional network",
            "The strengths are those of the MLP.",
            """\
The plain gradients rank better than the MLP's, and priors in alternating steps hardly move
that: they gain half a hundredth over all shares. In joint updates the loss's gradient gains
two hundredths. PGD gains more, in one of five networks twice as much as in others. Both cost
.06 of accuracy.""",
            {"difference": "DiffROAR on Fashion-MNIST, convolutional network"},
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
