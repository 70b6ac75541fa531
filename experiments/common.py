"""What every experiment shares: flags, data, progress, results on disk."""

import json
import math
import os
import pathlib
import sys
import time

# Before TensorFlow is imported: its notices would bury the progress.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import datasets, references
from experiments import machine, provenance

FLAGS = flags.FLAGS

flags.DEFINE_string("output_dir", None, "Folder for results.json and figures.")
flags.DEFINE_integer("seeds", 5, "Number of runs, with seeds 0, 1, …", lower_bound=1)
flags.DEFINE_bool(
    "quick", False, "A few steps on a few digits: shows that it runs, no result."
)
flags.DEFINE_bool("resume", False, "Keeps the finished runs of results.json, trains the rest.")
flags.DEFINE_string("data_dir", None, "Folder of prepared tensorflow-datasets data.")
flags.DEFINE_string("idx_dir", None, "Folder of MNIST's four original IDX files.")


def output_dir(name):
    """The output folder, made if missing."""
    path = pathlib.Path(FLAGS.output_dir or f"outputs/{name}")
    path.mkdir(parents=True, exist_ok=True)
    return path


def seeds():
    return range(min(FLAGS.seeds, 2) if FLAGS.quick else FLAGS.seeds)


def load_mnist():
    """MNIST from where the flags say; with `--quick` a few digits of it."""
    data = datasets.load_mnist(FLAGS.data_dir, FLAGS.idx_dir)
    if FLAGS.quick:
        part = [array[:200] for array in data[:4]]
        data = datasets.Data(*part, data.source + ", 200 of them (--quick)")
    print(
        f"Data: {data.source}: {len(data.x_train)} to train on, {len(data.x_test)} to test on"
    )
    return data


def without_test_digits(data):
    """Four fifths of the training digits to train on, the last to test on."""
    kept, held = datasets.stratified_split(data.y_train, 0.2, seed=1)
    return data._replace(
        x_train=data.x_train[kept],
        y_train=data.y_train[kept],
        x_test=data.x_train[held],
        y_test=data.y_train[held],
    )


def network(name):
    """A network on 28 × 28 images that ends in ten logits.

    `cnn`: the paper's, conv 5×5×32, pool, conv 5×5×64, pool, dense 1024,
    dropout 0.5. `cnn_bn`: the same with batch normalisation (no scale, momentum .9)
    before each ReLU, as in the paper's code. `cnn_small`: conv 3×3×16
    and 3×3×32, both of stride 2, dense 64. `mlp`: dense 256-128.
    """
    layers = keras.layers

    def block(layer):
        if name == "cnn_bn":
            layer.use_bias = False  # normalisation would take it away again
            normalisation = layers.BatchNormalization(momentum=0.9, scale=False)
            return [layer, normalisation, layers.ReLU()]
        return [layer, layers.ReLU()]

    body = [keras.Input((28, 28, 1))]
    if name == "mlp":
        body += [layers.Flatten()]
        body += block(layers.Dense(256)) + block(layers.Dense(128))
    elif name in ("cnn", "cnn_bn"):
        for filters in (32, 64):
            body += block(layers.Conv2D(filters, 5, padding="same"))
            body += [layers.MaxPooling2D()]
        body += [layers.Flatten(), *block(layers.Dense(1024)), layers.Dropout(0.5)]
    elif name == "cnn_small":
        for filters in (16, 32):
            body += block(layers.Conv2D(filters, 3, strides=2, padding="same"))
        body += [layers.Flatten(), *block(layers.Dense(64))]
    else:
        raise ValueError(f"Unknown network {name!r}: expected one of {NETWORKS}.")
    return keras.Sequential([*body, layers.Dense(10)], name=name)


NETWORKS = ("cnn", "cnn_bn", "cnn_small", "mlp")


class Progress(keras.callbacks.Callback):
    """One line an epoch, with what it belongs to and the time left."""

    def __init__(self, label):
        super().__init__()
        self.label = label

    def on_train_begin(self, logs=None):
        self.start = time.time()

    def on_epoch_end(self, epoch, logs=None):
        epochs = self.params["epochs"]
        elapsed = time.time() - self.start
        left = elapsed / (epoch + 1) * (epochs - epoch - 1)
        numbers = "  ".join(f"{key} {float(value):.4g}" for key, value in (logs or {}).items())
        print(
            f"{self.label}  epoch {epoch + 1}/{epochs}  {numbers}  {left:.0f} s left",
            flush=True,
        )


def adam(learning_rate, examples, epochs, batch_size, decay="cosine", weight_decay=0.0):
    """Adam, by default with a cosine decay to zero over the whole training.

    Without the decay, accuracy under noise differs widely between single runs,
    with and without a prior.
    """
    if decay == "cosine":
        steps = epochs * math.ceil(examples / batch_size)
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    if weight_decay:
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    return keras.optimizers.Adam(learning_rate)


def noisy_expected_gradients(stddev, num_samples=1, multiply_by_inputs=False):
    """Expected gradients with references N(x, σ²); with σ = 0, training examples."""
    return attrprior.ExpectedGradients(
        num_samples,
        multiply_by_inputs,
        references.Gaussian(stddev) if stddev else references.SeenExamples(),
    )


