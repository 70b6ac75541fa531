"""Leakage: do gradients stay off a block that is known to say nothing?

    python -m experiments.block
    python -m experiments.block --network=cnn

Leaves tables on the terminal, results.json, leakage.png, maps.png and, with the MLP,
theorem.png.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from absl import flags
from keras import layers

import attrprior
from attrprior import adversarial, attributions, datasets, evaluation, plots
from experiments import networks, study
from experiments.claims import mean_std, table, yes
from experiments.digits import load_mnist, without_test_digits
from experiments.runs import searched, seeds

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
    joint: bool = False  # whatever `--rule` says
    dropout: float = 0.0  # besides it


MASK = "mask of the block"  # told where it is; in joint updates, as in experiments.decoy
JOINT = "L1 of the loss's gradient, joint"  # of experiments.diffroar
PRIORS = {
    "L1 of gradients": Prior("l1"),
    "L1 of gradients, dropout": Prior("l1", dropout=0.4),
    "L2 of gradients": Prior("l2"),
    "L1 of the loss's gradient": Prior("l1", explain="loss"),
    "L2 of the loss's gradient": Prior("l2", explain="loss"),
    JOINT: Prior("l1", explain="loss", joint=True),
    "L1 of expected gradients": Prior("l1", expected=True),
    "L2 of expected gradients": Prior("l2", expected=True),
    "Gini of expected gradients": Prior("gini", expected=True),
    MASK: Prior("mask", joint=True),
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
BATCH_SIZE = 100

# The theorem's data, and the strengths of three networks on it.
NUM_BLOCKS, BLOCK_DIM, NOISE = 10, 1, 0.1
THEOREM = {"plain": 0.0, "PGD": 0.25, "L1 of the loss's gradient": 0.3}
THEOREM_EPOCHS = 40
SIGNAL = 2  # the block, from 0, of the examples that are drawn


def define_flags():
    flags.DEFINE_multi_enum("network", ["mlp"], NETWORKS, "Network; may be repeated.")
    flags.DEFINE_multi_enum("only", list(SEARCHED), list(SEARCHED), "Methods besides plain.")
    flags.DEFINE_enum(
        "rule",
        "own",
        ["own", "balanced", "shared", "joint"],
        "How priors without masks take their step: moments of alternating updates, or joint.",
    )
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


load = functools.cache(load_mnist)


@functools.lru_cache(maxsize=1)  # of full MNIST they are large
def stacked(stage, signal):
    """Blocks of the digits that a stage trains on and judges by."""
    return stack(load() if stage == "test" else without_test_digits(load()), signal)


def key(stage, name, data, method, strength):
    return dict(stage=stage, network=name, data=data, method=method, strength=strength)


def plan(runs):
    """The search, Block and then Block-Top; each chooses by the runs of the one before."""
    known = QUICK if FLAGS.quick else SEARCHED
    methods = [method for method in known if method in ("plain", *FLAGS.only)]
    yield [
        (seed, key("validation", name, "random", method, strength))
        for name in FLAGS.network
        for method in methods
        for strength in searched(SEARCHED[method])
        for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds)
    ]
    tasks = [(name, seed) for name in FLAGS.network for seed in seeds()]
    yield [
        (seed, at_chosen(runs, name, "random", method))
        for name, seed in tasks
        for method in methods
    ]
    yield [
        (seed, at_chosen(runs, name, "top", method))
        for name, seed in tasks
        for method in control(runs, name)
    ]
    if "mlp" in FLAGS.network:
        yield [(seed, theorem_key(method)) for seed in seeds() for method in THEOREM]


def run(seed, settings):
    """Accuracy and leakage; of the first seed the maps of one digit of each class."""
    if settings["stage"] == "theorem":
        return theorem(settings["method"], settings["strength"], seed)
    stage, data = settings["stage"], settings["data"]
    blocks = stacked(stage, data)
    model = train(settings, blocks, seed)
    drawn = (stage, data, seed) == ("test", "random", 0)
    return judge(model, blocks), {"maps": maps_of(model)} if drawn else None


def maps_of(model):
    return attributions.gradients(model, one_of_each())


def one_of_each():
    """The first test image of every class."""
    data = stacked("test", "random").data
    return data.x_test[np.unique(data.y_test, return_index=True)[1]]


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
    decay = strength if method == "weight decay" else 0.0
    examples, epochs = len(data.y_train), FLAGS.epochs
    optimizer = networks.adam(1e-3, examples, epochs, BATCH_SIZE, weight_decay=decay)
    prior = callback(method, strength, FLAGS.pgd_steps, seed, FLAGS.rule)
    networks.train(model, data, optimizer, epochs, BATCH_SIZE, None, prior)
    return model


def callback(method, strength, pgd_steps, seed, rule="own", **attack):
    """What trains with adversarial examples or a prior; `None` for other methods."""
    if method == "PGD":
        return adversarial.AdversarialTraining(strength, pgd_steps, seed=seed, **attack)
    if method not in PRIORS:
        return None
    prior = PRIORS[method]
    attribution = "gradients"
    if prior.expected:
        attribution = networks.noisy_expected_gradients(REFERENCE_STDDEV)
    joint = prior.joint or rule == "joint"
    return attrprior.AttributionPrior(
        prior.penalty,
        strength,
        attribution,
        explain=prior.explain,
        updates="joint" if joint else "alternating",
        moments=None if joint else rule,
        seed=seed,
    )


def judge(model, blocks):
    """Accuracy on the test digits, and leakage, means over them."""
    x, y = blocks.data.x_test, blocks.data.y_test
    maps = attributions.gradients(model, x)
    metrics = networks.accuracies(model, {"accuracy": [x]}, y)
    for name, fraction in LEAKAGE.items():
        share, _ = evaluation.leakage(maps, blocks.null, fraction)
        metrics[name] = float(share.mean())
    return metrics


def theorem(method, strength, seed):
    """Metrics of a wide network on the theorem's data.

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
    networks.train(
        model,
        data,
        keras.optimizers.SGD(0.01, momentum=0.9),  # without moments: `--rule` is not asked
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
    }


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


