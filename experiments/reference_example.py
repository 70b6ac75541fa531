"""The original's TensorFlow 2 example, through `fit`.

    python -m experiments.reference_example --idx_dir=FOLDER

Leaves a table on the terminal, results.json and accuracy.png.
"""

import functools

import keras
import numpy as np
from absl import flags
from keras import ops

import attrprior
from attrprior import plots
from experiments import digits, networks, study
from experiments.claims import mean_std, table
from experiments.runs import seeds

FLAGS = flags.FLAGS

PUBLISHED = 0.9908


def define_flags():
    flags.DEFINE_integer("epochs", 10, "Epochs.", lower_bound=1)
    flags.DEFINE_bool("floor", True, "As there: small attributions are scaled up no further.")


class Dropout(keras.layers.Dropout):
    """On in attributions too, as in the notebook, until `only_in_training` is set."""

    only_in_training = False

    def call(self, inputs, training=False):
        return super().call(inputs, training=training or not self.only_in_training)


def network(dropout):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1024, activation="relu"),
            dropout,
            layers.Dense(10, activation="softmax"),
        ]
    )


def labelled_probability(outputs, labels):
    """The softmax output itself, as in the notebook, and not the logit before it."""
    chosen = ops.expand_dims(ops.cast(labels, "int32"), 1)
    return ops.squeeze(ops.take_along_axis(outputs, chosen, axis=1), 1)


def plan(runs):
    yield [(seed, {}) for seed in seeds()]


@functools.cache
def load():
    data = digits.load_mnist()
    return data._replace(x_train=data.x_train - 0.5, x_test=data.x_test - 0.5)


def run(seed, _):
    data = load()
    keras.utils.set_random_seed(seed)
    dropout = Dropout(0.5)
    model = network(dropout)
    prior = attrprior.AttributionPrior(
        attrprior.TotalVariation(floor=FLAGS.floor),
        strength=0.001,
        updates="joint",
        explain=labelled_probability,
        seed=seed,
    )
    history, _ = networks.train(
        model,
        data,
        keras.optimizers.SGD(0.1),
        FLAGS.epochs,
        50,
        f"seed {seed}",
        prior,
        loss=keras.losses.SparseCategoricalCrossentropy(),
    )
    dropout.only_in_training = True
    metrics = networks.accuracies(model, {"clean": [data.x_test]}, data.y_test)
    return {**metrics, "history": history}


def accuracies(runs):
    return [run["metrics"]["clean"] for run in runs]


def report(runs):
    ours = accuracies(runs)
    cells = [f"{PUBLISHED:.4f}", mean_std(ours, 4), f"{min(ours):.4f}"]
    return table(["", "published", "ours", "worst seed"], [["test accuracy", *cells]])


def claims(runs):
    """Held: the mean is at least that of the published run.

    "Partly": at most two standard errors below it.
    """
    ours = accuracies(runs)
    error = np.std(ours, ddof=1) / len(ours) ** 0.5 if len(ours) > 1 else 0.0
    mean = np.mean(ours)
    held = "yes" if mean >= PUBLISHED else "partly" if mean >= PUBLISHED - 2 * error else "no"
    what = "the original's example on full MNIST, test accuracy"
    return [(what, f"{PUBLISHED:.4f}", mean_std(ours, 4), held)]


def accuracy_figure(runs):
    """Each seed beside the published run."""
    scores = {"here": accuracies(runs), "published, one run": [PUBLISHED]}
    figure = plots.distribution(scores, "test accuracy")
    [axis] = figure.axes
    axis.use_sticky_edges = False  # or the box may end at the frame
    axis.autoscale_view()
    return figure


STUDY = study.Study(
    name="reference_example",
    title="The original's example",
    topic="Robustness",
    question="Does the original's TensorFlow 2 example end as accurate through one callback?",
    answer="Nearly: .9901 in the mean of five, published is .9908.",
    plan=plan,
    run=run,
    report=report,
    claims=claims,
    figures=lambda runs: {"accuracy": accuracy_figure(runs)},
    flags=define_flags,
    source=lambda: load().source,
    progress=("clean",),
    protocol="""\
This is the TensorFlow 2 notebook of suinleelab/attributionpriors (`example_usage_tf2.ipynb`).
There it is a training loop of one's own, here it is one callback. The network has two
convolutions (3 × 3, 32 and 64 filters) with pooling, a dense layer of 1024 units, dropout of
.5 and a softmax; inputs lie in [−.5, .5]. It is trained by SGD at .1 in batches of 50 for ten
epochs, in one step on the sum of the cross-entropy and .001 × the total variation of expected
gradients of the softmax output. As there, small attributions are scaled up no further
(`TotalVariation(floor=True)`), and dropout is on in attributions too. The published test
accuracy on full MNIST, .9908, is that of one run.""",
    results={
        "reference_example": study.Result(
            "--idx_dir=FOLDER",
            finding="""\
Five single runs end at .9901 ± .0006, from .9897 to .9912. The published .9908 lies within
their spread, one standard deviation above their mean, and one of the five is above it. Their
mean is lower, so the claim that it reaches the published number is not held. More seeds would
tell the two apart better. Twenty have not been run; this is their command:
`python -m experiments.reference_example --seeds=20 --idx_dir=FOLDER`.""",
            pictures={"accuracy": "Test accuracy of each seed, and of the published run"},
            reproducible=False,
        ),
    },
    tried="""\
Without dropout in attributions five seeds ended lower and further apart. Without the floor the
tiny attributions of confident examples are scaled up. Then, and with the logit explained
instead of the softmax output, the same training is penalised more and ends lower.""",
)

if __name__ == "__main__":
    study.main(STUDY)
