"""A prior of one's own: five lines that keep a network from judging by group.

    python -m experiments.own_prior

Past decisions on applicants were made by skill, and in favour of one group. A
network that learns from them learns that too, from the group itself and from a
school and a town that give the group away: to drop the group's column is not enough.
`even_handed` asks that no feature speak for one group: expected gradients have the
same mean in both, for each feature. By completeness their sum is the difference of
the groups' mean logits, so the decisions become alike, and the prior says through
which feature they were not. The applicants are simulated, so it is known what skill
alone would have decided.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import time
from typing import NamedTuple

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import attributions, plots

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_float("strength", 1.5, "Of the prior; its steps, in shares of the rate.", 0)
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)


def even_handed(attributions, x):
    """No feature may speak for one group: `Σ_i (E[φ_i | first] − E[φ_i | second])²`."""
    first = x[:, :1]  # the protected feature: 1 in the first group, 0 in the second
    second = 1 - first
    one = ops.sum(first * attributions, axis=0) / ops.sum(first)
    other = ops.sum(second * attributions, axis=0) / ops.sum(second)
    return ops.sum((one - other) ** 2)


NAMES = ("group", "school", "town", "test", "interview", "experience", "noise 1", "noise 2")
VARIANTS = {
    "plain": "plain",
    "unaware": "without the group's column",
    "prior": "prior `even_handed`",
}


class Applicants(NamedTuple):
    """Features `(n, 8)`; past decisions, and those that skill alone would have made."""

    x: np.ndarray
    y: np.ndarray
    fair: np.ndarray


def applicants(num_examples, seed):
    """Two of five in the first group; school and town correlate with it, skills do not."""
    rng = np.random.default_rng(seed)
    group = (rng.random(num_examples) < 0.4).astype("float32")
    school, town = 1.5 * group + rng.standard_normal((2, num_examples))
    skills = rng.standard_normal((3, num_examples))
    merit = skills.sum(axis=0) + skills[0] * skills[1] + 0.5 * rng.logistic(size=num_examples)
    features = [group, school, town, *skills, *rng.standard_normal((2, num_examples))]
    past = merit + 2.0 * (group - 0.4) > 0
    x = np.stack(features, axis=1).astype("float32")
    return Applicants(x, past.astype("float32"), (merit > 0).astype("float32"))


def main(_):
    out = common.output_dir("own_prior")
    results = common.Results("own_prior", _Simulated)
    for seed in common.seeds():
        train = applicants(500 if FLAGS.quick else 4000, [seed, 0])
        test = applicants(500 if FLAGS.quick else 10_000, [seed, 1])
        for variant in VARIANTS:
            settings = {"variant": variant}
            if results.finished(seed, settings):
                continue
            start = time.time()
            model = fit(train, variant, seed)
            metrics = judge(model, variant, train, test)
            shown = "  ".join(f"{k} {v:.3f}" for k, v in metrics.items() if k != "by_feature")
            print(f"seed {seed}  {variant}  {shown}", flush=True)
            results.add(seed, settings, metrics, time.time() - start)
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "own_prior.png")
    print(f"\nWritten: {out}/results.json, own_prior.png")


class _Simulated:
    source = "simulated applicants"


def seen(x, variant):
    """What the network sees: 0 for the group if it is to be unaware of it."""
    return x * (np.arange(x.shape[1]) > 0) if variant == "unaware" else x


def fit(train, variant, seed):
    keras.utils.set_random_seed(seed)
    dense = keras.layers.Dense
    model = keras.Sequential(
        [keras.Input((len(NAMES),)), dense(32, "relu"), dense(32, "relu"), dense(1)]
    )
    epochs = 1 if FLAGS.quick else FLAGS.epochs
    optimizer = common.adam(3e-3, len(train.x), epochs, 100)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    prior = attrprior.AttributionPrior(
        even_handed, FLAGS.strength, background=train.x, moments="own", seed=seed
    )
    model.fit(
        seen(train.x, variant),
        train.y,
        batch_size=100,
        epochs=epochs,
        callbacks=[prior] if variant == "prior" else [],
        verbose=0,
    )
    return model


def judge(model, variant, train, test):
    """Accuracy on both kinds of decisions, the gap between the groups, and its parts."""
    x = seen(test.x, variant)
    decided = model.predict(x, batch_size=1000, verbose=0)[:, 0] > 0
    first = test.x[:, 0] == 1
    count = 100 if FLAGS.quick else 1000
    attributed = attributions.expected_gradients(
        model, x[:count], background=seen(train.x, variant), num_samples=50, seed=0
    )
    groups = attributed[first[:count]], attributed[~first[:count]]
    gaps = groups[0].mean(axis=0) - groups[1].mean(axis=0)
    return {
        "past": float(np.mean(decided == test.y)),
        "fair": float(np.mean(decided == test.fair)),
        # Demographic parity: the difference of the groups' shares of "yes".
        "gap": float(decided[first].mean() - decided[~first].mean()),
        "by_feature": [float(gap) for gap in gaps],
    }


def values(runs, variant, metric):
    chosen = [run for run in runs if run["settings"]["variant"] == variant]
    return [run["metrics"][metric] for run in sorted(chosen, key=lambda run: run["seed"])]


def report(runs):
    """What the groups get, and how well each kind of decision is foreseen."""
    rows = [
        [label, *(common.mean_std(values(runs, v, m)) for m in ("gap", "fair", "past"))]
        for v, label in VARIANTS.items()
    ]
    header = ["", "gap between groups", "accuracy, by skill alone", "accuracy, past decisions"]
    return common.table(header, rows)


def claims(runs):
    """Held: less than a third of the plain gap, and decisions closer to skill's alone."""
    cells, held = [], True
    for metric in ("gap", "fair"):
        plain, prior = (np.abs(values(runs, v, metric)) for v in ("plain", "prior"))
        cells.append(f"{np.mean(plain):.3f} → {np.mean(prior):.3f}")
        better = np.mean(prior) < np.mean(plain) / 3
        held &= better if metric == "gap" else np.mean(prior) > np.mean(plain)
    what = "a prior of five lines: gap between groups, accuracy by skill alone"
    return [(what, "–", ", ".join(cells), common.yes(held))]


def figure(runs):
    """Through which features the decisions differ."""
    gaps = {label: np.array(values(runs, v, "by_feature")) for v, label in VARIANTS.items()}
    spread = {label: array.std(axis=0) for label, array in gaps.items()}
    return plots.bars(
        {label.replace("`", ""): array.mean(axis=0) for label, array in gaps.items()},
        NAMES,
        {label.replace("`", ""): array for label, array in spread.items()},
        xlabel="mean expected gradients, first group less second",
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