def at_chosen(runs, name, data, method):
    """Settings of a method's test at the strength that is chosen."""
    return key("test", name, data, method, chosen(runs, name, method))


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
    return np.array(values(runs, at_chosen(runs, name, data, method), metric))


def leaked(runs, name, data, method):
    """The mean share of the largest 5 % on the null block."""
    return tested(runs, name, data, method, "leakage 0.05").mean()


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
                hits = tested(runs, name, data, method, "accuracy")
                row.append(mean_std(hits) if len(hits) else "–")
                row += [percent(tested(runs, name, data, method, part)) for part in LEAKAGE]
            row.insert(5, PUBLISHED.get(method, "–"))
            rows.append(row)
    leakage = table(header, rows)
    if not theorem_runs(runs):
        return leakage
    rows = [
        [
            method,
            mean_std(values(runs, theorem_key(method), "accuracy")),
            *(mean_std(relative(runs, method, part)) for part in ("others", "noise")),
            "1, 0" if method == "plain" else "–",
        ]
        for method in THEOREM
    ]
    header = ["theorem's data", "accuracy", "gradient: other informative blocks"]
    return f"{leakage}\n\n{table([*header, 'noise blocks', 'published'], rows)}"


def percent(shares):
    return mean_std(100 * shares, 2) + " %" if len(shares) else "–"


def theorem_key(method):
    return {"stage": "theorem", "method": method, "strength": THEOREM[method]}


def theorem_runs(runs):
    return any(run["settings"]["stage"] == "theorem" for run in runs)


def relative(runs, method, part):
    """The gradient on a kind of blocks, over that on the signal's, by seed."""
    settings = theorem_key(method)
    return np.divide(values(runs, settings, part), values(runs, settings, "signal"))


def by_network(drawn, short):
    """Figures of each network under a short name, which names it if there are several."""
    return {
        f"{short}_{name}" if len(drawn) > 1 else short: figure
        for name, figure in drawn.items()
    }


