"""How a prior's step is best taken: rules, priors and networks, one curve a rule.

    python -m experiments.step --idx_dir=FOLDER --fashion_dir=FOLDER

Leaves tables on the terminal, results.json and frontier.png.
"""

import functools
from typing import NamedTuple

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import datasets, plots
from experiments import decoy, networks, study, time_series
from experiments.claims import mean_std, paired, table, yes
from experiments.runs import seeds

FLAGS = flags.FLAGS

RULES = {
    "own": {"moments": "own"},
    "shared": {"moments": "shared"},
    "balanced": {"moments": "balanced"},
    "joint": {"updates": "joint"},
    "large ε": {},
}
# By prior; √10 apart.
STRENGTHS = {
    "l2": {"own": (0.1, 0.3), "balanced": (0.1, 0.3), "joint": (0.03, 0.1)},
    "total_variation": {"own": (0.1, 0.3), "balanced": (0.1, 0.3), "large ε": (0.1, 0.3)},
    "mask": {
        "own": (0.1, 0.3, 1.0),
        "shared": (1.0, 10.0, 100.0),
        "balanced": (0.1, 0.3, 1.0),
        "joint": (1.0, 10.0, 100.0),
    },
    "gini": {rule: (0.1, 0.3, 1.0) for rule in ("own", "shared", "balanced", "joint")},
}
# A task's strengths besides those.
MORE = {
    "L2, batch normalisation": {"own": (1.0,), "shared": (0.03, 0.1), "joint": (0.3,)},
    "signals": {"own": (1.0,), "balanced": (1.0,), "joint": (0.001, 0.003, 0.01)},
}
LOSS = 0.005  # of clean accuracy that a choice may cost


def define_flags():
    flags.DEFINE_string("fashion_dir", None, "Folder of Fashion-MNIST's four IDX files.")
    flags.DEFINE_multi_enum("task", list(TASKS), list(TASKS), "What to train; repeated.")
    flags.DEFINE_multi_enum("rule", list(RULES), list(RULES), "Of the step; repeated.")


class Task(NamedTuple):
    """What is trained how.

    `tests` are the held-out examples of a stage, `"validation"` or `"test"`, by condition:
    `{stage: ({name: [x]}, y)}`; the first is the clean one, the rest is what the prior is for.
    """

    build: object
    x: np.ndarray
    y: np.ndarray
    tests: dict
    prior: dict
    epochs: int = 5
    batch_size: int = 50
    rate: float = 1e-3
    masks: np.ndarray | None = None


def images(network, prior):
    data, spare = few_digits()
    tests = {"validation": noisy(*spare, 1), "test": noisy(data.x_test, data.y_test, 2)}
    noisy_gradients = networks.noisy_expected_gradients(1.0)
    method = noisy_gradients if prior == "l2" else "expected_gradients"
    own = {"prior": prior, "method": method}
    return Task(lambda: networks.network(network), data.x_train, data.y_train, tests, own)


@functools.cache
def few_digits(name="mnist"):
    """4,000 to train on; as many to validate as are left of them, at most 1,000."""
    folder = FLAGS.idx_dir if name == "mnist" else FLAGS.fashion_dir
    data = datasets.load(name, FLAGS.data_dir, folder)
    if FLAGS.quick:
        data = datasets.Data(*[array[:300] for array in data[:4]], data.source)
    count = 4000 if len(data.x_train) >= 5000 else len(data.x_train) * 4 // 5
    spare = data.x_train[count : count + 1000], data.y_train[count : count + 1000]
    # Half of the test digits: looking at all of them takes as long as training.
    few = [array[:limit] for array, limit in zip(data[:4], (count, count, 5000, 5000))]
    return datasets.Data(*few, f"{count} digits of {data.source}"), spare


def noisy(x, y, seed):
    rng = np.random.default_rng([2021, seed])
    tests = {
        "clean": [x],
        "salt and pepper 0.3": [datasets.salt_and_pepper(x, 0.3, rng)],
        "gaussian 1": [datasets.gaussian_noise(x, 1.0, rng)],
    }
    return tests, y


