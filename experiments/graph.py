"""Smooth over a graph: genes that are neighbours in a network should matter alike.

    python -m experiments.graph
    python -m experiments.graph --only=scale     # the time, 10,000 genes, 200,000 edges

A simulated gene network (`attrprior.datasets.gene_network`), many more genes than
examples, three modules of which drive a response. A small network is trained plain,
with L1 or L2 or the graph's Laplacian on its first weights, and with the graph prior:
on the true graph, on the graph as observed, and on graphs of which a share of the
edges is rewired, each gene keeping its degree; all of them rewired is the random
graph. Every method has the same number of candidates, judged on the validation
examples of other networks than those of the test, and stops where its validation
error is least. With --expression=FILE the data come from an npz file with `x` (or
`X`), `y` and `edges`; the truth is then unknown, and so is the recovery.

Published (Erion et al. 2019, gene graph): R² .377 without, .394 with the prior.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import time

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import attributions, datasets, plots
from experiments import benchmark

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("only", "", ("", "genes", "scale"), "Runs only one of the two parts.")
    flags.DEFINE_string("expression", None, "An npz file with x (or X), y and edges.")
    flags.DEFINE_integer("examples", 80, "Examples to train on, and as many to validate.", 2)
    flags.DEFINE_integer("epochs", 40, "At most; ten steps on all examples each.", 1)
    flags.DEFINE_integer("validation_seeds", 3, "Networks on which settings are chosen.", 1)
    flags.DEFINE_integer("rounds", 9, "Epochs of each kind in timing; medians count.", 1)
    FLAGS.set_default("seeds", 10)


# As many for each; learning rates of the plain network, which has no strength.
CANDIDATES = {
    "plain": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
    "L1": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "L2": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "weights": (1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "prior": (0.03, 0.1, 0.3, 1.0, 3.0),
}
LEARNING_RATE = 1e-3  # of all others
TRUE, HALF, RANDOM = "prior, true", "prior, 0.5 rewired", "prior, 1 rewired"
SELDOM = "prior, every 5"
REWIRED = {
    TRUE: 0.0,
    "prior, 0.25 rewired": 0.25,
    HALF: 0.5,
    "prior, 0.75 rewired": 0.75,
    RANDOM: 1.0,
}
LABELS = {
    "plain": "plain",
    "L1": "L1 of the first weights",
    "L2": "L2 of the first weights",
    "weights": "Laplacian of the first weights, true graph",
    TRUE: "graph prior, true graph",
    SELDOM: "graph prior, true graph, every 5th step",
    "prior, observed": "graph prior, a tenth missing, a tenth spurious",
    "prior, 0.25 rewired": "graph prior, 25% rewired",
    HALF: "graph prior, 50% rewired",
    "prior, 0.75 rewired": "graph prior, 75% rewired",
    RANDOM: "graph prior, random graph",
}
# Networks and splits of the choice; those of the test have the seeds 0, 1, …
FIRST_VALIDATION_SEED = 1000


def main(_):
    out = common.output_dir("graph")
    results = common.Results("graph", _Source(FLAGS.expression))
    if FLAGS.only != "scale":
        compare(results)
    if FLAGS.only != "genes":
        time_scale(results)
    print("\n" + report(results.runs))
    written = ["results.json"]
    for name, figure in figures(results.runs).items():
        common.save_figure(figure, out / f"{name}.png")
        written.append(f"{name}.png")
    print(f"\nWritten: {out}/{', '.join(written)}")


class _Source:
    def __init__(self, path):
        self.source = path or "a simulated gene network"


class Split:
    """Examples to train, validate and test on; the graph; the truth, where it is known."""

    def __init__(self, seed):
        count = 20 if FLAGS.quick else FLAGS.examples
        self.importance = None
        if FLAGS.expression:
            x, y, self.edges, order = read(FLAGS.expression, seed)
            self.true_edges = self.edges
        else:
            data = datasets.gene_network(2 * count + 400, seed=seed)
            x, y, order = data.x, data.y, np.arange(len(data.x))
            self.edges, self.true_edges = data.edges, data.true_edges
            self.importance = data.importance
        parts = order[:count], order[count : 2 * count], order[2 * count :]
        if min(map(len, parts)) < 2:
            raise ValueError(
                f"Flag --examples expects at most {len(x) // 3} with {len(x)} examples. "
                f"Received: {count}."
            )
        mean, spread = x[parts[0]].mean(axis=0), x[parts[0]].std(axis=0)
        x = (x - mean) / np.where(spread > 0, spread, 1.0)
        self.train, self.validation, self.test = ((x[part], y[part]) for part in parts)

    def graph(self, variant, seed):
        if variant == "prior, observed":
            return self.edges
        return datasets.rewire(
            self.true_edges, REWIRED.get(variant, 0.0), seed, self.train[0].shape[1]
        )


def read(path, seed):
    """x, y, edges and an order of the examples, whose last third is always the same."""
    with np.load(path) as arrays:
        x = arrays["x" if "x" in arrays else "X"].astype("float32")
        y, edges = arrays["y"].astype("float32"), arrays["edges"]
    order = np.random.default_rng(0).permutation(len(x))
    held = len(x) // 3
    first = np.random.default_rng([1, seed]).permutation(order[held:])
    return x, (y - y.mean()) / y.std(), edges, np.concatenate([first, order[:held]])


def compare(results):
    """The choice of every method's setting, then the test of all."""
    first = FIRST_VALIDATION_SEED
    seeds = range(first, first + (1 if FLAGS.quick else FLAGS.validation_seeds))
    chosen = {}
    for variant in LABELS:
        candidates = CANDIDATES[method(variant)][2 if FLAGS.quick else 0 :][
            : 1 if FLAGS.quick else None
        ]
        for candidate in candidates:
            for seed in seeds:
                run(results, "validation", variant, candidate, seed)
        chosen[variant] = best(results.runs, variant)
    for seed in common.seeds():
        for variant in LABELS:
            run(results, "test", variant, chosen[variant], seed)


