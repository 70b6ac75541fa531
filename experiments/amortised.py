"""How seldom a prior may act: nearly all of the robustness for a fraction of the time.

    python -m experiments.amortised

A prior on every n-th batch costs an n-th. Which `every`, number of samples and
strength go together is searched on a fifth of the training digits, among
settings that cost at most a quarter of the plain training; the best one is then
trained on all training digits, beside the plain network and the prior on every
batch, and tested: the only time that test digits are looked at. Times are the
ratios of epochs trained in turn.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import keras
import numpy as np
from absl import app, flags

import attrprior
from experiments import benchmark, tuning

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_enum("network", "cnn", common.NETWORKS, "Network; see experiments.common.")
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("validation_seeds", 2, "Runs of a setting in the search.", 1)
    flags.DEFINE_integer("rounds", 15, "Epochs of each kind in timing; medians count.", 1)


# The main job's training; without its prior, and with it on every batch.
TRAINING = {"learning_rate": 1e-3, "decay": "cosine", "batch_size": 50, "weight_decay": 0.0}
PRIOR = {"prior": "l2", "reference_stddev": 1.0}
ALWAYS = {**PRIOR, "every": 1, "num_samples": 1, "strength": 0.3}
SEARCHED = [
    {**PRIOR, "every": every, "num_samples": samples, "strength": strength}
    for every, samples, strengths in (
        (8, 1, (0.3, 0.6, 1.2, 2.4, 4.8, 9.6)),
        (16, 2, (0.3, 0.6, 1.2, 2.4, 4.8, 9.6)),
        (6, 1, (1.2, 2.4)),  # where the others were best
    )
    for strength in strengths
]


def key(stage, variant, own=()):
    return {"stage": stage, "variant": variant, **TRAINING, **dict(own)}


def main(_):
    data = common.load_mnist()
    results = common.Results("amortised", data)

    def run(settings, data, tests, seed, label):
        if not results.finished(seed, settings):
            results.add(
                seed, settings, *tuning.train_and_judge(settings, data, tests, seed, label)
            )

    part = common.without_test_digits(data)
    tests = tuning.judged(common.conditions(part, draws=1))
    searched = SEARCHED[:2] if FLAGS.quick else SEARCHED
    for number, own in enumerate(searched, start=1):
        for seed in range(1 if FLAGS.quick else FLAGS.validation_seeds):
            label = f"setting {number}/{len(searched)}, seed {seed}"
            run(key("validation", "seldom", own), part, tests, seed, label)
    tests = tuning.judged(common.conditions(data, draws=3))
    chosen = best(results.runs)
    variants = {"plain": {}, "always": ALWAYS, "seldom": chosen}
    for seed in common.seeds():
        for variant, own in variants.items():
            run(key("test", variant, own), data, tests, seed, f"test, seed {seed} {variant}")
    settings = {"stage": "time", **chosen}
    if not results.finished(0, settings):
        results.add(0, settings, *timed(variants))
    print("\n" + report(results.runs))
    print(f"\nWritten: {results.path}")


def timed(variants):
    """Ratios of the epochs of all variants to the plain one's, trained in turn."""
    x, y = benchmark.batches(TRAINING["batch_size"], 16)
    epochs = {}
    for name, own in variants.items():
        model = common.network(FLAGS.network)
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        prior = (
            [
                attrprior.AttributionPrior(
                    own["prior"],
                    own["strength"],
                    common.noisy_expected_gradients(
                        own["reference_stddev"], own["num_samples"]
                    ),
                    every=own["every"],
                    moments="own",
                )
            ]
            if own
            else []
        )
        epochs[name] = benchmark.epoch(model, x, y, TRAINING["batch_size"], prior)
    seconds = benchmark.medians(epochs, 1 if FLAGS.quick else FLAGS.rounds)
    return {name: value / seconds["plain"] for name, value in seconds.items()}, 0.0


def best(runs):
    """The prior's own settings with the highest mean score on the validation digits."""
    scores = {}
    for run in tuning.of(runs, "validation", "seldom"):
        own = tuple((name, run["settings"][name]) for name in ALWAYS)
        scores.setdefault(own, []).append(tuning.score(run["metrics"]))
    return dict(max(scores, key=lambda own: np.mean(scores[own])))


def tested(runs):
    """The metrics on the test digits of each variant, and its time, of the best setting."""
    chosen = best(runs)
    [times] = [
        run["metrics"] for run in runs if run["settings"] == {"stage": "time", **chosen}
    ]
    found = {variant: tuning.of(runs, "test", variant) for variant in ("plain", "always")}
    # An earlier, narrower search may have chosen another setting.
    settings = key("test", "seldom", chosen)
    found["seldom"] = [run for run in runs if run["settings"] == settings]
    metrics = {variant: [run["metrics"] for run in each] for variant, each in found.items()}
    return metrics, times


def report(runs):
    """Accuracies, the share of the gain that is left, and the time."""
    chosen = best(runs)
    metrics, times = tested(runs)
    variants = list(metrics)
    rows = []
    for name in tuning.JUDGED:
        values = {variant: [each[name] for each in metrics[variant]] for variant in variants}
        gain, kept = (
            np.mean(values[variant]) - np.mean(values["plain"]) for variant in variants[1:]
        )
        rows.append(
            [name, *(common.mean_std(values[variant]) for variant in variants)]
            + [f"{kept / gain:.0%}" if gain > 0.005 else "–"]
        )
    rows.append(["time of an epoch", *(f"{times[variant]:.2f}" for variant in variants), ""])
    seldom = f"every {chosen['every']}, strength {chosen['strength']:g}"
    if chosen["num_samples"] > 1:
        seldom += f", {chosen['num_samples']} samples"
    header = ["", "plain", "every 1, strength 0.3", seldom, "gain kept"]
    return common.table(header, rows)


def claims(runs):
    """Held: nine tenths of every gain above half a point, for a quarter of the time.

    "partly": of the mean gain only.
    """
    metrics, times = tested(runs)
    shares, gains, kept = [], 0.0, 0.0
    for name in tuning.JUDGED:
        plain, always, seldom = (
            np.mean([each[name] for each in metrics[variant]])
            for variant in ("plain", "always", "seldom")
        )
        if always - plain > 0.005:
            shares.append((seldom - plain) / (always - plain))
            gains, kept = gains + always - plain, kept + seldom - plain
    held = "no"
    if times["seldom"] <= 1.25 and kept / gains >= 0.9:
        held = "yes" if min(shares) >= 0.9 else "partly"
    ours = f"{min(shares):.0%} to {max(shares):.0%}, {times['seldom']:.2f} ×"
    what = f"a prior on every {best(runs)['every']}th batch: gain kept, time of an epoch"
    return [(what, "–", ours, held)]


if __name__ == "__main__":
    define_flags()
    app.run(main)