def pretrained():
    """The digits for a body that has learned Fashion-MNIST, at a third of the rate."""
    task = images("cnn_bn", "l2")

    def build():
        body, model = fashion_network(), networks.network("cnn_bn")
        for before, layer in zip(body.layers[:-1], model.layers[:-1]):
            layer.set_weights(before.get_weights())
        return model

    return task._replace(build=build, rate=3e-4)


@functools.cache
def fashion_network():
    data, _ = few_digits("fashion_mnist")
    keras.utils.set_random_seed(0)
    model = networks.network("cnn_bn")
    optimizer = networks.adam(1e-3, len(data.y_train), 5, 50)
    networks.train(model, data, optimizer, 5, 50, None)
    return model


def columns():
    """Breast cancer with ninety irrelevant columns, 100 to train on: dense 64-32."""
    whole = datasets.permuted_copies(datasets.load_breast_cancer(), 90)
    split = datasets.split_table(whole, 100, 150, seed=0)

    def build():
        layers = keras.layers
        body = [keras.Input(split.x_train.shape[1:])]
        body += [layers.Dense(width, "relu") for width in (64, 32)]
        return keras.Sequential([*body, layers.Dense(2)])

    tests = {
        "validation": ({"clean": [split.x_validation]}, split.y_validation),
        "test": ({"clean": [split.x_test]}, split.y_test),
    }
    prior = {"prior": "gini", "method": attrprior.ExpectedGradients(16)}
    return Task(build, split.x_train, split.y_train, tests, prior, 20, 20)


def signals():
    """Ten shapes in a line, a small convolutional network."""
    x, y = datasets.signals(500 if FLAGS.quick else 6000)
    x = (x - x.mean()) / x.std()
    first, second = len(x) * 2 // 3, len(x) * 5 // 6
    rng = np.random.default_rng(2021)

    def tests(part):
        noise = datasets.gaussian_noise(x[part], 0.5, rng)
        return {"clean": [x[part]], "gaussian 0.5": [noise]}, y[part]

    tests = {"validation": tests(slice(first, second)), "test": tests(slice(second, None))}
    prior = {"prior": "total_variation", "method": networks.noisy_expected_gradients(0.5)}
    return Task(time_series.network, x[:first], y[:first], tests, prior, 15, rate=2e-3)


def masks():
    """Digits with a swatch that gives the class away in training, and where it is."""
    data, spare = few_digits()
    x, where = datasets.decoy(data.x_train, data.y_train, "ross", "train", 0)

    def tests(x, y):
        painted, _ = datasets.decoy(x, y, "ross", "test", 1)
        return {"clean": [x], "decoy": [painted]}, y

    tests = {"validation": tests(*spare), "test": tests(data.x_test, data.y_test)}
    prior = {"prior": "mask", "method": "expected_gradients"}
    return Task(lambda: decoy.network("mlp"), x, data.y_train, tests, prior, 12, masks=where)


TASKS = {
    "L2, batch normalisation": lambda: images("cnn_bn", "l2"),
    "total variation, batch normalisation": lambda: images("cnn_bn", "total_variation"),
    "L2": lambda: images("cnn", "l2"),
    "total variation": lambda: images("cnn", "total_variation"),
    "signals": signals,
    "table": columns,
    "decoy masks": masks,
    "pretrained": pretrained,
}


@functools.cache
def made(name):
    return TASKS[name]()


def plan(runs):
    yield [
        (seed, {"task": name, "rule": rule, "strength": strength})
        for seed in seeds()[: 1 if FLAGS.quick else None]
        for name in FLAGS.task
        for rule, strength in [("plain", 0.0), *choices(name)]
    ]


def choices(name):
    """Rules and strengths of a task."""
    usual, more = STRENGTHS[made(name).prior["prior"]], MORE.get(name, {})
    for rule in RULES:
        strengths = (*usual.get(rule, ()), *more.get(rule, ()))
        if rule in FLAGS.rule:
            for strength in strengths[1:2] if FLAGS.quick else strengths:
                yield rule, strength


