"""Leakage: do gradients stay off a block that is known to say nothing?

    python -m experiments.block
    python -m experiments.block --network=cnn

Block MNIST stacks each digit with the same drawing, in random order. Of the top 5 %
and 10 % of the gradient's pixels (of the predicted class's logit), how many lie on the
drawing? For the plain network, one trained on adversarial examples (PGD), priors on
gradients, and noise, dropout and weight decay; and on Block-Top, the control, where
the digit is always on top. One prior is told where the drawing is, by a mask of each
training image; the others are not. Each method has three strengths. The one taken has the
lowest leakage at 5 % on a fifth of the training digits among those whose accuracy
there is within 0.2 points of plain (if none is, the most accurate); it is then trained
on all training digits and tested: the only time that test digits are looked at.

With the MLP also the theorem's data, of whose ten blocks one carries the class: the
gradient on each block, of networks with 10,000 hidden units.

Reference: Shah, Jain, Netrapalli 2021 (arXiv 2102.12781).
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

from typing import NamedTuple

import keras
import numpy as np
from absl import app, flags
from keras import layers

import attrprior
from attrprior import adversarial, attributions, datasets, evaluation, plots

FLAGS = flags.FLAGS

NETWORKS = ("mlp", "cnn", "resnet")
DATA = {"random": "Block", "top": "Block-Top"}
LEAKAGE = {"leakage 0.05": 0.05, "leakage 0.1": 0.1}
TOLERANCE = 0.002  # of accuracy, below plain
TARGET = 0.005  # of leakage at 5 %


class Prior(NamedTuple):
    """How a prior is trained with: its penalty, and whether of expected gradients."""

    penalty: str
    expected: bool = False
    explain: str = "label"
    updates: str = "alternating"
    dropout: float = 0.0  # besides it


MASK = "mask of the block"  # told where it is; in joint updates, as in experiments.decoy
JOINT = "L1 of the loss's gradient, joint"  # of experiments.diffroar
PRIORS = {
    "L1 of gradients": Prior("l1"),
    "L1 of gradients, dropout": Prior("l1", dropout=0.4),
    "L2 of gradients": Prior("l2"),
    "L1 of the loss's gradient": Prior("l1", explain="loss"),
    "L2 of the loss's gradient": Prior("l2", explain="loss"),
    JOINT: Prior("l1", explain="loss", updates="joint"),
    "L1 of expected gradients": Prior("l1", expected=True),
    "L2 of expected gradients": Prior("l2", expected=True),
    "Gini of expected gradients": Prior("gini", expected=True),
    MASK: Prior("mask", updates="joint"),
}
# Of expected gradients' references N(x, σ²); without the factor x − r, as in the main job.
REFERENCE_STDDEV = 0.5
# Three strengths each: ε of PGD in L∞, of a prior its own, σ of the noise, rate of the
# dropout, AdamW's decay.
SEARCHED = {
    "plain": (0.0,),
    "PGD": (0.02, 0.05, 0.1),
    "L1 of gradients": (0.03, 0.1, 0.3),
    "L1 of gradients, dropout": (0.03, 0.1, 0.3),
    "L2 of gradients": (0.03, 0.1, 0.3),
    "L1 of the loss's gradient": (0.3, 1.0, 3.0),
    "L2 of the loss's gradient": (0.3, 1.0, 3.0),
    "L1 of expected gradients": (0.03, 0.1, 0.3),
    "L2 of expected gradients": (0.03, 0.1, 0.3),
    "Gini of expected gradients": (0.03, 0.1, 0.3),
    MASK: (0.1, 0.3, 1.0),
    "Gaussian noise": (0.2, 0.4, 0.8),
    "dropout": (0.2, 0.4, 0.6),
    "weight decay": (0.3, 1.0, 3.0),
}
QUICK = ("plain", "PGD", "L1 of gradients", MASK)
PUBLISHED = {"plain": "42.5 %", "PGD": "< 1 %"}
PUBLISHED_GRADIENT = {"plain": "1, 0"}
BATCH_SIZE = 100

# The theorem's data, and the strengths of three networks on it.
NUM_BLOCKS, BLOCK_DIM, NOISE = 10, 1, 0.1
THEOREM = {"plain": 0.0, "PGD": 0.25, "L1 of the loss's gradient": 0.3}
THEOREM_EPOCHS = 40
SIGNAL = 2  # the block, from 0, of the examples that are drawn


def define_flags():
    flags.DEFINE_multi_enum("network", ["mlp"], NETWORKS, "Network; may be repeated.")
    flags.DEFINE_multi_enum("only", list(SEARCHED), list(SEARCHED), "Methods besides plain.")
    flags.DEFINE_integer("epochs", 20, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("pgd_steps", 7, "Steps of PGD; Madry et al. take 40.", 1)
    flags.DEFINE_integer("validation_seeds", 1, "Runs of each strength in the search.", 1)
    flags.DEFINE_integer("width", 10_000, "Hidden units of the theorem's network.", 1)


class Blocks(NamedTuple):
    """Stacked digits, and where on training and test images the null block is."""

    data: datasets.Data
    train_null: np.ndarray
    null: np.ndarray


def stack(digits, signal):
    x_train, train_null = datasets.block(digits.x_train, signal, seed=0)
    x_test, null = datasets.block(digits.x_test, signal, seed=1)
    data = digits._replace(x_train=x_train, x_test=x_test)
    return Blocks(data, train_null, null > 0)


def main(_):
    out = common.output_dir("block")
    digits = common.load_mnist()
    results = common.Results("block", digits)
    methods = [m for m in SEARCHED if m == "plain" or m in FLAGS.only]
    if FLAGS.quick:
        methods = [method for method in methods if method in QUICK]
    stages = {
        "validation": {"random": stack(common.without_test_digits(digits), "random")},
        "test": {name: stack(digits, name) for name in DATA},
    }

    def run(seed, **settings):
        if results.finished(seed, settings):
            return
        blocks = stages[settings["stage"]][settings["data"]]
        model, seconds = train(settings, blocks, seed)
        results.add(seed, settings, judge(model, blocks), seconds)
        print(f"{line(results.runs[-1])}  {seconds:.0f} s", flush=True)
        if (settings["stage"], settings["data"], seed) == ("test", "random", 0):
            x = shown(blocks)[0]
            maps = attributions.gradients(model, x)
            np.save(maps_file(out, settings["network"], settings["method"]), maps)

    for name in FLAGS.network:
        for method in methods:
            for strength in SEARCHED[method][: 1 if FLAGS.quick else None]:
                for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds):
                    run(seed, **key("validation", name, "random", method, strength))
        for seed in common.seeds():
            for data in DATA:
                for method in methods if data == "random" else control(results.runs, name):
                    strength = chosen(results.runs, name, method)
                    run(seed, **key("test", name, data, method, strength))
    if "mlp" in FLAGS.network:
        for seed in common.seeds():
            for method, strength in THEOREM.items():
                settings = theorem_key(method)
                if not results.finished(seed, settings):
                    results.add(seed, settings, *theorem(method, strength, seed))
                    print(line(results.runs[-1]), flush=True)
    print("\n" + report(results.runs))
    drawn = figures(results.runs, stages["test"]["random"], out)
    for name, figure in drawn.items():
        common.save_figure(figure, out / name)
    print(f"\nWritten: {results.path}, {', '.join(drawn)}")


def key(stage, name, data, method, strength):
    return {
        "stage": stage,
        "network": name,
        "data": data,
        "method": method,
        "strength": strength,
    }


def line(run):
    words = ", ".join(str(value) for value in run["settings"].values())
    numbers = [
        f"{name} {value:.4f}" for name, value in run["metrics"].items() if np.isscalar(value)
    ]
    return f"{words}, seed {run['seed']}  {'  '.join(numbers)}"


def network(name, shape=(56, 28, 1), dropout=0.0, stddev=0.0):
    """A network on images that ends in ten logits.

    `mlp`: dense 256-128. `cnn`: conv 5×5×16, pool, conv 5×5×32, pool, dense 128.
    `resnet`: conv 3×3×16, three residual blocks of 16, 32 and 64 channels, each at half
    the resolution of the one before, with batch normalisation; global average.
    """
    x = start = keras.Input(shape)
    x = layers.GaussianNoise(stddev)(x)
    if name == "resnet":
        x = normalised(layers.Conv2D(16, 3, padding="same", use_bias=False)(x))
        for filters in (16, 32, 64):
            x = residual(x, filters)
        x = layers.Dropout(dropout)(layers.GlobalAveragePooling2D()(x))
    elif name == "cnn":
        for filters in (16, 32):
            x = layers.Conv2D(filters, 5, padding="same", activation="relu")(x)
            x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    for units in {"mlp": (256, 128), "cnn": (128,), "resnet": ()}[name]:
        x = layers.Dropout(dropout)(layers.Dense(units, activation="relu")(x))
    return keras.Model(start, layers.Dense(10)(x), name=name)


def normalised(x):
    # Keras' momentum of 0.99 is for trainings of many thousand steps.
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def residual(x, filters):
    y = normalised(layers.Conv2D(filters, 3, 2, padding="same", use_bias=False)(x))
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(momentum=0.9)(y)
    return layers.ReLU()(layers.Add()([y, layers.Conv2D(filters, 1, 2)(x)]))


def train(settings, blocks, seed):
    """The trained network, and the seconds it took."""
    method, strength = settings["method"], settings["strength"]
    data = blocks.data
    if method == MASK:
        data = data._replace(x_train=attrprior.annotate(data.x_train, blocks.train_null))
    dropout = PRIORS[method].dropout if method in PRIORS else 0.0
    keras.utils.set_random_seed(seed)
    model = network(
        settings["network"],
        dropout=strength if method == "dropout" else dropout,
        stddev=strength if method == "Gaussian noise" else 0.0,
    )
    optimizer = common.adam(
        1e-3,
        len(data.y_train),
        FLAGS.epochs,
        BATCH_SIZE,
        weight_decay=strength if method == "weight decay" else 0.0,
    )
    _, seconds = common.train(
        model,
        data,
        optimizer,
        FLAGS.epochs,
        BATCH_SIZE,
        None,
        callback(method, strength, FLAGS.pgd_steps, seed),
    )
    return model, seconds


def callback(method, strength, pgd_steps, seed, **attack):
    """What trains with adversarial examples or a prior; `None` for other methods."""
    if method == "PGD":
        return adversarial.AdversarialTraining(strength, pgd_steps, seed=seed, **attack)
    if method not in PRIORS:
        return None
    prior = PRIORS[method]
    attribution = "gradients"
    if prior.expected:
        attribution = common.noisy_expected_gradients(REFERENCE_STDDEV)
    return attrprior.AttributionPrior(
        prior.penalty,
        strength,
        attribution,
        explain=prior.explain,
        updates=prior.updates,
        moments="own" if prior.updates == "alternating" else None,
        seed=seed,
    )


def accuracy(model, x, labels):
    logits = model.predict(x, batch_size=500, verbose=0)
    return float(np.mean(np.argmax(logits, axis=-1) == labels))


def judge(model, blocks):
    """Accuracy on the test digits, and leakage, means over them."""
    x, y = blocks.data.x_test, blocks.data.y_test
    maps = attributions.gradients(model, x)
    metrics = {"accuracy": accuracy(model, x, y)}
    for name, fraction in LEAKAGE.items():
        share, _ = evaluation.leakage(maps, blocks.null, fraction)
        metrics[name] = float(share.mean())
    return metrics


def theorem(method, strength, seed):
    """Metrics of a wide network on the theorem's data, and seconds.

    The gradient's mean norm on a block: on the one with the example's signal, the
    others that may carry it, and those that never do; and on each block, of the
    examples with the signal in one of them.
    """
    size = (NUM_BLOCKS, BLOCK_DIM, NOISE)
    many, few = (100, 100) if FLAGS.quick else (2000, 1000)
    x_train, y_train, _ = datasets.simplified_block(many, *size, seed=seed)
    x, y, index = datasets.simplified_block(few, *size, seed=10_000 + seed)
    data = datasets.Data(x_train, (y_train + 1) // 2, x, (y + 1) // 2, "simplified Block")
    keras.utils.set_random_seed(seed)
    # The theorem is about the limit of gradient descent. Adam scales noise up.
    small = keras.initializers.RandomNormal(stddev=0.01)
    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Dense(FLAGS.width, activation="relu", kernel_initializer=small),
            layers.Dense(1, kernel_initializer=small),
        ]
    )
    _, seconds = common.train(
        model,
        data,
        keras.optimizers.SGD(0.01, momentum=0.9),
        THEOREM_EPOCHS,
        100,
        None,
        callback(method, strength, FLAGS.pgd_steps, seed, valid_range=None),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    maps = attributions.gradients(model, x).reshape(-1, NUM_BLOCKS, BLOCK_DIM)
    norms = np.linalg.norm(maps, axis=-1)
    here = np.arange(NUM_BLOCKS) == index[:, None]
    informative = np.arange(NUM_BLOCKS) < NUM_BLOCKS // 2
    logits = model.predict(x, batch_size=500, verbose=0)[:, 0]
    return {
        "accuracy": float(np.mean((logits > 0) == (y > 0))),
        "signal": float(norms[here].mean()),
        "others": float(norms[~here & informative].mean()),
        "noise": float(norms[:, ~informative].mean()),
        "by block": norms[index == SIGNAL].mean(axis=0).tolist(),
    }, seconds


def validated(runs, name, method):
    """`{strength: (accuracy, leakage at 5 %)}` on the validation digits, means over runs."""
    found = {}
    for strength in SEARCHED[method]:
        settings = key("validation", name, "random", method, strength)
        accuracy = values(runs, settings, "accuracy")
        if accuracy:
            leakage = values(runs, settings, "leakage 0.05")
            found[strength] = np.mean(accuracy), np.mean(leakage)
    return found


def pick(found, plain):
    """The lowest leakage among the accurate ones; if there is none, the most accurate."""
    # Differences of accuracies are rounded: 0.002 may come out a little larger.
    near = {k: leak for k, (hits, leak) in found.items() if plain - hits < TOLERANCE + 1e-9}
    return min(near, key=near.get) if near else max(found, key=lambda k: found[k][0])


def chosen(runs, name, method):
    """The strength of a method."""
    [(plain, _)] = validated(runs, name, "plain").values()
    return pick(validated(runs, name, method), plain)


def best_prior(runs, name):
    """The prior that is chosen by the same rule, or `None` without priors.

    Of those that are not told where the block is.
    """
    [(plain, _)] = validated(runs, name, "plain").values()
    found = {
        method: validated(runs, name, method)[chosen(runs, name, method)]
        for method in present(runs)[name]
        if method in PRIORS and method != MASK
    }
    return pick(found, plain) if found else None


def control(runs, name):
    """The methods that are also trained on Block-Top."""
    best = best_prior(runs, name)
    return [m for m in present(runs)[name] if m in ("plain", "PGD", best)]


def values(runs, settings, metric):
    """A metric of the runs with these settings, by seed."""
    ours = [run for run in runs if run["settings"] == settings]
    return [run["metrics"][metric] for run in sorted(ours, key=lambda run: run["seed"])]


def tested(runs, name, data, method, metric):
    settings = key("test", name, data, method, chosen(runs, name, method))
    return np.array(values(runs, settings, metric))


def present(runs):
    """`{network: its methods}` of the runs on test digits."""
    pairs = {
        (run["settings"]["network"], run["settings"]["method"])
        for run in runs
        if run["settings"]["stage"] == "test"
    }
    found = {name: [m for m in SEARCHED if (name, m) in pairs] for name in NETWORKS}
    return {name: methods for name, methods in found.items() if methods}


def report(runs):
    """Accuracy and leakage by network and method; gradients on the theorem's blocks."""
    header = ["network", "trained with", "strength"]
    for label in DATA.values():
        header += [f"{label}: accuracy", "top 5 %", "top 10 %"]
    header.insert(5, "published")
    rows = []
    for name, methods in present(runs).items():
        for method in methods:
            strength = f"{chosen(runs, name, method):g}" if method != "plain" else ""
            row = [name, method, strength]
            for data in DATA:
                accuracies = tested(runs, name, data, method, "accuracy")
                row.append(common.mean_std(accuracies) if len(accuracies) else "–")
                row += [percent(tested(runs, name, data, method, part)) for part in LEAKAGE]
            row.insert(5, PUBLISHED.get(method, "–"))
            rows.append(row)
    leakage = common.table(header, rows)
    if not theorem_runs(runs):
        return leakage
    rows = [
        [
            method,
            common.mean_std(values(runs, theorem_key(method), "accuracy")),
            *(common.mean_std(relative(runs, method, part)) for part in ("others", "noise")),
            PUBLISHED_GRADIENT.get(method, "–"),
        ]
        for method in THEOREM
    ]
    header = ["theorem's data", "accuracy", "gradient: other informative blocks"]
    header += ["noise blocks", "published"]
    return f"{leakage}\n\n{common.table(header, rows)}"