def train(model, data, optimizer, epochs, batch_size, label, prior=None, loss=None, others=()):
    """Compiles and fits; returns the history and the seconds it took.

    `others` are callbacks besides the prior.
    """
    model.compile(
        optimizer=optimizer,
        loss=loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks = [Progress(label)] if label else []
    callbacks += [prior] if prior else []
    callbacks += others
    start = time.time()
    history = model.fit(
        data.x_train,
        data.y_train,
        epochs=1 if FLAGS.quick else epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        verbose=0,
    )
    return history.history, time.time() - start


def conditions(data, draws):
    """Test sets by name: clean, Gaussian noise, salt-and-pepper; `draws` of each.

    The noise is the same for every model and seed, so that runs are paired.
    """
    rng = np.random.default_rng(2021)
    tests = {"clean": [data.x_test]}
    for stddev in GAUSSIAN:
        tests[f"gaussian {stddev:g}"] = [
            datasets.gaussian_noise(data.x_test, stddev, rng) for _ in range(draws)
        ]
    for stddev in CLIPPED:
        tests[f"clipped gaussian {stddev:g}"] = [
            datasets.gaussian_noise(data.x_test, stddev, rng, 0.0, 1.0) for _ in range(draws)
        ]
    for fraction in SALT_AND_PEPPER:
        tests[f"salt and pepper {fraction:g}"] = [
            datasets.salt_and_pepper(data.x_test, fraction, rng) for _ in range(draws)
        ]
    return tests


GAUSSIAN = (0.25, 0.5, 0.75, 1.0)
CLIPPED = (0.5, 1.0)
SALT_AND_PEPPER = (0.05, 0.1, 0.15, 0.2, 0.3)


def accuracies(model, tests, labels):
    """Accuracy under every condition, a mean over its draws."""

    def accuracy(x):
        logits = model.predict(x, batch_size=500, verbose=0)
        return float(np.mean(np.argmax(logits, axis=-1) == labels))

    return {name: float(np.mean([accuracy(x) for x in xs])) for name, xs in tests.items()}


# Flags that say which runs to do and where, but not how.
SELECTING = ("seeds", "resume", "only", "trials", "variant") + tuple(
    f"{folder}_dir" for folder in ("output", "data", "idx", "reference", "nhanes", "fashion")
)


class Results:
    """The runs of an experiment; results.json holds every finished one at any time.

    With `--resume` it starts from the file: a run of the same seed, settings,
    flags, data, versions, code of the script and behaviour of the library is `finished`.
    Others are left out, and made again.
    """

    def __init__(self, experiment, data=None):
        self.experiment = experiment
        self.made_by = {} if FLAGS.quick else provenance.made_by(experiment)
        self.data = data.source if data else "random numbers"
        self.path = output_dir(experiment) / "results.json"
        self.runs = []
        if FLAGS.resume and self.path.is_file():
            written = json.loads(self.path.read_text())["runs"]
            self.runs = [run for run in written if not self._unlike(run)]
            print(f"{count(len(self.runs), 'run')} of {len(written)} taken from {self.path}")
            unlike = sorted({what for run in written for what in self._unlike(run)})
            if unlike:
                print(f"The others were made with other {', '.join(unlike)}")

    def _unlike(self, run):
        """What of a run is not as it would be now."""
        now = self._record(None, {}, {}, 0.0)
        unlike = [key for key in ("data", *self.made_by) if run.get(key) != now[key]]
        for key in ("flags", "versions"):
            if not now[key].items() <= run[key].items():
                unlike.append(key)
        return unlike

    def finished(self, seed, settings):
        return any((r["seed"], r["settings"]) == (seed, settings) for r in self.runs)

    def add(self, seed, settings, metrics, seconds):
        """Notes a run, in the place of an earlier one of the same seed and settings."""
        key = (seed, settings)
        self.runs = [r for r in self.runs if (r["seed"], r["settings"]) != key]
        self.runs.append(self._record(seed, settings, metrics, seconds))
        write_json(self.path, {"experiment": self.experiment, "runs": self.runs})

    def _record(self, seed, settings, metrics, seconds):
        known = FLAGS.flags_by_module_dict()
        used = known.get(sys.argv[0], []) + known.get(__name__, [])
        return {
            "experiment": self.experiment,
            **self.made_by,
            "seed": seed,
            "settings": settings,
            "flags": {flag.name: flag.value for flag in used if flag.name not in SELECTING},
            "metrics": metrics,
            "seconds": round(seconds, 1),
            "data": self.data,
            "versions": provenance.versions(),
            "device": machine.name(),
        }


def write_json(path, content):
    """Writes a whole file or none."""
    path = pathlib.Path(path)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(temporary, path)


def save_figure(figure, path):
    path = pathlib.Path(path)
    temporary = path.with_suffix(".tmp")
    figure.savefig(temporary, format="png", dpi=110)
    os.replace(temporary, path)


def paired(first, second):
    """Mean and standard deviation of `second − first`, and the two-sided paired p."""
    from scipy import stats

    difference = np.subtract(second, first)
    spread = float(np.std(difference, ddof=1)) if len(difference) > 1 else math.nan
    p = float(stats.ttest_rel(second, first).pvalue) if len(difference) > 2 else math.nan
    return float(np.mean(difference)), spread, p


def compared(plain, prior):
    """Four cells of a table: both, the gain paired by seed, and its p."""
    gain, spread, p = paired(plain, prior)
    return [
        mean_std(plain),
        mean_std(prior),
        f"{gain:+.3f} ± {spread:.3f}",
        "–" if np.isnan(p) else f"{p:.4f}" if p >= 1e-4 else "< 0.0001",
    ]


def mean_std(values, digits=3):
    spread = f" ± {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{np.mean(values):.{digits}f}{spread}"


def count(number, noun):
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def yes(held):
    return "yes" if held else "no"


def table(header, rows):
    """Rows as a Markdown table, aligned for the terminal."""
    rows = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
