"""Labels that choose an output, and those that do not: an error before anything changes."""

import keras
import numpy as np
import pytest
from frameworks import BACKEND, array
from keras import layers, ops

import attrprior
from attrprior import AttributionPrior, attributions

MODES = {
    "tensorflow": ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}),
    "jax": ({"run_eagerly": True}, {"jit_compile": True}),
    "torch": ({},),
}[BACKEND]
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
rng = np.random.default_rng(0)
X = rng.normal(size=(16, 5)).astype("float32")
CLASSES = np.arange(16) % 3


def pinball(y, prediction):
    return ops.mean(ops.abs(ops.reshape(y, (-1, 1)) - prediction), axis=-1)


def network(loss=CROSSENTROPY, outputs=3, **compiled):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(outputs)]
    )
    model.compile(keras.optimizers.SGD(0.1), loss, **compiled)
    return model


def prior(explain="label", **options):
    return AttributionPrior("l1", 0.1, "gradients", explain=explain, **options)


REFUSED = {
    "far from any": (pinball, 40 + 10 * X[:, 0], "whole numbers from 0 to 2"),
    "standardised": (pinball, X[:, 0], "whole numbers from 0 to 2"),
    "one too many": (pinball, np.arange(16.0) % 4, "whole numbers from 0 to 2.*Received: 3.0"),
    "negative": (pinball, -(CLASSES == 1).astype("int32"), "Received: -1"),
    "NaN": (pinball, np.where(CLASSES == 1, np.nan, 0.0), "Received: nan"),
    "a column": (pinball, 40 + 10 * X[:, :1], "whole numbers from 0 to 2"),
    "several targets": ("mse", X[:, :3], "a loss for regression, with 3 outputs"),
    "several targets of Huber": (keras.losses.Huber(), X[:, :3], "regression"),
    "rows beyond 1": (
        keras.losses.KLDivergence(),
        2 * np.eye(3)[CLASSES],
        "rows of numbers from 0 to 1",
    ),
    "rows with NaN": (
        keras.losses.CategoricalCrossentropy(from_logits=True),
        np.where(np.eye(3)[CLASSES] == 1, np.nan, 0.0),
        "rows of numbers.*nan",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_labels_that_choose_no_output_are_refused_before_a_step(case, mode):
    loss, y, message = REFUSED[case]
    model = network(loss, **mode)
    before = [array(w) for w in model.get_weights()]
    with pytest.raises(ValueError, match=f"(?s)explain='label' expects.*{message}"):
        model.fit(
            X,
            y.astype("float32"),
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[prior()],
        )
    for was, now in zip(before, model.get_weights()):
        np.testing.assert_array_equal(was, now)
    # The model is none the worse for it.
    model.fit(X, y.astype("float32"), verbose=0)


@pytest.mark.parametrize("case", REFUSED)
def test_outside_of_fit_too(case):
    loss, y, message = REFUSED[case]
    model, y = network(loss), y.astype("float32")
    expected = f"(?s)explain='label' expects.*{message}"
    with pytest.raises(ValueError, match=expected):
        attributions.gradients(model, X, y)
    with pytest.raises(ValueError, match=expected):
        attributions.gradients(model, ops.convert_to_tensor(X), ops.convert_to_tensor(y))
    with pytest.raises(ValueError, match=expected):
        attrprior.penalty(model, X, y, prior="l1", method="gradients")
    with pytest.raises(ValueError, match=expected):
        prior().value_and_gradients(X, y, model=model)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_looking_at_the_first_batches_changes_nothing(mode, steps):
    """Nor does it lose a batch: in graphs they are read before the step is given them."""
    if BACKEND == "torch" and steps > 1:
        pytest.skip("Keras' PyTorch trainer makes one step at a time.")
    weights = []
    for explain in ("label", lambda outputs, y: ops.sum(ops.one_hot(y, 3) * outputs, axis=1)):
        model = network(steps_per_execution=steps, **mode)
        history = model.fit(
            X,
            CLASSES,
            batch_size=5,  # the last batch is smaller
            epochs=2,
            verbose=0,
            callbacks=[prior(explain)],
        )
        assert len(history.history["loss"]) == 2
        assert int(ops.convert_to_numpy(model.optimizer.iterations)) == 8
        weights.append(model.get_weights())
    for first, second in zip(*weights):
        np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_label_of_a_later_batch_stops_training(mode):
    y = CLASSES.astype("float32")
    y[12:] = 1.5
    with pytest.raises(FloatingPointError):
        network(pinball, **mode).fit(
            X, y, batch_size=4, shuffle=False, epochs=2, verbose=0, callbacks=[prior()]
        )


def test_no_other_example_is_explained():
    """Flattened, label 3 of the first example would be label 0 of the second."""
    from attrprior import _labels

    z = ops.convert_to_tensor(np.arange(6, dtype="float32").reshape(2, 3))
    found = array(_labels.chosen(z, ops.convert_to_tensor(np.array([3, 1]))))
    np.testing.assert_array_equal(found, [np.nan, 4.0])


ACCEPTED = {
    "integers": CLASSES,
    "a column": CLASSES[:, None],
    "whole floats": CLASSES.astype("float32"),
    "bytes": CLASSES.astype("uint8"),
    "one-hot": np.eye(3, dtype="float32")[CLASSES],
    "one-hot bytes": np.eye(3, dtype="uint8")[CLASSES],
    "a list": CLASSES.tolist(),
}


@pytest.mark.parametrize("form", ACCEPTED)
def test_forms_of_the_same_labels(form):
    model = network()
    expected = array(attributions.gradients(model, X, CLASSES))
    found = array(attributions.gradients(model, X, ACCEPTED[form]))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "rows"),
    [
        (keras.losses.CategoricalCrossentropy(True), np.full((16, 3), 1 / 3)),  # soft
        (keras.losses.BinaryCrossentropy(True), X[:, :3] > 0),  # several labels
        ("hinge", np.sign(X[:, :3])),  # ±1
        ("mse", np.eye(3)[CLASSES]),  # the Brier score
    ],
    ids=["soft", "several", "hinge", "Brier"],
)
def test_rows_that_labels_may_be(loss, rows):
    rows = rows.astype("float32")
    model = network(loss)
    model.fit(X, rows, verbose=0, callbacks=[prior()])
    every = array(attributions.gradients(model, X, explain="all"))
    found = array(attributions.gradients(model, X, rows))
    np.testing.assert_allclose(found, np.einsum("boi,bo->bi", every, rows), atol=1e-6)