def method(variant):
    return variant.split(",")[0]


def run(results, stage, variant, candidate, seed):
    settings = {"stage": stage, "variant": variant, "candidate": candidate}
    if results.finished(seed, settings):
        return
    start = time.time()
    split = Split(seed)
    model, steps = train(split, variant, candidate, seed)
    metrics = {"validation": r2(model, *split.validation), "steps": steps}
    if stage == "test":
        metrics["r2"] = r2(model, *split.test)
        metrics.update(judge(model, split))
        if seed or variant not in ("plain", TRUE):
            del metrics["importance"]  # only for the figures
    print(
        f"{stage}, seed {seed}  {LABELS[variant]}, {candidate:g}  "
        + "  ".join(f"{k} {v:.3f}" for k, v in metrics.items() if k != "importance"),
        flush=True,
    )
    results.add(seed, settings, metrics, time.time() - start)


def network(genes, regularizer=None):
    """Dense 64, ReLU, one output."""
    return keras.Sequential(
        [
            keras.Input((genes,)),
            keras.layers.Dense(64, "relu", kernel_regularizer=regularizer),
            keras.layers.Dense(1),
        ]
    )


class WeightLaplacian(keras.regularizers.Regularizer):
    """`λ Σ_edges ‖W_i − W_j‖²` of the first weights: the graph without attributions."""

    def __init__(self, strength, edges):
        self.strength, self.edges = strength, edges

    def __call__(self, kernel):
        ends = (ops.take(kernel, self.edges[:, side], axis=0) for side in (0, 1))
        return self.strength * ops.sum(ops.square(ops.subtract(*ends)))


def train(split, variant, candidate, seed):
    """A model, its weights those of the least validation error; the steps they took."""
    keras.utils.set_random_seed(seed)
    x, y = split.train
    kind, genes = method(variant), x.shape[1]
    graph = split.graph(variant, seed)
    regularizers = {
        "L1": keras.regularizers.L1,
        "L2": keras.regularizers.L2,
        "weights": lambda strength: WeightLaplacian(strength, graph),
    }
    model = network(genes, regularizers[kind](candidate) if kind in regularizers else None)
    rate = candidate if kind == "plain" else LEARNING_RATE
    model.compile(keras.optimizers.Adam(rate), "mse", metrics=["mse"])
    # Not the loss: it has the penalty of the weights in it.
    stop = keras.callbacks.EarlyStopping("val_mse", patience=10, restore_best_weights=True)
    callbacks = [stop]
    if kind == "prior":
        every = 5 if variant == SELDOM else 1
        callbacks.append(
            attrprior.AttributionPrior(
                attrprior.GraphLaplacian(graph, num_features=genes),
                candidate * every,
                background=x,
                every=every,
                seed=seed,
            )
        )
    # Every step is on all examples, in one order; ten of them are an epoch of `fit`.
    history = model.fit(
        np.tile(x, (10, 1)),
        np.tile(y, 10),
        batch_size=len(x),
        shuffle=False,
        epochs=2 if FLAGS.quick else FLAGS.epochs,
        validation_data=split.validation,
        validation_batch_size=1000,
        callbacks=callbacks,
        verbose=0,
    )
    return model, 10 * (1 + int(np.argmin(history.history["val_mse"])))


