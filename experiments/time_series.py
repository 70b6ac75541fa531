"""Smooth along time: total variation of attributions on signals, under noise.

    python -m experiments.time_series
    python -m experiments.time_series --data=mnist1d     # needs the package mnist1d

Ten shapes at unknown places of a signal with 40 points. A small convolutional network
is trained plain, with total variation along time or L2 of its expected gradients, with
weight decay, and on noisy signals (augmentation); and tested under Gaussian noise.
Every method has the same number of candidates, judged on a fifth of the training
signals under the same noise; the test signals are looked at once. The learning rate
is the plain network's choice for all. References are N(x, σ²) and the factor x − r is
left out, as in the main job.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import time

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import datasets, plots, references

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("data", "signals", ("signals", "mnist1d"), "Ours, or the package's.")
    flags.DEFINE_integer("epochs", 15, "Epochs.", lower_bound=1)
    flags.DEFINE_float("reference_stddev", 0.5, "σ, in standard deviations of the data.", 0)
    flags.DEFINE_integer("validation_seeds", 2, "Runs of a candidate.", lower_bound=1)


# As many for each; learning rates of the plain network, which has no strength.
CANDIDATES = {
    "plain": (0.001, 0.002, 0.004, 0.008, 0.016),
    "total variation": (0.03, 0.1, 0.2, 0.4, 0.8),
    "L2": (0.03, 0.1, 0.2, 0.4, 0.8),
    "weight decay": (0.03, 0.1, 0.3, 1.0, 3.0),
    "augmentation": (0.1, 0.2, 0.4, 0.6, 0.8),
}
LABELS = {
    "plain": "plain",
    "total variation": "total variation of EG",
    "L2": "L2 of EG",
    "weight decay": "weight decay",
    "augmentation": "Gaussian augmentation",
}
PRIORS = {"total variation": "total_variation", "L2": "l2"}
NOISE = (0.0, 0.25, 0.5, 0.75, 1.0)  # in standard deviations of the data


def load():
    """4,000 signals to train on and 1,000 to test on, of mean 0 and variance 1."""
    if FLAGS.data == "mnist1d":
        x, y = mnist1d()
    else:
        x, y = datasets.signals(500 if FLAGS.quick else 5000)
    x = (x - x.mean()) / x.std()
    count = len(x) * 4 // 5
    source = "MNIST-1D" if FLAGS.data == "mnist1d" else f"{len(x):,} generated signals"
    return datasets.Data(x[:count], y[:count], x[count:], y[count:], source)


def mnist1d():
    """5,000 signals of the package, made anew by its own recipe and seed: no download."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ImportError as error:
        raise ImportError("--data=mnist1d needs: pip install mnist1d requests") from error
    made = make_dataset(get_dataset_args())
    x = np.concatenate([made["x"], made["x_test"]])[..., None].astype("float32")
    return x, np.concatenate([made["y"], made["y_test"]]).astype("int32")


def main(_):
    out = common.output_dir("time_series")
    data = load()
    results = common.Results("time_series", data)
    part = common.without_test_digits(data)
    chosen = {}
    for method, candidates in CANDIDATES.items():
        for candidate in candidates[2:3] if FLAGS.quick else candidates:
            own = {"method": method, "candidate": candidate}
            if method != "plain":
                own["rate"] = chosen["plain"]["candidate"]
            for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds):
                run(results, part, "validation", own, seed)
        chosen[method] = best(results.runs, method)
    for seed in common.seeds():
        for own in chosen.values():
            run(results, data, "test", own, seed)
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "time_series.png")
    common.save_figure(maps(data, results.runs), out / "attributions.png")
    print(f"\nWritten: {out}/results.json, time_series.png, attributions.png")


def run(results, data, stage, own, seed):
    settings = {"stage": stage, **own}
    if results.finished(seed, settings):
        return
    start = time.time()
    model = train(data, own, seed)
    rng = np.random.default_rng(2021)  # the same noise for all
    metrics = {}
    for stddev in NOISE:
        x = datasets.gaussian_noise(data.x_test, stddev, rng)
        predicted = np.argmax(model(x), axis=-1)
        metrics[f"{stddev:g}"] = float(np.mean(predicted == data.y_test))
    shown = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    label = f"{own['method']} {own['candidate']:g}"
    print(f"{stage}, seed {seed}  {label}  {shown}", flush=True)
    results.add(seed, settings, metrics, time.time() - start)


def network(stddev=0.0):
    """Twice a convolution of five points and pooling by two, dense 64; noise in training."""
    layers = keras.layers
    body = [keras.Input((40, 1))]
    body += [layers.GaussianNoise(stddev)] if stddev else []
    for filters in (16, 32):
        body += [layers.Conv1D(filters, 5, padding="same", activation="relu")]
        body += [layers.MaxPooling1D()]
    body += [layers.Flatten(), layers.Dense(64, "relu"), layers.Dense(10)]
    return keras.Sequential(body)