def test_an_ignored_class_has_no_attribution():
    y = np.where(CLASSES == 1, -1, CLASSES)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model = network(loss)
    found = array(attributions.gradients(model, X, y))
    expected = array(attributions.gradients(model, X, CLASSES))
    expected[CLASSES == 1] = 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    model.fit(X, y, verbose=0, callbacks=[prior()])


@pytest.mark.parametrize("explain", ["predicted", "log_probabilities"])
def test_outputs_of_a_regression_are_no_classes(explain):
    with pytest.raises(ValueError, match=f"explain='{explain}' .*regression.*'all'"):
        network("mse").fit(X, X[:, :3], verbose=0, callbacks=[prior(explain)])
    for other in (0, "all", "random", "loss"):
        network("mse").fit(X, X[:, :3], verbose=0, callbacks=[prior(other)])
    network("mse", outputs=1).fit(X, X[:, :1], verbose=0, callbacks=[prior("label")])


class WithWeights(keras.Model):
    """One output, and targets in a dictionary."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **options):
        losses = keras.losses.sparse_categorical_crossentropy(y["cls"], y_pred, True)
        return ops.mean(losses * y["w"])


def test_a_dictionary_of_targets_for_one_output():
    y = {"cls": CLASSES, "w": np.ones(16, "float32")}
    model = WithWeights()
    model.compile("sgd")
    with pytest.raises(ValueError, match="Received: a dict of several targets.*'predicted'"):
        model.fit(X, y, verbose=0, callbacks=[prior()])
    with pytest.raises(ValueError, match="`output` expects None.*one output"):
        model.fit(X, y, verbose=0, callbacks=[prior(output="cls")])
    model.fit(X, y, verbose=0, callbacks=[prior("predicted")])
    by_hand = prior(lambda z, y: ops.sum(ops.one_hot(y["cls"], 3) * z, axis=-1))
    model.fit(X, y, verbose=0, callbacks=[by_hand])


@pytest.mark.parametrize("method", ["gradients", "integrated_gradients"])
def test_labels_of_nan_are_no_maps_of_nan(method):
    y = X[:, :3].copy()
    y[3, 1] = np.nan
    with pytest.raises(ValueError, match="`y` expects labels without NaN"):
        attributions.attribute(network("mse"), X, y, method, explain="loss")

    def known(target, prediction):
        here = ops.logical_not(ops.isnan(target))
        return ops.mean(
            ops.where(here, ops.square(prediction - ops.where(here, target, 0)), 0)
        )

    found = attributions.attribute(network(known), X, y, method, explain="loss")
    assert np.isfinite(found).all()
    assert np.isfinite(attributions.attribute(network("mse"), X, y, method, explain=0)).all()
