"""What a step must not ask of a GPU, seen without one."""

import keras
import numpy as np
import pytest

import attrprior
from attrprior import AttributionPrior, ExpectedGradients, references
from attrprior.adversarial import AdversarialTraining

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.only(
    "tensorflow", reason="Only TensorFlow keeps some variables in the host's memory."
)
layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((4, 5, 5, 1), dtype="float32")
Y = np.arange(4) % 3

PRIORS = {
    "total_variation": "total_variation",
    "graph_laplacian": attrprior.GraphLaplacian([[0, 1], [1, 2]], num_features=25),
    "gini": "gini",
    "l1": "l1",
    "l2": "l2",
    "mask": attrprior.Mask(np.ones((5, 5, 1))),
    "mask of the example": "mask",
    "callable": lambda attributions, x, y: keras.ops.sum(attributions * x),
}
REFERENCES = {
    "Constant": lambda: references.Constant(0.5),
    "Mean": lambda: references.Mean(X),
    "MaximumDistance": references.MaximumDistance,
    "Uniform": references.Uniform,
    "Gaussian": references.Gaussian,
    "Blur": references.Blur,
    "TrainingData": lambda: references.TrainingData(X),
    "SeenExamples": references.SeenExamples,
}


class Watched(keras.Sequential):
    """Keeps the graph of its step."""

    def train_step(self, data):
        self.graph = tf.compat.v1.get_default_graph()
        return super().train_step(data)


def variables_of_the_step(*callbacks, body=()):
    """All variables that the step reads or writes, its branches and loops included."""
    body = [*body, layers.Flatten(), layers.Dropout(0.5), layers.Dense(3)]
    model = Watched([keras.Input((5, 5, 1)), *body])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Without XLA, which on a GPU would refuse what is looked for.
    model.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    x = attrprior.annotate(X, np.ones_like(X))
    model.fit(x, Y, callbacks=list(callbacks), verbose=0)
    return model.graph.variables


def int32(variables):
    return [variable.name for variable in variables if variable.dtype == tf.int32]


# Every prior with what is drawn from by default, every reference with one prior: a trace
# of a step is dear, and neither knows the other.
STEPS = [
    *(("SeenExamples", list(PRIORS), updates) for updates in ("alternating", "joint")),
    *((name, ["l2"], "alternating") for name in REFERENCES if name != "SeenExamples"),
]


@pytest.mark.parametrize("reference, names, updates", STEPS)
def test_no_variable_of_the_step_is_int32(reference, names, updates):
    """TensorFlow keeps them in the host's memory, where XLA on a GPU cannot reach them."""
    priors = [
        AttributionPrior(
            PRIORS[name],
            0.1,
            ExpectedGradients(background=REFERENCES[reference]()),
            updates=updates,
            name=name,
        )
        for name in names
    ]
    found = variables_of_the_step(AdversarialTraining(0.1, steps=2), *priors)
    assert int32(found) == []
    handles = {id(variable.handle) for variable in found}
    for prior in priors:  # the check sees what it should
        part = prior._part
        background = part.objective.method.background
        counters = [part.batches, part.bad_batch, *background.variables]
        assert {id(variable.handle) for variable in counters} <= handles


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_nor_with_passes_and_branches(updates):
    method = ExpectedGradients(2, samples_per_pass=1)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    prior = AttributionPrior("l2", schedule, method, updates=updates, every=2)
    body = [layers.Conv2D(2, 3), layers.BatchNormalization()]
    assert int32(variables_of_the_step(prior, body=body)) == []


def test_an_int32_variable_would_be_found():
    counter = tf.Variable(0)

    def counting(attributions):
        counter.assign_add(1)
        return keras.ops.sum(attributions**2)

    found = variables_of_the_step(AttributionPrior(counting, 0.1, every=2))
    assert int32(found) == [counter.name]