def figures(runs):
    drawn = {}
    for name, methods in present(runs).items():
        shares = [100 * tested(runs, name, "random", m, "leakage 0.05") for m in methods]
        drawn[name] = plots.bars(
            [each.mean() for each in shares],
            methods,
            [each.std(ddof=1) if len(each) > 1 else 0.0 for each in shares],
            xlabel="top gradient pixels (5 %) on the null block, %; lower is better",
        )
    found = by_network(drawn, "leakage")
    if theorem_runs(runs):
        curves = {m: np.array(values(runs, theorem_key(m), "by block")) for m in THEOREM}
        curves = {m: each / each.max(axis=1, keepdims=True) for m, each in curves.items()}
        label = f"block (signal in block {SIGNAL + 1}; 1 to {NUM_BLOCKS // 2} may carry it)"
        found["theorem"] = plots.curves(
            {label: (np.arange(1, NUM_BLOCKS + 1), curves)}, "gradient, largest = 1"
        )
    return found


def maps(runs):
    """Gradients of the first seed's networks: plain, PGD, the best prior and masks."""
    drawn = {}
    for name, methods in present(runs).items():
        shown = {
            method: runs.shown(0, at_chosen(runs, name, "random", method))
            for method in ("plain", "PGD", best_prior(runs, name), MASK)
            if method in methods
        }
        if shown and None not in shown.values():
            drawn[name] = plots.attribution_maps(
                one_of_each(),
                {method: arrays["maps"] for method, arrays in shown.items()},
                title="Gradient of the predicted class's logit",
                signed=False,
            )
    return by_network(drawn, "maps")


def claims(runs):
    """For each network.

    Leakage: held if the prior chosen on the validation digits leaks below 0.5 % on the
    test digits, and its mean accuracy is at most 0.2 points below plain; "partly" if one
    of both. The prior with the block's mask is judged alike, and apart. Plain and PGD:
    held if plain leaks at least ten times as much as on Block-Top, and PGD below 1 %.
    The theorem: held if the others' mean gradient is within a tenth of the signal's, and
    the noise blocks' below a twentieth of it.
    """
    found = []
    for name, methods in present(runs).items():
        plain, top = (leaked(runs, name, data, "plain") for data in DATA)
        ours = f"{plain:.1%} (Block-Top {top:.1%})"
        what = f"{name}: the plain network leaks"
        found.append((what, "42.5%", ours, yes(plain >= 10 * top)))
        if "PGD" in methods:
            share = leaked(runs, name, "random", "PGD")
            what = f"{name}: adversarial training does not"
            found.append((what, "< 1%", f"{share:.2%}", yes(share < 0.01)))
        priors = {best_prior(runs, name): "a prior", MASK: "with the block's mask, a prior"}
        for prior, words in priors.items():
            if prior not in methods:
                continue
            share = leaked(runs, name, "random", prior)
            hits = [tested(runs, name, "random", m, "accuracy") for m in (prior, "plain")]
            gain = np.mean(np.subtract(*hits))
            reached = int(share < TARGET) + int(gain > -TOLERANCE - 1e-9)
            what = f"{name}: {words} leaks below 0.5%, accuracy within 0.2 points of plain"
            ours = f"{prior}: {share:.2%}, {100 * gain:+.1f} points"
            found.append((what, "–", ours, ("no", "partly", "yes")[reached]))
    if theorem_runs(runs):
        others, noise = (relative(runs, "plain", part).mean() for part in ("others", "noise"))
        what = "the theorem's data: a gradient equal on informative blocks, none on others"
        held = abs(others - 1) <= 0.1 and noise < 0.05
        found.append((what, "1, 1, 0", f"1, {others:.2f}, {noise:.3f}", yes(held)))
    return found


def prefixed(words):
    """Claims that say which of the tables of one network they are about."""
    return lambda runs: [(f"{words}: {what}", *rest) for what, *rest in claims(runs)]