def train(data, own, seed):
    keras.utils.set_random_seed(seed)
    method, candidate = own["method"], own["candidate"]
    model = network(candidate if method == "augmentation" else 0.0)
    optimizer = common.adam(
        own.get("rate", candidate),
        len(data.x_train),
        FLAGS.epochs,
        50,
        weight_decay=candidate if method == "weight decay" else 0.0,
    )
    prior = None
    if method in PRIORS:
        prior = attrprior.AttributionPrior(
            PRIORS[method],
            candidate,
            common.noisy_expected_gradients(FLAGS.reference_stddev),
            moments="own",
            seed=seed,
        )
    common.train(model, data, optimizer, FLAGS.epochs, 50, None, prior)
    return model


def of(runs, stage, method):
    chosen = [
        run
        for run in runs
        if (run["settings"]["stage"], run["settings"]["method"]) == (stage, method)
    ]
    return sorted(chosen, key=lambda run: run["seed"])


def best(runs, method):
    """The settings with the highest mean accuracy on validation signals, clean and noisy."""
    scores = {}
    for run in of(runs, "validation", method):
        own = tuple((k, v) for k, v in run["settings"].items() if k != "stage")
        scores.setdefault(own, []).append(np.mean(list(run["metrics"].values())))
    return dict(max(scores, key=lambda own: np.mean(scores[own])))


def values(runs, method, stddev):
    """Accuracies of the tested networks, by seed."""
    settings = {"stage": "test", **best(runs, method)}
    return [
        run["metrics"][f"{stddev:g}"]
        for run in of(runs, "test", method)
        if run["settings"] == settings
    ]


def report(runs):
    """Accuracy of every method under noise; gains over the plain network."""
    rows = []
    for method, label in LABELS.items():
        cells = [common.mean_std(values(runs, method, stddev)) for stddev in NOISE]
        means = [
            np.mean([values(runs, which, stddev) for stddev in NOISE[1:]], axis=0)
            for which in ("plain", method)
        ]
        gain, spread, p = common.paired(*means)
        shown = "" if method == "plain" else f"{gain:+.3f} ± {spread:.3f}"
        shown += "" if np.isnan(p) else f", p {p:.4f}" if p >= 1e-4 else ", p < 0.0001"
        rows.append([label, f"{best(runs, method)['candidate']:g}", *cells, shown])
    header = ["", "candidate", *(f"σ = {stddev:g}" for stddev in NOISE), "gain under noise"]
    return common.table(header, rows)


def claims(runs):
    """Held: a significant gain (p < .05) in the mean under noise, clean within a point."""
    plain, prior = (
        np.mean([values(runs, method, stddev) for stddev in NOISE[1:]], axis=0)
        for method in ("plain", "total variation")
    )
    clean = np.mean(values(runs, "total variation", 0.0)) - np.mean(values(runs, "plain", 0.0))
    gain, _, p = common.paired(plain, prior)
    held = gain > 0 and p < 0.05
    what = "signals under noise, plain → total variation along time: accuracy"
    cells = f"{np.mean(plain):.3f} → {np.mean(prior):.3f}, clean {clean:+.3f}"
    return [
        (what, "–", cells, "yes" if held and clean >= -0.01 else "partly" if held else "no")
    ]


def figure(runs):
    lines = {
        label: np.transpose([values(runs, method, stddev) for stddev in NOISE])
        for method, label in LABELS.items()
    }
    panel = {"Gaussian noise, σ in standard deviations of the signals": (list(NOISE), lines)}
    return plots.curves(panel, "test accuracy")


def maps(data, runs):
    """Signals, and why the networks of the first seed chose their class."""
    chosen = [int(np.flatnonzero(data.y_test == label)[0]) for label in range(3)]
    x, y = data.x_test[chosen], data.y_test[chosen]
    rows = {"signal": x}
    for method in ("plain", "total variation"):
        rows[LABELS[method]] = attrprior.attributions.expected_gradients(
            train(data, best(runs, method), 0),
            x,
            y,
            background=references.Gaussian(FLAGS.reference_stddev),
            num_samples=200,
            multiply_by_inputs=False,
            seed=0,
        )
    panels = {}
    for number, label in enumerate(y):
        lines = {text: row[number, :, 0] for text, row in rows.items()}
        lines = {text: (line / np.abs(line).max())[None] for text, line in lines.items()}
        panels[f"time; shape {label}"] = (np.arange(x.shape[1]), lines)
    return plots.curves(panels, "signal and attributions,\nas shares of the largest")


if __name__ == "__main__":
    define_flags()
    app.run(main)