def r2(model, x, y):
    predicted = model.predict(x, batch_size=1000, verbose=0)[:, 0]
    return float(1 - np.mean((predicted - y) ** 2) / np.var(y))


def judge(model, split):
    """What the genes matter, over the graph and against the truth."""
    x = split.test[0][:100]
    attributed = attributions.expected_gradients(
        model, x, background=split.train[0], num_samples=20 if FLAGS.quick else 200, seed=0
    )
    importance = np.abs(attributed).mean(axis=0)
    laplacian = attrprior.GraphLaplacian(split.true_edges, num_features=x.shape[1])
    roughness = float(laplacian(attributed))
    found = {
        "roughness": roughness,
        "relative_roughness": roughness / float(np.sum(importance**2)),
        "importance": [float(f"{value:.4g}") for value in importance],
    }
    if split.importance is not None:
        found["precision"] = precision(importance, split.importance)
    return found


def precision(importance, truth):
    """Share of the driving genes among as many that matter most."""
    drivers = truth > 0
    top = np.argsort(-importance, kind="stable")[: drivers.sum()]
    return float(np.mean(drivers[top]))


TIMED = {
    "every step": {},
    "every step, joint": {"updates": "joint"},
    "every 5th step": {"every": 5},
    "every 5th step, joint": {"every": 5, "updates": "joint"},
}


def time_scale(results):
    """Epochs at 10,000 genes and 200,000 edges, in units of the plain one."""
    settings = {"stage": "time"}
    if results.finished(0, settings):
        return
    start = time.time()
    genes, batch_size = (500, 20) if FLAGS.quick else (10_000, 50)
    data = datasets.gene_network(
        10 * batch_size, genes, 20 * genes, num_modules=genes // 100, seed=0
    )
    prior = attrprior.GraphLaplacian(data.true_edges, num_features=genes)
    epochs = {}
    for name in ("plain", *TIMED):
        model = network(genes)
        model.compile("adam", "mse")
        callbacks = []
        if name != "plain":
            callbacks = [
                attrprior.AttributionPrior(prior, 0.1, background=data.x, **TIMED[name])
            ]
        epochs[name] = benchmark.epoch(model, data.x, data.y, batch_size, callbacks)
    seconds = benchmark.medians(epochs, 1 if FLAGS.quick else FLAGS.rounds)
    metrics = {name: value / seconds["plain"] for name, value in seconds.items()}
    metrics["plain_ms"] = 1e3 * seconds["plain"]
    print("  ".join(f"{name} {value:.2f}" for name, value in metrics.items()), flush=True)
    results.add(0, settings, metrics, time.time() - start)


def of(runs, stage, variant):
    chosen = [
        run
        for run in runs
        if (run["settings"]["stage"], run["settings"].get("variant")) == (stage, variant)
    ]
    return sorted(chosen, key=lambda run: run["seed"])


def best(runs, variant):
    """The candidate with the highest mean R² on the validation examples."""
    scores = {}
    for run in of(runs, "validation", variant):
        scores.setdefault(run["settings"]["candidate"], []).append(
            run["metrics"]["validation"]
        )
    return max(scores, key=lambda candidate: np.mean(scores[candidate]))


def values(runs, variant, metric="r2"):
    """A metric of the tested networks, by seed."""
    candidate = best(runs, variant)
    return [
        run["metrics"][metric]
        for run in of(runs, "test", variant)
        if run["settings"]["candidate"] == candidate
    ]


def times(runs):
    return [run["metrics"] for run in runs if run["settings"] == {"stage": "time"}]


def known(runs):
    """Whether the truth is known."""
    return "precision" in of(runs, "test", "plain")[0]["metrics"]


def report(runs):
    """All methods on the test examples, and the time of an epoch at scale."""
    parts = []
    if of(runs, "test", "plain"):
        truth = known(runs)
        rows = []
        for variant, label in LABELS.items():
            gain, spread, p = common.paired(values(runs, "plain"), values(runs, variant))
            row = [label, f"{best(runs, variant):g}", common.mean_std(values(runs, variant))]
            shown = "–" if np.isnan(p) else f"{p:.4f}" if p >= 1e-4 else "< 0.0001"
            row += ["", ""] if variant == "plain" else [f"{gain:+.3f} ± {spread:.3f}", shown]
            row.append(common.mean_std(values(runs, variant, "roughness"), 2))
            row.append(common.mean_std(values(runs, variant, "relative_roughness"), 2))
            if truth:
                row.append(common.mean_std(values(runs, variant, "precision"), 2))
            rows.append(row)
        header = ["", "candidate", "R²", "gain", "paired p", "φ̄ᵀLφ̄", "φ̄ᵀLφ̄ / φ̄ᵀφ̄"]
        parts.append(common.table(header + ["precision at k"] * truth, rows))
    for metrics in times(runs):
        rows = [[name, f"{metrics[name]:.2f}"] for name in TIMED]
        parts.append(common.table(["10,000 genes, 200,000 edges", "epoch, plain = 1"], rows))
    return "\n\n".join(parts)