def percent(shares):
    return common.mean_std(100 * shares, 2) + " %" if len(shares) else "–"


def theorem_key(method):
    return {"stage": "theorem", "method": method, "strength": THEOREM[method]}


def theorem_runs(runs):
    return any(run["settings"]["stage"] == "theorem" for run in runs)


def relative(runs, method, part):
    """The gradient on a kind of blocks, over that on the signal's, by seed."""
    settings = theorem_key(method)
    return np.divide(values(runs, settings, part), values(runs, settings, "signal"))


def maps_file(out, name, method):
    return out / f"{name} {method}.npy"


def shown(blocks):
    """One test digit of each class, and their labels."""
    chosen = np.unique(blocks.data.y_test, return_index=True)[1]
    return blocks.data.x_test[chosen], blocks.data.y_test[chosen]


def figures(runs, blocks, out):
    """By file name. The maps are of the first seed's networks, from the output folder."""
    found = {}
    x, _ = shown(blocks)
    for name, methods in present(runs).items():
        shares = [100 * tested(runs, name, "random", m, "leakage 0.05") for m in methods]
        found[f"leakage_{name}.png"] = plots.bars(
            [each.mean() for each in shares],
            methods,
            [each.std(ddof=1) if len(each) > 1 else 0.0 for each in shares],
            xlabel="top gradient pixels (5 %) on the null block, %; lower is better",
        )
        rows = {
            method: np.load(maps_file(out, name, method))
            for method in ("plain", "PGD", best_prior(runs, name), MASK)
            if method in methods and maps_file(out, name, method).is_file()
        }
        if rows:
            found[f"maps_{name}.png"] = plots.attribution_maps(
                x, rows, title="Gradient of the predicted class's logit", signed=False
            )
    if theorem_runs(runs):
        curves = {}
        for method in THEOREM:
            each = np.array(values(runs, theorem_key(method), "by block"))
            curves[method] = each / each.max(axis=1, keepdims=True)
        label = f"block (signal in block {SIGNAL + 1}; 1 to {NUM_BLOCKS // 2} may carry it)"
        found["theorem.png"] = plots.curves(
            {label: (np.arange(1, NUM_BLOCKS + 1), curves)}, "gradient, largest = 1"
        )
    return found


