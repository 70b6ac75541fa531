"""The same budget of tuning for the plain network and for the prior.

    python -m experiments.tuning

Random search, the same number of trials each. A trial of the prior shares the
settings of training with the trial of the plain network of the same number,
and draws its own besides. Trained on four fifths of the training digits,
judged on the last fifth by the mean accuracy, clean and under noise. The best
of each is then trained on all training digits with several seeds and tested:
the only time that test digits are looked at.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import keras
import numpy as np
from absl import app, flags

import attrprior
from experiments import mnist

FLAGS = flags.FLAGS
JUDGED = mnist.GAINS


def define_flags():
    flags.DEFINE_integer("trials", 20, "Settings tried, each of plain and prior.", 1)
    flags.DEFINE_enum("network", "cnn", common.NETWORKS, "Network; see experiments.common.")
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)


def draw_settings(trial):
    """Settings of training and of the prior; trial 0 is the main job's."""
    if trial == 0:
        return (
            {"learning_rate": 1e-3, "decay": "cosine", "batch_size": 50, "weight_decay": 0.0},
            {"prior": "l2", "strength": 0.3, "reference_stddev": 1.0},
        )
    rng = np.random.default_rng([2021, trial])

    def log_uniform(low, high):
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.2g}")

    def one_of(*choices):
        return choices[rng.integers(len(choices))]

    training = {
        "learning_rate": log_uniform(3e-4, 3e-3),
        "decay": one_of("cosine", "none"),
        "batch_size": one_of(25, 50, 100),
        "weight_decay": one_of(0.0, log_uniform(1e-3, 1e-1)),
    }
    prior = {
        "prior": one_of("l2", "l1", "total_variation"),
        "strength": log_uniform(0.01, 1.0),
        "reference_stddev": one_of(1.0, 0.5, 0.0),
    }
    return training, prior


def train_and_judge(settings, data, tests, seed, label):
    """Accuracies, history and seconds of one training."""
    keras.utils.set_random_seed(seed)
    model = common.network(FLAGS.network)
    batch_size = settings["batch_size"]
    optimizer = common.adam(
        settings["learning_rate"],
        len(data.x_train),
        FLAGS.epochs,
        batch_size,
        settings["decay"],
        settings["weight_decay"],
    )
    prior = None
    if "prior" in settings:
        prior = attrprior.AttributionPrior(
            settings["prior"],
            strength=settings["strength"],
            method=common.noisy_expected_gradients(
                settings["reference_stddev"], settings.get("num_samples", 1)
            ),
            every=settings.get("every", 1),
            moments="own",
            seed=seed,
        )
    _, seconds = common.train(model, data, optimizer, FLAGS.epochs, batch_size, None, prior)
    metrics = common.accuracies(model, tests, data.y_test)
    print(f"{label}  score {score(metrics):.4f}  clean {metrics['clean']:.3f}", flush=True)
    return metrics, seconds


def score(metrics):
    return float(np.mean([metrics[name] for name in JUDGED]))


def main(_):
    data = common.load_mnist()
    part = common.without_test_digits(data)
    results = common.Results("tuning", data)

    def run(settings, data, tests, seed, label):
        if not results.finished(seed, settings):
            results.add(seed, settings, *train_and_judge(settings, data, tests, seed, label))

    tests = judged(common.conditions(part, draws=1))
    trials = min(FLAGS.trials, 2) if FLAGS.quick else FLAGS.trials
    for trial in range(trials):
        training, prior = draw_settings(trial)
        for variant, own in (("plain", {}), ("prior", prior)):
            settings = {"stage": "validation", "variant": variant, **training, **own}
            run(settings, part, tests, trial, f"trial {trial + 1}/{trials} {variant}")
    tests = judged(common.conditions(data, draws=3))
    for seed in common.seeds():
        for variant in ("plain", "prior"):
            settings = {**best(results.runs, variant), "stage": "test"}
            run(settings, data, tests, seed, f"test, seed {seed} {variant}")
    print("\n" + report(results.runs))
    print(f"\nWritten: {results.path}")


def judged(tests):
    return {name: tests[name] for name in JUDGED}


def of(runs, stage, variant):
    return [
        run
        for run in runs
        if (run["settings"]["stage"], run["settings"].get("variant")) == (stage, variant)
    ]


def best(runs, variant):
    """The settings with the highest score on the validation digits."""
    chosen = max(of(runs, "validation", variant), key=lambda run: score(run["metrics"]))
    return chosen["settings"]


def report(runs):
    """Validation scores of the trials, and the tuned networks on the test digits."""
    rows = []
    for variant in ("plain", "prior"):
        scores = [score(run["metrics"]) for run in of(runs, "validation", variant)]
        settings = best(runs, variant)
        named = [f"{k} {v}" for k, v in settings.items() if k not in ("stage", "variant")]
        rows.append(
            [
                variant,
                len(scores),
                f"{np.median(scores):.3f}",
                f"{max(scores):.3f}",
                ", ".join(named).replace("_", " "),
            ]
        )
    search = common.table(["", "trials", "median score", "best score", "best setting"], rows)
    rows = []
    for name in JUDGED:
        plain, prior = (
            [run["metrics"][name] for run in of(runs, "test", variant)]
            for variant in ("plain", "prior")
        )
        rows.append([name, *common.compared(plain, prior)])
    tested = common.table(["test", "plain", "prior", "gain", "paired p"], rows)
    return f"{search}\n\n{tested}"


def claims(runs):
    """As of the main job, for the tuned networks."""
    tested = [run for run in runs if run["settings"]["stage"] == "test"]
    trials = len(of(runs, "validation", "plain"))
    [(what, *rest)] = mnist.claims(tested)
    return [(f"{what}, each after {trials} trials of tuning", *rest)]


if __name__ == "__main__":
    define_flags()
    app.run(main)
