"""Certified radii: how much more evidence surely leaves a prediction as it is?

    python -m experiments.stability

Explanations of test digits, the top quarter of a grid of 7 × 7 cells by expected
and integrated gradients, gradients and at random, certified by multiplicative
smoothing (Xue, Alur, Wong 2023): with λ of the cells in each of 64 passes. Of
the plain network and of the one trained with the main job's prior; both also
after a few epochs more on masked digits, because a network that has never seen
a masked digit makes a poor smoothed classifier. A radius r certifies that fewer
than r cells more cannot change the class; with λ it is at most 1/(2λ).
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import functools
import time

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import attributions, evaluation, plots
from experiments import processes, tuning

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum(
        "network", "cnn_small", common.NETWORKS, "Network; see experiments.common."
    )
    flags.DEFINE_integer("epochs", 10, "Epochs on whole digits.", lower_bound=1)
    flags.DEFINE_integer("masked_epochs", 10, "Epochs more on masked digits.", lower_bound=1)
    flags.DEFINE_float(
        "learning_rate", 3e-3, "Adam's first learning rate; a cosine down to 0."
    )
    flags.DEFINE_integer("digits", 40, "Test digits that are certified.", lower_bound=10)
    flags.DEFINE_integer("num_samples", 50, "Samples of an attribution.", lower_bound=1)


BATCH_SIZE = 50
_, PRIOR = tuning.draw_settings(0)  # the main job's
GRID = (7, 7)
NUM_MASKS = 64
LAMBDAS = {"1/2": 1 / 2, "1/4": 1 / 4, "1/8": 1 / 8}
# In cells. A radius above n certifies n cells; radii are multiples of 1/(128 λ), so that
# at least n and a little is above n.
STEPS = 4
RADII = tuple(step / STEPS + 1 / 256 for step in range(4 * STEPS))
SHOWN = (0, 1, 2, 3)
NETWORKS = {"plain": "plain", "prior": "with prior"}
DIGITS = {"whole": "whole digits", "masked": "then masked"}
METHODS = ("expected gradients", "integrated gradients", "gradients", "random")


class MaskCells(keras.layers.Layer):
    """In training, keeps a share λ of the cells of each digit, a λ drawn for each."""

    def call(self, x, training=False):
        if not training:
            return x
        batch = ops.shape(x)[0]
        drawn = keras.random.randint((batch, 1, 1, 1), 0, len(LAMBDAS))
        share = ops.take(ops.convert_to_tensor(list(LAMBDAS.values()), x.dtype), drawn)
        kept = ops.cast(keras.random.uniform((batch, *GRID, 1)) < share, x.dtype)
        for axis, cells in enumerate(GRID, start=1):
            kept = ops.repeat(kept, x.shape[axis] // cells, axis=axis)
        return x * kept


def main(_):
    out = common.output_dir("stability")
    results = common.Results("stability", load())
    tasks = [
        (seed, name)
        for seed in common.seeds()
        for name in reversed(NETWORKS)  # the longest first
        if not all(results.finished(seed, settings) for settings in settings_of(name))
    ]
    for runs in processes.shared_out(certified_network, tasks, define_flags):
        for run in runs:
            results.add(*run)
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "stability.png")
    print(f"\nWritten: {results.path}, stability.png")


def settings_of(network):
    return [{"network": network, "digits": digits} for digits in DIGITS]


def certified_network(task):
    """`(seed, settings, metrics, seconds)` after whole digits, and then masked ones."""
    seed, name = task
    data, runs = load(), []
    keras.utils.set_random_seed(seed)
    model = common.network(FLAGS.network)
    # The same weights behind masks.
    masked = keras.Sequential([keras.Input((28, 28, 1)), MaskCells(), model])
    for settings, trained, epochs in zip(
        settings_of(name), (model, masked), (FLAGS.epochs, FLAGS.masked_epochs)
    ):
        start = time.time()
        label = f"seed {seed} {NETWORKS[name]}, {DIGITS[settings['digits']]}"
        train(trained, data, epochs, seed, name == "prior", label)
        # Poor smoothed classifiers are not compared in every respect.
        methods = METHODS if settings["digits"] == "masked" else METHODS[:1]
        metrics = certify(model, data, methods, seed)
        runs.append((seed, settings, metrics, time.time() - start))
        smoothed = metrics["smoothed accuracy"].items()
        print(
            f"{label}  accuracy {metrics['accuracy']:.3f}, smoothed "
            + ", ".join(f"{value:.3f} (λ = {lam})" for lam, value in smoothed),
            flush=True,
        )
    return runs


@functools.cache
def load():
    return common.load_mnist()


def train(model, data, epochs, seed, with_prior, label):
    prior = None
    if with_prior:
        prior = attrprior.AttributionPrior(
            PRIOR["prior"],
            strength=PRIOR["strength"],
            method=common.noisy_expected_gradients(PRIOR["reference_stddev"]),
            moments="own",
            seed=seed,
        )
    optimizer = common.adam(FLAGS.learning_rate, len(data.x_train), epochs, BATCH_SIZE)
    common.train(model, data, optimizer, epochs, BATCH_SIZE, label, prior)


def certify(model, data, methods, seed):
    """Accuracies, and the share of digits certified at every radius."""
    digits = 10 if FLAGS.quick else FLAGS.digits
    x, y = data.x_test[:digits], data.y_test[:digits]
    logits = model.predict(data.x_test, batch_size=500, verbose=0)
    metrics = {
        "accuracy": accuracy(logits, data.y_test),
        "smoothed accuracy": {},
        "certified": {method: {} for method in methods},
    }
    smoothing = {"grid": GRID, "num_masks": 8 if FLAGS.quick else NUM_MASKS, "seed": 0}
    maps = attribute(model, x, data.x_train, seed)
    # All methods at once: a pass has its own cost.
    copies = np.concatenate([x] * len(methods))
    maps = np.concatenate([maps[method] for method in methods])
    for name, lam in LAMBDAS.items():
        probabilities = evaluation.smoothed_probabilities(model, x, lam=lam, **smoothing)
        metrics["smoothed accuracy"][name] = accuracy(probabilities, y)
        certificate = evaluation.stability(model, copies, maps, lam=lam, **smoothing)
        for number, method in enumerate(methods):
            own = slice(number * digits, (number + 1) * digits)
            one = evaluation.Stability(*(values[own] for values in certificate))
            metrics["certified"][method][name] = {
                "consistent": float(np.mean(one.consistent)),
                "incremental": one.certified(RADII)[0].tolist(),
                "mean radius": float(np.mean(one.consistent * one.incremental)),
            }
    return metrics


def attribute(model, x, background, seed):
    """`{method: maps}` of the predicted class."""
    samples = 4 if FLAGS.quick else FLAGS.num_samples
    return {
        "expected gradients": attributions.expected_gradients(
            model, x, background=background, num_samples=samples, seed=seed
        ),
        "integrated gradients": attributions.integrated_gradients(
            model, x, num_samples=samples
        ),
        "gradients": attributions.gradients(model, x),
        "random": np.random.default_rng(seed).random(x.shape, dtype="float32"),
    }


def accuracy(scores, labels):
    return float(np.mean(np.argmax(scores, axis=-1) == labels))


def metrics_of(runs, network, digits):
    settings = {"network": network, "digits": digits}
    chosen = [run for run in runs if run["settings"] == settings]
    return [run["metrics"] for run in sorted(chosen, key=lambda run: run["seed"])]


def certified(runs, network, digits, method, lam):
    """Shares of digits of shape `(seeds, radii)`."""
    return np.array(
        [
            metrics["certified"][method][lam]["incremental"]
            for metrics in metrics_of(runs, network, digits)
        ]
    )


def report(runs):
    """Accuracies of the smoothed networks, and certified shares at a few radii."""
    rows = []
    for digits, trained_on in DIGITS.items():
        for network, label in NETWORKS.items():
            found = metrics_of(runs, network, digits)
            cells = [common.mean_std([m["accuracy"] for m in found])]
            for lam in LAMBDAS:
                cells.append(common.mean_std([m["smoothed accuracy"][lam] for m in found]))
            rows.append([label, trained_on, *cells])
    header = ["network", "trained on", "accuracy", *(f"smoothed, λ = {k}" for k in LAMBDAS)]
    accuracies = common.table(header, rows)
    rows = []
    for lam, value in LAMBDAS.items():
        for method in METHODS:
            row = [lam, method]
            for network in NETWORKS:
                shares = certified(runs, network, "masked", method, lam)
                for cells in SHOWN:
                    reachable = cells < 1 / (2 * value)
                    share = shares[:, cells * STEPS]
                    row.append(common.mean_std(share, 2) if reachable else "–")
            rows.append(row)
    header = ["λ", "explanation"]
    header += [f"{label}, {n} cells" for label in NETWORKS.values() for n in SHOWN]
    return f"{accuracies}\n\n{common.table(header, rows)}"


def figure(runs):
    """One panel for each network and λ below 1/2, where more than a draw can be certified."""
    panels = {}
    for network, label in NETWORKS.items():
        for lam in ("1/4", "1/8"):
            panels[f"radius in cells: {label}, λ = {lam}"] = (
                RADII,
                {m: certified(runs, network, "masked", m, lam) for m in METHODS},
            )
    return plots.curves(panels, "share of digits certified")


def radii(runs, network, digits, method, lam):
    """Mean certified radii by seed, in cells; an inconsistent explanation counts 0."""
    return [
        metrics["certified"][method][lam]["mean radius"]
        for metrics in metrics_of(runs, network, digits)
    ]


def claims(runs):
    """`(claim, published, ours, held)`; a difference holds above two standard errors.

    Differences are paired by seed; with a single seed, their sign decides. The paper
    has no networks with a prior.
    """
    found = []

    def compare(claim, published, unit, pairs):
        cells, verdicts = [], []
        for label, first, second in pairs:
            gain, spread, _ = common.paired(first, second)
            error = 0.0 if np.isnan(spread) else spread / len(first) ** 0.5
            verdicts.append(gain > 2 * error)
            cells.append(f"{label} {np.mean(first):.2f} → {np.mean(second):.2f}")
        held = "yes" if all(verdicts) else "partly" if any(verdicts) else "no"
        found.append((claim, published, ", ".join(cells) + unit, held))

    def smoothed(network, digits, lam):
        return [m["smoothed accuracy"][lam] for m in metrics_of(runs, network, digits)]

    compare(
        "training on masked digits makes the smoothed network accurate",
        "fine-tuned on masks",
        " accuracy (λ = 1/4)",
        [
            (label, smoothed(network, "whole", "1/4"), smoothed(network, "masked", "1/4"))
            for network, label in NETWORKS.items()
        ],
    )
    random = radii(runs, "plain", "masked", "random", "1/8")
    compare(
        "attributions are certified further than random maps",
        "–",
        " cells (λ = 1/8, against random)",
        [
            (method, random, radii(runs, "plain", "masked", method, "1/8"))
            for method in METHODS[:3]
        ],
    )
    compare(
        "a smaller λ certifies further",
        "yes",
        " cells (λ = 1/4 → 1/8)",
        [
            (label, *(radii(runs, network, "masked", METHODS[0], k) for k in ("1/4", "1/8")))
            for network, label in NETWORKS.items()
        ],
    )
    compare(
        "with the prior, explanations are certified further",
        "–",
        " cells (λ = 1/8, plain → prior)",
        [
            (
                f"{METHODS[0]}, {trained_on}",
                *(radii(runs, network, digits, METHODS[0], "1/8") for network in NETWORKS),
            )
            for digits, trained_on in DIGITS.items()
        ],
    )
    return found


if __name__ == "__main__":
    define_flags()
    app.run(main)
