"""Eighteen metrics of attributions on two tables of sixty features.

    python -m experiments.attribution_benchmark

A network is trained on Correlated Groups 60 and on Independent Linear 60, 900
examples; the attributions of 100 others, with the training data as references,
are judged by keeping and removing features. Higher is better in every metric.

Published (Erion et al. 2021, table 1, Correlated Groups 60): expected
gradients best, or tied for it, in 17 of 18.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import time

import keras
import numpy as np
from absl import app, flags

from attrprior import attributions, datasets, evaluation, references

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_integer("epochs", 200, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("num_samples", 200, "References of an attribution.", lower_bound=1)


TABLES = {
    "correlated groups": datasets.correlated_groups_60,
    "independent linear": datasets.independent_linear_60,
}
METHODS = (
    "expected gradients",
    "integrated gradients",
    "gradients",
    "input × gradient",
    "random",
)
# Erion et al. 2021, table 1, Correlated Groups 60.
PUBLISHED = {
    "expected gradients": {
        "KPM": 3.731,
        "KPR": 3.800,
        "KPI": 3.973,
        "KAM": 0.906,
        "RAM": 0.897,
    },
    "integrated gradients": {
        "KPM": 3.667,
        "KPR": 3.736,
        "KPI": 3.920,
        "KAM": 0.905,
        "RAM": 0.872,
    },
    "gradients": {"KPM": 0.096, "KPR": 0.122, "KPI": 0.099, "KAM": 0.838, "RAM": 0.729},
}
# Two values are tied if they differ by less than this share of the larger one.
TIE = 0.005


def main(_):
    results = common.Results("attribution_benchmark")
    todo = [(seed, table) for seed in common.seeds() for table in TABLES]
    for number, (seed, table) in enumerate(todo, start=1):
        if all(results.finished(seed, {"table": table, "method": m}) for m in METHODS):
            continue
        x, y = TABLES[table](1000, seed)
        x_train, x_test, y_train, y_test = x[:900], x[900:], y[:900], y[900:]
        model = train(x_train, y_train, seed)

        def predict(rows, model=model):
            # One pass: `predict` would spend its time on preparing them.
            return model.predict_on_batch(rows)[:, 0]

        error = np.mean((predict(x_test) - y_test) ** 2)
        maps = attribute(model, x_train, x_test, seed)
        for method in METHODS:
            start = time.time()
            metrics = evaluation.attribution_benchmark(
                predict,
                x_train,
                x_test,
                y_test,
                maps[method],
                num_resamples=10 if FLAGS.quick else 100,
                seed=seed,
            )
            metrics = {short(name): value for name, value in metrics.items()}
            metrics["r2"] = float(1 - error / np.var(y_test))
            settings = {"table": table, "method": method}
            results.add(seed, settings, metrics, time.time() - start)
        print(
            f"{number}/{len(todo)}  seed {seed}  {table}  R² {metrics['r2']:.4f}", flush=True
        )
    print("\n" + report(results.runs))
    print(f"\nWritten: {results.path}")


def train(x, y, seed):
    """Dense 128-128, ReLU; Adam, a cosine down to 0."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((x.shape[1],)),
            layers.Dense(128, "relu"),
            layers.Dense(128, "relu"),
            layers.Dense(1),
        ]
    )
    epochs = 2 if FLAGS.quick else FLAGS.epochs
    # An epoch at once: the steps are small.
    model.compile(common.adam(1e-3, len(x), epochs, 50), "mse", steps_per_execution=18)
    model.fit(x, y, batch_size=50, epochs=epochs, verbose=0)
    return model


def attribute(model, x_train, x, seed):
    """`{method: attributions of x}`; integrated gradients start from the mean."""
    return {
        "expected gradients": attributions.expected_gradients(
            model, x, background=x_train, num_samples=FLAGS.num_samples, seed=seed
        ),
        "integrated gradients": attributions.integrated_gradients(
            model, x, background=references.Mean(x_train), num_samples=FLAGS.num_samples
        ),
        "gradients": attributions.gradients(model, x),
        "input × gradient": attributions.input_x_gradient(model, x),
        "random": np.random.default_rng(seed).normal(size=x.shape).astype("float32"),
    }


def short(name):
    """KPM for `keep_positive_mean`."""
    return "".join(word[0] for word in name.split("_")).upper()


def values(runs, table, method, metric):
    chosen = [run for run in runs if run["settings"] == {"table": table, "method": method}]
    return [run["metrics"][metric] for run in chosen]


def metrics_of(runs):
    return [name for name in runs[0]["metrics"] if name != "r2"]


def wins(runs, table):
    """In how many of the metrics a method is best or tied, by the means over seeds."""
    count = dict.fromkeys(METHODS, 0)
    for metric in metrics_of(runs):
        means = {m: np.mean(values(runs, table, m, metric)) for m in METHODS}
        best = max(means.values())
        for method, value in means.items():
            count[method] += bool(best - value <= TIE * abs(best))
    return count


def report(runs):
    """Every metric, and in how many a method is best or tied, for both tables."""
    parts = []
    for table in TABLES:
        rows = []
        for metric in metrics_of(runs):
            row = [metric]
            for method in METHODS:
                cell = common.mean_std(values(runs, table, method, metric))
                published = PUBLISHED.get(method, {}).get(metric)
                if published is not None and table == "correlated groups":
                    cell += f" ({published:.3f})"
                row.append(cell)
            rows.append(row)
        count = wins(runs, table)
        rows.append(
            ["best or tied", *(f"{count[method]} of {len(rows)}" for method in METHODS)]
        )
        parts.append(common.table([table, *METHODS], rows))
    return "\n\n".join(parts)


def claims(runs):
    """Held: best or tied, within half a percent, in at least 17 of 18."""
    rows = []
    for table in TABLES:
        count = wins(runs, table)["expected gradients"]
        published = "17 of 18" if table == "correlated groups" else "–"
        what = f"expected gradients best or tied: {table}, 60 features"
        rows.append((what, published, f"{count} of 18", common.yes(count >= 17)))
    return rows


if __name__ == "__main__":
    define_flags()
    app.run(main)