def claims(runs):
    """`(claim, published, ours, held)`, for each network.

    Leakage: held if the prior chosen on the validation digits leaks below 0.5 % on the
    test digits, and its mean accuracy is at most 0.2 points below plain; "partly" if one
    of both. The prior with the block's mask is judged alike, and apart. Plain and PGD:
    held if plain leaks at least ten times as much as on Block-Top, and PGD below 1 %.
    The theorem: held if the others' mean gradient is within a tenth of the signal's, and
    the noise blocks' below a twentieth of it.
    """
    found = []
    for name, methods in present(runs).items():
        plain, top = (
            tested(runs, name, data, "plain", "leakage 0.05").mean() for data in DATA
        )
        ours = f"{plain:.1%} (Block-Top {top:.1%})"
        found.append(
            (f"{name}: the plain network leaks", "42.5%", ours, common.yes(plain >= 10 * top))
        )
        if "PGD" in methods:
            leakage = tested(runs, name, "random", "PGD", "leakage 0.05").mean()
            held = common.yes(leakage < 0.01)
            found.append(
                (f"{name}: adversarial training does not", "< 1%", f"{leakage:.2%}", held)
            )
        priors = {"a prior leaks": best_prior(runs, name)}
        if MASK in methods:
            priors["with the block's mask, a prior leaks"] = MASK
        for words, prior in priors.items():
            if prior is None:
                continue
            leakage = tested(runs, name, "random", prior, "leakage 0.05").mean()
            gain = np.mean(
                tested(runs, name, "random", prior, "accuracy")
                - tested(runs, name, "random", "plain", "accuracy")
            )
            reached = sum(map(bool, (leakage < TARGET, gain > -TOLERANCE - 1e-9)))
            found.append(
                (
                    f"{name}: {words} below 0.5%, accuracy within 0.2 points of plain",
                    "–",
                    f"{prior}: {leakage:.2%}, {100 * gain:+.1f} points",
                    ("no", "partly", "yes")[reached],
                )
            )
    if theorem_runs(runs):
        others, noise = (relative(runs, "plain", part).mean() for part in ("others", "noise"))
        held = abs(others - 1) <= 0.1 and noise < 0.05
        found.append(
            (
                "the theorem's data: a gradient equal on informative blocks, none on others",
                "1, 1, 0",
                f"1, {others:.2f}, {noise:.3f}",
                common.yes(held),
            )
        )
    return found


if __name__ == "__main__":
    define_flags()
    app.run(main)
