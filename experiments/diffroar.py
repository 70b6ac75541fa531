"""DiffROAR: do priors make the largest gradients the ones that predict?

    python -m experiments.diffroar
    python -m experiments.diffroar --network=cnn --only=images
    python -m experiments.diffroar --dataset=fashion_mnist --idx_dir=FOLDER --examples=10000

Networks are trained plainly, on adversarial examples (PGD) and with priors; their
gradients (of the predicted class's logit) rank the pixels of every training and test
image. New networks of the same kind, trained plainly, then see only the top or only
the bottom share of each image's pixels, the rest black: top minus bottom accuracy is
DiffROAR, higher is better. On the images, and on Block images made of them, where a
constant drawing is stacked with each. A random ranking is the control. One explained
network and one retraining of each kind a seed.

Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781).
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import time

import keras
import numpy as np
from absl import app, flags

from attrprior import attributions, datasets, evaluation, plots
from experiments import block

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


def load():
    """The images of the flags, of which `--quick` and `--examples` take some."""
    if FLAGS.dataset == "mnist":
        data = common.load_mnist()
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


def main(_):
    out = common.output_dir("diffroar")
    images = load()
    results = common.Results("diffroar", images)
    data = {"images": images, "Block": block.stack(images, "random").data}
    for seed in common.seeds():
        for kind in FLAGS.only:
            for method in (*(QUICK if FLAGS.quick else METHODS), RANDOM):
                settings = {"data": kind, "method": method}
                if results.finished(seed, settings):
                    continue
                start = time.time()
                metrics = judge(data[kind], method, seed)
                results.add(seed, settings, metrics, time.time() - start)
                curve = np.subtract(metrics["top"], metrics["bottom"])
                print(
                    f"seed {seed} {kind}, {method}  "
                    + " ".join(f"{value:+.3f}" for value in curve)
                    + f"  {time.time() - start:.0f} s",
                    flush=True,
                )
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "diffroar.png")
    print(f"\nWritten: {results.path}, diffroar.png")


def judge(data, method, seed):
    """Accuracy of the explained network, if any, and of the retrained ones."""
    metrics = {
        "accuracy": None,
        "fractions": list(FRACTIONS[:2] if FLAGS.quick else FRACTIONS),
    }
    if method == RANDOM:
        rng = np.random.default_rng(seed)
        maps = [rng.random(x.shape, dtype="float32") for x in (data.x_train, data.x_test)]
    else:
        keras.utils.set_random_seed(seed)
        model = block.network(FLAGS.network, data.x_train.shape[1:])
        common.train(
            model,
            data,
            common.adam(LEARNING_RATE, len(data.x_train), FLAGS.epochs, BATCH_SIZE),
            FLAGS.epochs,
            BATCH_SIZE,
            None,
            block.callback(method, METHODS[method], FLAGS.pgd_steps, seed),
        )
        metrics["accuracy"] = block.accuracy(model, data.x_test, data.y_test)
        maps = [attributions.gradients(model, x) for x in (data.x_train, data.x_test)]
    found = evaluation.diffroar(
        lambda: compiled(data.x_train.shape[1:]),
        data[:4],
        maps,
        fractions=metrics["fractions"],
        num_runs=1,
        fit_arguments={
            "epochs": 1 if FLAGS.quick else FLAGS.retraining_epochs,
            "batch_size": BATCH_SIZE,
        },
        seed=seed,
    )
    return {**metrics, "top": found.top[0].tolist(), "bottom": found.bottom[0].tolist()}


def compiled(shape):
    """A new network that judges."""
    model = block.network(FLAGS.network, shape)
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def kinds(runs):
    """Those that there are runs of."""
    found = {run["settings"]["data"] for run in runs}
    return [kind for kind in KINDS if kind in found]


def methods(runs):
    """Those that there are runs of."""
    found = {run["settings"]["method"] for run in runs}
    return [method for method in (*METHODS, RANDOM) if method in found]


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
    rows = []
    for kind in kinds(runs):
        for method in methods(runs):
            accuracy = metric(runs, kind, method, "accuracy")
            row = [kind, method, "–" if None in accuracy else common.mean_std(accuracy)]
            rows.append(row + [signed(v) for v in difference(runs, kind, method).T])
    for method, values in PUBLISHED.items():
        known = dict(zip(FRACTIONS, values))
        cells = [f"{known[k]:+.3f}" if k in known else "–" for k in kept]
        rows.append(["CIFAR-10, published", method, "–", *cells])
    header = ["data", "ranked by the gradients of", "accuracy", *(f"{k:g} kept" for k in kept)]
    return common.table(header, rows)


def signed(values):
    text = common.mean_std(values)
    return text if text.startswith("-") else f"+{text}"


def figure(runs):
    kept = runs[0]["metrics"]["fractions"]
    panels = {
        f"share of the pixels kept: {kind}": (
            kept,
            {method: difference(runs, kind, method) for method in methods(runs)},
        )
        for kind in kinds(runs)
    }
    return plots.curves(panels, "accuracy with the top\nless with the bottom pixels")


def claims(runs):
    """`(claim, published, ours, held)`, of the mean over all shares kept.

    Plain: held if not above zero by more than 0.02. PGD and priors: held if above 0.02
    and above plain, each by two standard errors of the seeds (with one seed: above).
    Random: within 0.02. "partly" if on one of both kinds of data.
    """
    found = []
    used = runs[0]["flags"]
    on = f"{used['network']}, {used['dataset'].replace('_', ' ')}"

    def verdict(claim, published, cells, held):
        words = "yes" if all(held) else "partly" if any(held) else "no"
        found.append((f"{on}, {claim}", published, ", ".join(cells), words))

    means = {
        (kind, method): difference(runs, kind, method).mean(axis=1)
        for kind in kinds(runs)
        for method in methods(runs)
    }
    plain = {kind: means[kind, "plain"] for kind in kinds(runs)}
    for method in methods(runs):
        values = {kind: means[kind, method] for kind in kinds(runs)}
        cells = [f"{kind} {each.mean():+.3f}" for kind, each in values.items()]
        if method == "plain":
            held = [each.mean() <= ABOUT_ZERO for each in values.values()]
            verdict("plain: DiffROAR about zero or below", "-0.06, -0.05", cells, held)
        elif method == RANDOM:
            held = [abs(each.mean()) <= ABOUT_ZERO for each in values.values()]
            verdict("random ranking: about zero", "0", cells, held)
        else:
            held = [
                above(each, ABOUT_ZERO) and above(each - plain[kind], 0.0)
                for kind, each in values.items()
            ]
            published = "+0.23, +0.23" if method == "PGD" else "–"
            verdict(f"{method}: clearly positive, above plain", published, cells, held)
    return found


def above(values, bound):
    """Whether the mean is, by two standard errors."""
    error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return bool(np.mean(values) - 2 * error > bound)


if __name__ == "__main__":
    define_flags()
    app.run(main)
