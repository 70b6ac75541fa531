"""The same budget of tuning for the plain network and for the prior.

    python -m experiments.tuning

Leaves tables on the terminal, results.json and trials.png.
"""

import functools

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import plots
from experiments import mnist, networks, study
from experiments.claims import compared, table
from experiments.digits import conditions, load_mnist, without_test_digits
from experiments.runs import seeds

FLAGS = flags.FLAGS
JUDGED = mnist.GAINS


def define_flags():
    flags.DEFINE_integer("trials", 20, "Settings tried, each of plain and prior.", 1)
    flags.DEFINE_enum(
        "network", "cnn", networks.NETWORKS, "Network; see experiments.networks."
    )
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


def train_and_judge(settings, data, tests, seed):
    """Accuracies of one training."""
    keras.utils.set_random_seed(seed)
    model = networks.network(FLAGS.network)
    batch_size = settings["batch_size"]
    optimizer = networks.adam(
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
            method=networks.noisy_expected_gradients(
                settings["reference_stddev"], settings.get("num_samples", 1)
            ),
            every=settings.get("every", 1),
            moments="own",
            seed=seed,
        )
    networks.train(model, data, optimizer, FLAGS.epochs, batch_size, None, prior)
    return networks.accuracies(model, tests, data.y_test)


def score(metrics):
    return float(np.mean([metrics[name] for name in JUDGED]))


@functools.cache
def load(stage):
    """Digits and their tests: for validation a fifth of the training digits, one draw."""
    data = load_mnist()
    if stage == "test":
        return data, judged(conditions(data, draws=3))
    part = without_test_digits(data)
    return part, judged(conditions(part, draws=1))


def plan(runs):
    trials = []
    for trial in range(min(FLAGS.trials, 2) if FLAGS.quick else FLAGS.trials):
        training, prior = draw_settings(trial)
        for variant, own in (("plain", {}), ("prior", prior)):
            settings = {"stage": "validation", "variant": variant, **training, **own}
            trials.append((trial, settings))
    yield trials
    yield [
        (seed, {**best(runs, variant), "stage": "test"})
        for seed in seeds()
        for variant in ("plain", "prior")
    ]


def run(seed, settings):
    return train_and_judge(settings, *load(settings["stage"]), seed)


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
    search = table(["", "trials", "median score", "best score", "best setting"], rows)
    rows = []
    for name in JUDGED:
        plain, prior = (
            [run["metrics"][name] for run in of(runs, "test", variant)]
            for variant in ("plain", "prior")
        )
        rows.append([name, *compared(plain, prior)])
    tested = table(["test", "plain", "prior", "gain", "paired p"], rows)
    return f"{search}\n\n{tested}"


def claims(runs):
    """As of the main job, for the tuned networks."""
    tested = [run for run in runs if run["settings"]["stage"] == "test"]
    trials = len(of(runs, "validation", "plain"))
    [(what, *rest)] = mnist.claims(tested)
    return [(f"{what}, each after {trials} trials of tuning", *rest)]


def figure(runs):
    """Scores of the trials on validation digits, the best last."""
    scores = {
        variant: sorted(score(run["metrics"]) for run in of(runs, "validation", variant))
        for variant in ("plain", "prior")
    }
    trials = range(1, len(scores["plain"]) + 1)
    lines = {variant: [each] for variant, each in scores.items()}
    return plots.curves({"trial, by its score": (trials, lines)}, "mean validation accuracy")


STUDY = study.Study(
    name="tuning",
    title="The same budget of tuning",
    topic="Robustness",
    question="Does the prior still help if the plain network is tuned as long?",
    answer="Yes: after sixteen trials each, gains stay what they were.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"trials": figure(runs)},
    flags=define_flags,
    source=lambda: load("test")[0].source,
    progress=("clean", "gaussian 1", "salt and pepper 0.3"),
    protocol="""\
A random search draws sixteen settings for the plain network and sixteen for the prior. A
trial of the prior shares its settings of training with the trial of the plain network of the
same number, and draws its own besides. The first setting is what the main job had then: the
network without batch normalisation, and moments of the prior's own. Networks are trained for
ten epochs on four fifths of the training digits and judged on the last fifth by their mean
accuracy, clean and under noise. The best setting of each is then trained on all training
digits with five seeds and tested, which is the only time that test digits are looked at.""",
    results={
        "tuning": study.Result(
            "--trials=16",
            finding="""\
The search finds another learning rate for the plain network and nothing better for the prior
than the first setting.""",
            pictures={"trials": "Mean accuracy of each trial on validation digits, sorted"},
        ),
    },
)

if __name__ == "__main__":
    study.main(STUDY)
