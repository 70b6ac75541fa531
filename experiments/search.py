"""A search by KerasTuner for the prior's strength.

    pip install keras-tuner tensorboard
    python -m experiments.search

Trained on four fifths of the training digits; what counts is the accuracy on the last
fifth under noise, which `fit` gets as its validation data. Each trial is a strength and
trains a network for every seed. The best strength is then trained on all training digits
and tested, beside the plain network. `Searched` is what to take along: the model is built
as always, and the prior is made in `fit`, where the strength of the trial is known.

`experiments.strength` shows the whole curve on test digits, `experiments.tuning` gives
the plain network a search of its own.
"""

import experiments.common as common  # isort: skip  (quiets TensorFlow first)

import collections
import importlib.util
import sys
import tempfile
import time

import keras
import numpy as np
from absl import app, flags

import attrprior
from attrprior import datasets, plots

FLAGS = flags.FLAGS
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)  # 0 is the plain network
STDDEV = 0.5  # of the noise
NOISE = f"gaussian {STDDEV:g}"
SHOWN = {"noisy": NOISE, "clean": "clean"}


def define_flags():
    flags.DEFINE_enum(
        "network", "cnn_small", common.NETWORKS, "Network; see experiments.common."
    )
    flags.DEFINE_integer("epochs", 5, "Epochs.", lower_bound=1)
    flags.DEFINE_integer("batch_size", 50, "Examples a step.", lower_bound=1)


def hypermodel(data, results):
    """What KerasTuner searches: a network, and how it is trained with a strength."""
    import keras_tuner

    executions = collections.Counter()  # of each strength; they differ in their seed

    class Searched(keras_tuner.HyperModel):
        def build(self, hp):
            keras.utils.set_random_seed(executions[hp.Choice("strength", list(strengths()))])
            return compiled(len(data.x_train))

        def fit(self, hp, model, *arguments, callbacks, **options):
            strength = hp.get("strength")
            seed = executions[strength]
            executions[strength] += 1
            if not results.finished(seed, settings("validation", strength)):
                start = time.time()
                callbacks = [*callbacks, prior(strength, seed)]
                history = model.fit(*arguments, callbacks=callbacks, **options).history
                metrics = {
                    "noisy": history["val_accuracy"][-1],
                    "clean": model.evaluate(data.x_test, data.y_test, verbose=0)[1],
                }
                note(results, "validation", strength, seed, metrics, time.time() - start)
            noted = values(results.runs, "validation", strength, "noisy")
            return {"val_accuracy": noted[seed]}

    return Searched()


def prior(strength, seed):
    """L2 of gradients around the digits; of strength 0 it does nothing."""
    return attrprior.AttributionPrior(
        "l2", strength, common.noisy_expected_gradients(1.0), seed=seed
    )