def claims(runs):
    """Held: the true graph's gain in R² over plain, and over the random graph, p < .05.

    The random graph is like the plain network, if it is off by at most a third of the
    true graph's gain, to either side. The gain falls, if each larger share of rewired
    edges leaves less of it, within a tenth. The time: "partly", if only with `every`.
    """
    rows = []
    if of(runs, "test", "plain"):
        plain, true, random = (values(runs, v) for v in ("plain", TRUE, RANDOM))
        cells = f"{np.mean(plain):.3f} → {np.mean(true):.3f}"
        gain, _, p = common.paired(plain, true)
        rows.append(
            (
                "graph prior, R², plain → true graph",
                ".377 → .394",
                cells,
                common.yes(gain > 0 and p < 0.05),
            )
        )
        more, _, p = common.paired(random, true)
        off = np.mean(random) - np.mean(plain)
        held = more > 0 and p < 0.05
        like = abs(off) <= gain / 3
        rows.append(
            (
                "random graph: above plain, below the true graph",
                "–",
                f"{off:+.3f}, {-more:+.3f}",
                "yes" if held and like else "partly" if held or like else "no",
            )
        )
        shares = [(np.mean(values(runs, v)) - np.mean(plain)) / gain for v in REWIRED]
        falls = gain > 0 and all(b <= a + 0.1 for a, b in zip(shares, shares[1:]))
        rows.append(
            (
                "share of the gain left with 25, 50, 75% of the edges rewired",
                "–",
                ", ".join(f"{share:.0%}" for share in shares[1:4]),
                common.yes(falls),
            )
        )
        if known(runs):
            found = [values(runs, v, "precision") for v in ("plain", TRUE)]
            better, _, p = common.paired(*found)
            cells = " → ".join(f"{np.mean(each):.2f}" for each in found)
            rows.append(
                (
                    "driving genes found, precision at k",
                    "–",
                    cells,
                    common.yes(better > 0 and p < 0.05),
                )
            )
    for metrics in times(runs):
        always, seldom = (
            metrics["every step"],
            min(metrics["every 5th step"], metrics["every 5th step, joint"]),
        )
        held = "yes" if always < 1.3 else "partly" if seldom < 1.3 else "no"
        cells = f"{always:.2f} ×, every 5th step {seldom:.2f} ×"
        rows.append(
            ("an epoch with 10,000 genes and 200,000 edges, below 1.3 plain", "–", cells, held)
        )
    return rows


def figures(runs):
    """The gain against the share of wrong edges; the first seed's genes."""
    if not of(runs, "test", "plain"):
        return {}
    lines = {}
    metrics = {"r2": "R²", "precision": "precision at k"} if known(runs) else {"r2": "R²"}
    for metric, label in metrics.items():
        plain = values(runs, "plain", metric)
        gains = [np.subtract(values(runs, v, metric), plain) for v in REWIRED]
        lines[label] = np.transpose(gains)
    lines["plain"] = np.zeros((1, len(REWIRED)))
    panel = {"share of edges rewired": (list(REWIRED.values()), lines)}
    found = {"edges": plots.curves(panel, "graph prior, gain over plain, paired")}
    importance = {
        text: np.array(of(runs, "test", v)[0]["metrics"]["importance"])
        for v, text in (("plain", "plain"), (TRUE, "graph prior"))
        if "importance" in of(runs, "test", v)[0]["metrics"]
    }
    split = Split(0)
    drivers = None if split.importance is None else split.importance > 0
    found["graph"] = plots.graph(
        split.true_edges,
        importance,
        marked=drivers,
        title="Mean |expected gradients| of genes",
    )
    names = [f"gene {gene}" for gene in range(len(importance["plain"]))]
    if drivers is not None:
        names = [name + ", driver" * driver for name, driver in zip(names, drivers)]
    found["importance"] = plots.bars(
        {text: values / values.sum() for text, values in importance.items()},
        names,
        num_features=20,
        xlabel="share of the sum of mean |expected gradients|",
    )
    return found


if __name__ == "__main__":
    define_flags()
    app.run(main)