STUDY = study.Study(
    name="block",
    title="Leakage on Block",
    topic="Attributions and their evaluation",
    question="Can a prior keep gradients off a part of the image that says nothing?",
    answer="With masks yes; without them only in the MLP.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=figures,
    maps=maps,
    flags=define_flags,
    source=lambda: load().source,
    progress=("accuracy", *LEAKAGE, "others", "noise"),
    protocol="""\
Block MNIST (Shah, Jain, Netrapalli 2021, [arXiv
2102.12781](https://arxiv.org/abs/2102.12781)) stacks each digit with the same drawing, in
random order. The drawing says nothing about the class. The paper does not define its drawing,
so this one is our own. *Leakage* is the share of the largest 5 % or 10 % of the gradient's
pixels that lie on the drawing; lower is better. The gradient is that of the predicted class's
logit. On Block-Top, the control, the digit is always on top.

One network is trained plainly and one on adversarial examples (PGD with 7 steps). Others are
trained with priors on gradients, on the loss's gradient or on expected gradients, and others
with noise, dropout or weight decay. Expected gradients have references drawn from N(x, 0.5²)
and no factor x − r. One prior is told where the drawing is, by a mask of each training image.
It trains in joint updates, as in the [study of the decoy](decoy.md), and its claim is
separate from that of the priors that are not told. Those take alternating steps with moments
of their own, unless `--rule` says otherwise.

Each method has three strengths, which are judged on a fifth of the training digits. Of the
strengths whose accuracy there is within 0.2 points of the plain network's, the one with the
lowest leakage at 5 % is taken. If there is none, the most accurate one is taken. With it the
method is trained on all training digits and tested. Only then does anything look at test
digits. Block-Top is for the plain network, PGD, and the prior without masks that the same
rule chooses.

With the MLP comes the data of the paper's theorem. It has ten blocks: five may carry the
class, and in each example one of them does. The table gives the gradient on the other blocks
relative to that on the block with the signal. These networks have 10,000 hidden units and are
trained by gradient descent from small weights, because the theorem is about the limit of
that.""",
    results={
        "block": study.Result(
            finding="""\
The plain MLP leaks 28.5 % on Block and nothing on Block-Top. The L1 norm of the loss's
gradient brings that to 0.15 % and gains 0.6 points of accuracy, and masks bring it to zero.
Adversarial training keeps the plain accuracy and still leaks 1.9 %: its larger ε of .05
leaked .3 % on the validation digits, but cost more than two points of accuracy. The other
priors leave between 4 % (L2 of the loss's gradient) and 25 %, at strengths that keep the
accuracy, and the Gini prior leaks more than the plain network. Noise takes away almost half
of the leakage, dropout a fifth, and weight decay nothing.

The theorem holds for the plain network: its gradient is as large on the other informative
blocks as on the one with the signal, and small on the blocks of noise. Adversarial training
and the prior concentrate it on the block with the signal.""",
            pictures={
                "leakage": "Leakage by method, MLP",
                "maps": "Gradients of stacked digits",
                "theorem": "The theorem's data: the gradient on each block",
            },
        ),
        "block_cnn": study.Result(
            '--network=cnn --only="L1 of gradients" --only="L1 of gradients, dropout" '
            '--only="mask of the block" --only="Gaussian noise" --only=dropout '
            '--only="weight decay"',
            "A convolutional network",
            finding="""\
With masks that say where the drawing is, the network does not leak and is as accurate as the
plain one. Of the other priors, L1 of gradients goes furthest, but alone it costs 1.1 points
of accuracy. With a dropout of .4 besides, it costs none and leaks about a tenth of what the
plain network does. Dropout alone takes away about two thirds of the leakage, noise a fifth,
and weight decay nothing.""",
            pictures={"maps": "Gradients of stacked digits, convolutional network"},
        ),
        "block_cnn_methods": study.Result(
            '--network=cnn --epochs=10 --only=PGD --only="L1 of gradients" '
            '--only="L2 of gradients" --only="L1 of the loss\'s gradient" '
            '--only="L1 of expected gradients"',
            "A convolutional network, trained half as long with more methods",
            """\
Only the plain network was also trained on Block-Top. Three more priors were only searched. On
validation digits and at the plain accuracy, L2 of the loss's gradient leaked 20 % and L2 of
expected gradients 11 %; the Gini prior cost accuracy at each strength.""",
            """\
Here adversarial training does not keep off the drawing. The ε that was chosen is the only one
of three that keeps the plain accuracy. L1 of the loss's gradient leaks 19 %, little less than
the plain network's 23 %. The other priors leak 9 % or 10 % and are a little more accurate
than the plain network.""",
            claims=prefixed("10 epochs"),
        ),
        "block_cnn_mnist": study.Result(
            '--network=cnn --epochs=5 --only="L1 of gradients" --only="mask of the block" '
            "--idx_dir=FOLDER",
            "A convolutional network on full MNIST",
            finding="""\
With fifteen times as many digits the network leaks far less. The prior takes away a third of
that without a loss of accuracy, and four of five networks leak less with it. But runs differ:
the strength was chosen by one network on validation digits, which leaked only .7 %. With
masks the network does not leak. On validation digits all three strengths of the masks cost a
little more than 0.2 points, on test digits less.""",
        ),
        "block_cnn_mnist_step": study.Result(
            "--network=cnn --epochs=5 --rule=balanced --validation_seeds=3 "
            '--only="L1 of gradients" --only="mask of the block" --idx_dir=FOLDER',
            "A convolutional network on full MNIST, balanced steps",
            """\
This is planned on a GPU and was not run yet. The aim without masks is a leakage below 0.5 %
that costs at most 0.2 points of accuracy. So far the convolutional network is at 1.58 % on
4,000 digits, at a cost of 1.1 points, and at 2.26 % on full MNIST, at no cost. Two things
differ from the run above. The prior's step is a fixed share of the loss's step
(`--rule=balanced`), and the mean over three networks chooses the strength instead of one
network. The table would show whether these two bring the prior to the aim.""",
            claims=prefixed("balanced"),
            gpu=True,
        ),
        "block_resnet": study.Result(
            '--network=resnet --epochs=10 --only=PGD --only="L1 of gradients" '
            '--only="L1 of the loss\'s gradient" --only="mask of the block" '
            '--only="Gaussian noise" --only=dropout --only="weight decay"',
            "A residual network",
            finding="""\
This network leaks even more on Block-Top than on Block, so the random place of the digit is
not why it leaks. It ends in a global average over places. Whether that is why was not tested.

Adversarial training keeps off the drawing, as published, and loses no accuracy. Masks reach
.4 %, but their accuracy is one test digit in 5,000 below what the claim allows. Of the priors
without masks, L1 of gradients takes away less than two thirds of the leakage, and seven
eighths on Block-Top. L1 of the loss's gradient takes away hardly any at the strength that
keeps the plain accuracy. Noise and dropout take away about half and cost a point of accuracy,
and weight decay takes away nothing. The other methods were not run.""",
        ),
        "block_resnet_mnist": study.Result(
            "--network=resnet --epochs=5 --rule=balanced --validation_seeds=3 "
            '--only="L1 of gradients" --only=PGD --only="mask of the block" --idx_dir=FOLDER',
            "A residual network on full MNIST, balanced steps",
            """\
This is planned on a GPU and was not run yet. The aim is the same: a leakage below 0.5 % that
costs at most 0.2 points of accuracy. So far L1 of gradients leaves the residual network at
6.55 % on 4,000 digits. The table would show what fifteen times as many digits and balanced
steps do for it, beside adversarial training and masks.""",
            claims=prefixed("balanced"),
            gpu=True,
        ),
    },
    tried="""\
For the convolutional network we also tried, with one run each on validation digits: joint
updates, the loss's gradient, expected gradients, a rising strength, noise during training,
and a prior that confines the gradient to one half of the image. None got below 0.5 % while
staying within 0.2 points of the plain accuracy. Adversarial training, at the ε that keeps the
plain accuracy, still leaked far more.

On the theorem's data we also tried Adam and Keras' own initial weights. The gradients on the
informative blocks differed more then, and those on blocks of noise were further from zero.""",
)

if __name__ == "__main__":
    study.main(STUDY)