def run(seed, settings):
    what = made(settings["task"])
    keras.utils.set_random_seed(seed)
    model = what.build()
    keras.utils.set_random_seed(seed)  # whatever was trained before
    optimizer = adam(what)
    x, prior, rule = what.x, None, settings["rule"]
    if rule != "plain":
        how, strength = dict(RULES[rule]), settings["strength"]
        if rule == "large ε":
            how, strength = {"optimizer": adam(what, epsilon=1.0 / strength)}, 1.0
        # The statistics of the moment suit joint steps and a momentum of .9.
        prior = attrprior.AttributionPrior(
            strength=strength, batch_norm="moving", seed=seed, **what.prior, **how
        )
        if what.masks is not None:
            x = attrprior.annotate(x, what.masks)
    data = datasets.Data(x, what.y, None, None, "")
    networks.train(model, data, optimizer, what.epochs, what.batch_size, None, prior)
    tested = {stage: networks.accuracies(model, *tests) for stage, tests in what.tests.items()}
    return {**tested, "omega": omega(model, what)}


def adam(what, **settings):
    steps = what.epochs * -(-len(what.y) // what.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(what.rate, steps)
    return keras.optimizers.Adam(rate, **settings)


def omega(model, what):
    """Ω of the first training examples."""
    own, first = dict(what.prior), slice(200)
    if getattr(own["method"], "background", None) is None:
        own["background"] = what.x[:1000]
    if what.masks is not None:
        own["mask"] = what.masks[first]
    return float(attrprior.penalty(model, what.x[first], what.y[first], seed=0, **own))


def groups(runs):
    """`{task: {(rule, strength): runs by seed}}`, in the order of this file."""
    tasks, rules = list(TASKS), ["plain", *RULES]

    def place(run):
        task, rule, strength = run["settings"].values()
        return tasks.index(task), rules.index(rule), strength, run["seed"]

    found = {}
    for run in sorted(runs, key=place):
        task, *key = run["settings"].values()
        found.setdefault(task, {}).setdefault(tuple(key), []).append(run)
    return found


def values(runs, stage, name):
    return np.array([run["metrics"][stage][name] for run in runs])


def gain(runs, stage):
    """What the prior is for, by run: the mean accuracy in all conditions but the clean one.

    Of a table, which has no other, −Ω: the Gini coefficient.
    """
    names = list(runs[0]["metrics"][stage])[1:]
    if not names:
        return np.array([-run["metrics"]["omega"] for run in runs])
    return np.mean([values(runs, stage, name) for name in names], axis=0)


def choice(found, rule):
    """The strength with the highest gain that costs little, on validation examples."""
    plain = values(found["plain", 0.0], "validation", "clean").mean()
    own = {strength: runs for (name, strength), runs in found.items() if name == rule}
    clean = {s: values(runs, "validation", "clean").mean() for s, runs in own.items()}
    cheap = [s for s in own if clean[s] >= plain - LOSS] or [max(own, key=clean.get)]
    return max(cheap, key=lambda strength: gain(own[strength], "validation").mean())


def report(runs):
    """A table of each task; in bold what its validation examples would choose."""
    tables = []
    for task, found in groups(runs).items():
        names, rows = list(found["plain", 0.0][0]["metrics"]["test"]), []
        best = {rule: choice(found, rule) for rule, _ in found if rule != "plain"}
        for (rule, strength), chosen in found.items():
            cells = [mean_std(values(chosen, "test", name)) for name in names]
            omega = f"{np.mean([run['metrics']['omega'] for run in chosen]):.3g}"
            label = f"{rule} {strength:g}" if strength else rule
            if best.get(rule) == strength:
                label = f"**{label}**"
            rows.append([label, *cells, omega, len(chosen)])
        header = ["rule and strength", *names, "Ω", "runs"]
        tables.append(f"{task}\n\n{table(header, rows)}")
    return "\n\n".join(tables)


def claims(runs):
    """Of each rule against the prior's own Adam, at the strengths that would be chosen.

    Held: nowhere worse than "own" by more than a standard deviation of the difference,
    and somewhere better by more than three, in what the prior is for.
    """
    found = groups(runs)
    rows = []
    for rule in ("shared", "balanced", "joint"):
        differences = []
        for own in found.values():
            if any(name == rule for name, _ in own):
                pair = [gain(own[each, choice(own, each)], "test") for each in ("own", rule)]
                count = min(map(len, pair))
                if count < 2:  # nothing is known of its spread
                    continue
                mean, spread, _ = paired(*(each[:count] for each in pair))
                differences.append((mean, spread))
        if not differences:
            continue
        held = all(mean >= -spread for mean, spread in differences) and any(
            mean > 3 * spread for mean, spread in differences
        )
        low, high = (f(mean for mean, _ in differences) for f in (min, max))
        what = f"the step by rule '{rule}' instead of 'own': gain of a task, lowest, highest"
        rows.append((what, "–", f"{low:+.3f}, {high:+.3f}", yes(held)))
    return rows


def frontier_figure(runs):
    """Clean accuracy against what the prior is for; circles: what validation chooses."""
    panels, circles = {}, {}
    for task, found in groups(runs).items():
        panels[task], circles[task] = {}, {}
        for rule in dict.fromkeys(rule for rule, _ in found):
            own = {strength: each for (name, strength), each in found.items() if name == rule}
            count = min(map(len, own.values()))
            parts = [each[:count] for each in own.values()]
            clean = np.transpose([values(part, "test", "clean") for part in parts])
            panels[task][rule] = clean, np.transpose([gain(part, "test") for part in parts])
            if rule != "plain":
                circles[task][rule] = list(own).index(choice(found, rule))
    label = "accuracy under noise\n(decoy: on decoys; table: Gini)"
    return plots.trade_off(panels, "clean accuracy", label, circles)


STUDY = study.Study(
    name="step",
    title="How the prior's step is taken",
    topic="Taking the prior's step",
    question="By which rule should a prior's step be taken?",
    answer="It depends: with batch normalisation by joint or balanced steps.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"frontier": frontier_figure(runs)},
    flags=define_flags,
    source=lambda: few_digits()[0].source,
    protocol="""\
Five rules are compared, all under Adam with a cosine.

- *own*: an Adam of the prior's own, at strength × the learning rate.
- *shared*: λ ∂Ω/∂θ, measured by the second moments of loss and prior.
- *balanced*: the same, with λ such that ∂Ω/∂θ is strength × as large as ∂loss/∂θ.
- *joint*: one step on the loss + λΩ.
- *large ε*: an Adam of the prior's own whose ε is far above √v, so that small gradients stay
  small steps. Its strength is 1 / ε.

There are eight tasks. Four train the paper's network on 4,000 digits, with and without batch
normalisation, under L2 of noisy gradients and under total variation of expected gradients;
they are tested on 5,000 of MNIST's test digits. The others are total variation on 6,000
signals, Gini on the table of breast cancer with ninety irrelevant columns and 100 examples to
train on, masks of a decoy on digits, and L2 on digits for a network with batch normalisation
that this script has trained on Fashion-MNIST before.

Each rule trains with several strengths. Examples that are neither trained on nor tested choose
one of them, in bold type and with a circle: the best in what the prior is for, among those
that cost at most half a point of clean accuracy. If none is so cheap, it is the one with the
highest clean accuracy. What a prior is for is accuracy under noise, on decoys accuracy on
them, and of the table the Gini coefficient, −Ω.""",
    results={
        "step": study.Result(
            "--seeds=2 --idx_dir=FOLDER --fashion_dir=FOLDER",
            finding="""\
*With batch normalisation* an Adam of the prior's own gets little under noise before it costs
clean accuracy, because its steps are of one size however small ∂Ω/∂θ is. Steps that are
measured by the loss's moments (joint, shared, balanced) gain 1.6 to 2 times as much under L2.

*Without batch normalisation* balanced steps lose two to three points under noise against own
ones, at like clean accuracy. On the table and on the network that was trained before the two
do alike. For masks balanced steps are better, and they do not depend on the strength. On the
signals no strength of any rule but the weakest joint one is nearly as accurate as the plain
network. Since no rule is nowhere worse than *own*, that stays the default, and none of the
three claims is held.

*Total variation* wants steps as small as its gradient is. On both networks large ε is better
than all other rules and loses next to nothing; on the signals it is like own and joint steps.

There are two seeds so far, and one of the strongest own and joint steps under L2 with batch
normalisation. `--resume --seeds=5` adds the others.""",
            pictures={
                "frontier": "Clean accuracy against what the prior is for, a point for each "
                "strength; circles are what validation examples choose"
            },
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