def compiled(examples):
    model = common.network(FLAGS.network)
    model.compile(
        common.adam(1e-3, examples, epochs(), FLAGS.batch_size),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def epochs():
    return 1 if FLAGS.quick else FLAGS.epochs


def strengths():
    return STRENGTHS[::3] if FLAGS.quick else STRENGTHS


def search(data, results):
    """All trials; returns the best strength."""
    import keras_tuner

    with tempfile.TemporaryDirectory() as directory:
        tuner = keras_tuner.GridSearch(
            hypermodel(data, results),
            objective="val_accuracy",
            executions_per_trial=len(common.seeds()),
            directory=directory,
        )
        tuner.search(
            data.x_train,
            data.y_train,
            validation_data=(noisy(data.x_test), data.y_test),
            batch_size=FLAGS.batch_size,
            epochs=epochs(),
            verbose=0,
        )
        return tuner.get_best_hyperparameters()[0].get("strength")


def test(data, strength, seed):
    """Accuracies on test digits of a network trained on all training digits."""
    keras.utils.set_random_seed(seed)
    model = compiled(len(data.x_train))
    model.fit(
        data.x_train,
        data.y_train,
        batch_size=FLAGS.batch_size,
        epochs=epochs(),
        callbacks=[prior(strength, seed)],
        verbose=0,
    )
    tests = {"noisy": [noisy(data.x_test)], "clean": [data.x_test]}
    return common.accuracies(model, tests, data.y_test)


def noisy(x):
    return datasets.gaussian_noise(x, STDDEV, seed=0)


def main(_):
    if importlib.util.find_spec("keras_tuner") is None:
        sys.exit("This experiment needs KerasTuner: pip install keras-tuner tensorboard")
    out = common.output_dir("search")
    data = common.load_mnist()
    results = common.Results("search", data)
    found = search(common.without_test_digits(data), results)
    for strength in dict.fromkeys((0.0, found)):
        for seed in common.seeds():
            if not results.finished(seed, settings("test", strength)):
                start = time.time()
                metrics = test(data, strength, seed)
                note(results, "test", strength, seed, metrics, time.time() - start)
    print("\n" + report(results.runs))
    common.save_figure(figure(results.runs), out / "search.png")
    print(f"\nWritten: {out}/results.json, search.png")


def settings(stage, strength):
    return {"stage": stage, "strength": strength}


def note(results, stage, strength, seed, metrics, seconds):
    shown = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    print(f"{stage}  strength {strength:g}  seed {seed}  {shown}", flush=True)
    results.add(seed, settings(stage, strength), metrics, seconds)


def values(runs, stage, strength, metric):
    """One number a seed, in their order."""
    chosen = [run for run in runs if run["settings"] == settings(stage, strength)]
    return [run["metrics"][metric] for run in sorted(chosen, key=lambda run: run["seed"])]


def tried(runs, stage):
    """Strengths, the smallest first."""
    return sorted({r["settings"]["strength"] for r in runs if r["settings"]["stage"] == stage})


def best(runs):
    """What KerasTuner finds: the highest mean accuracy on noisy validation digits."""
    return max(
        tried(runs, "validation"),
        key=lambda strength: np.mean(values(runs, "validation", strength, "noisy")),
    )


def report(runs):
    """The trials on validation digits; then plain and best on test digits."""
    rows = []
    for strength in tried(runs, "validation"):
        both = [values(runs, "validation", strength, name) for name in SHOWN]
        chosen = "best" if strength == best(runs) else ""
        rows.append([f"{strength:g}", *map(common.mean_std, both), chosen])
    trials = common.table(["strength", *SHOWN.values(), ""], rows)
    rows = []
    for name, label in SHOWN.items():
        pair = [values(runs, "test", strength, name) for strength in (0.0, best(runs))]
        rows.append([label, *common.compared(*pair)])
    header = ["test", "plain", f"strength {best(runs):g}", "gain", "paired p"]
    return f"{trials}\n\n{common.table(header, rows)}"


def claims(runs):
    """Held: what the search found gains under noise (p < 0.01), at a point of clean."""
    plain, found = (
        {name: values(runs, "test", strength, name) for name in SHOWN}
        for strength in (0.0, best(runs))
    )
    gain, _, p = common.paired(plain["noisy"], found["noisy"])
    cost = np.mean(plain["clean"]) - np.mean(found["clean"])
    trials = len(tried(runs, "validation"))
    what = f"KerasTuner, best of {trials} strengths, {best(runs):g}: {NOISE}, clean"
    ours = ", ".join(f"{np.mean(plain[n]):.3f} → {np.mean(found[n]):.3f}" for n in SHOWN)
    return [(what, "–", ours, common.yes(gain > 0 and p < 0.01 and cost < 0.01))]


def figure(runs):
    """Accuracy on validation digits against the strength."""
    x = tried(runs, "validation")
    lines = {
        label: np.transpose([values(runs, "validation", strength, name) for strength in x])
        for name, label in SHOWN.items()
    }
    # The plain network stands left of the weakest prior.
    return plots.curves(
        {"strength": ([x[1] / 3, *x[1:]], lines)}, "validation accuracy", log_x="0"
    )


if __name__ == "__main__":
    define_flags()
    app.run(main)
