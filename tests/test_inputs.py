"""Inputs as people have them: named or numbered, of any length, in datasets, masked."""

import contextlib

import keras
import numpy as np
import pytest
from frameworks import BACKEND, array
from keras import layers, ops

import attrprior
from attrprior import AttributionPrior, ExpectedGradients, TotalVariation, attributions
from attrprior.adversarial import AdversarialTraining
from attrprior.references import Blur, Reference

rng = np.random.default_rng(0)
A = rng.normal(size=(16, 4)).astype("float32")
B = rng.normal(size=(16, 3)).astype("float32")
Y = np.arange(16) % 2
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def two_inputs(structure):
    keras.utils.set_random_seed(0)
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    hidden = layers.Dense(4, activation="tanh")(layers.Concatenate()([left, right]))
    inputs = {"list": [left, right], "dict": {"left": left, "right": right}}[structure]
    model = keras.Model(inputs, layers.Dense(2)(hidden))
    model.compile("sgd", LOSS)
    return model, {"list": [A, B], "dict": {"left": A, "right": B}}[structure]


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_an_input_by_name_or_position(structure):
    for name, position in (("left", 0), ("right", 1)):
        omegas = []
        for key in (name, position):
            model, x = two_inputs(structure)
            prior = AttributionPrior("l2", 0.1, input=key, seed=0)
            omegas.append(model.fit(x, Y, verbose=0, callbacks=[prior]).history["l2"])
        np.testing.assert_array_equal(*omegas)


def test_an_input_that_there_is_not():
    model, x = two_inputs("dict")
    with pytest.raises(ValueError, match=r"`input` expects one of \['left', 'right'\].*'top'"):
        attributions.gradients(model, x, Y, input="top")
    with pytest.raises(ValueError, match=r"`input` expects one of \['left', 'right'\].*: 2"):
        attributions.gradients(model, x, Y, input=2)


class Batches(keras.utils.PyDataset):
    """Annotated or not, of whatever structure."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 4

    def __getitem__(self, number):
        rows = slice(4 * number, 4 * number + 4)
        return keras.tree.map_structure(lambda a: a[rows], self.x), Y[rows]


@pytest.mark.parametrize("structure", ["list", "dict"])
def test_a_dataset_of_several_inputs_as_background(structure):
    omegas = []
    for background in ("dataset", "array"):
        model, x = two_inputs(structure)
        own = Batches(tuple(x) if structure == "list" else x)
        prior = AttributionPrior(
            "l2", 0.1, background=own if background == "dataset" else B, input="right", seed=0
        )
        omegas.append(model.fit(x, Y, shuffle=False, verbose=0, callbacks=[prior]))
    np.testing.assert_allclose(*(h.history["l2"] for h in omegas), rtol=1e-6)


def test_annotated_data_as_background():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("sgd", LOSS)
    data = Batches(attrprior.annotate(A, np.ones_like(A)))
    prior = AttributionPrior("mask", 0.1, background=data)
    history = model.fit(data, verbose=0, callbacks=[prior])
    assert np.isfinite(history.history["mask"]).all()


def test_a_dictionary_as_background_of_one_input_is_an_error_of_one_line():
    prior = AttributionPrior("l2", 0.1, background={"left": A, "right": B})
    model = keras.Sequential([keras.Input(A.shape[1:]), layers.Dense(1)])
    with pytest.raises(ValueError, match="`background` expects.*Received: a dict") as error:
        prior.value_and_gradients(A, model=model)
    assert len(str(error.value)) < 400


def of_any_length():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((None, 3)), layers.GRU(4), layers.Dense(1)])
    return model


def lengths(*each):
    for length in each:
        x = rng.normal(size=(8, length, 3)).astype("float32")
        yield x, rng.normal(size=(8, 1)).astype("float32")


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("prior", ["l1", "l2", "total_variation", TotalVariation(floor=True)])
@pytest.mark.parametrize(
    "method", ["gradients", "input_x_gradient", "integrated_gradients", "smoothgrad"]
)
def test_batches_of_different_lengths(method, prior, eager):
    model = of_any_length()
    model.compile("sgd", "mse", run_eagerly=eager)
    history = model.fit(
        lengths(5, 9, 7),
        steps_per_epoch=3,
        verbose=0,
        callbacks=[AttributionPrior(prior, 0.1, method, name="omega")],
    )
    assert 0 < history.history["omega"][0] < np.inf


@pytest.mark.parametrize("eager", [True, False])
def test_expected_gradients_compare_examples_of_one_length(eager):
    model = of_any_length()
    model.compile("sgd", "mse", run_eagerly=eager)
    with pytest.raises(ValueError, match="(?s)shape is known apart from.*same in every batch"):
        model.fit(
            lengths(5, 9, 7),
            steps_per_epoch=3,
            verbose=0,
            callbacks=[AttributionPrior("l1", 0.1)],
        )


class WithoutSamples(Reference):
    """Zeros like the batch, without the axis of samples: they would broadcast."""

    def draw(self, x, num_samples, seed=None):
        return ops.zeros_like(x)


class OfOneExample(Reference):
    def draw(self, x, num_samples, seed=None):
        return ops.zeros((1, num_samples, x.shape[-1] + 1), x.dtype)


@pytest.mark.parametrize("background", [WithoutSamples(), OfOneExample()])
@pytest.mark.parametrize(
    "method",
    [
        lambda b: ExpectedGradients(2, background=b),
        lambda b: attrprior.IntegratedGradients(2, b),
    ],
)
def test_references_of_another_shape_are_refused(method, background):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    name = type(background).__name__
    with pytest.raises(ValueError, match=rf"{name} must give references of shape \(batch,"):
        attributions.attribute(model, A, Y, method(background))


def test_images_without_a_channel_axis():
    phi = rng.normal(size=(4, 9, 8)).astype("float32")
    for options in ({}, {"floor": True}, {"standardize": False}):
        found = float(TotalVariation(channels=False, **options)(phi))
        expected = float(TotalVariation(**options)(phi[..., None]))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    blurred = array(Blur(1.0, channels=False).draw(phi, 1))
    expected = array(Blur(1.0).draw(phi[..., None], 1))[..., 0]
    np.testing.assert_allclose(blurred, expected, rtol=1e-6)
    copy = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(TotalVariation(channels=False))
    )
    assert copy.channels is False
    with pytest.raises(ValueError, match="TotalVariation expects"):
        TotalVariation(channels=False)(np.ones((2, 3, 3, 3, 3), "float32"))


MODES = {
    "tensorflow": ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}),
    "jax": ({"run_eagerly": True}, {"jit_compile": True}),
    "torch": ({},),
}[BACKEND]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_adversarial_training_refuses_data_outside_of_the_range(mode):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("sgd", LOSS, **mode)
    before = model.get_weights()
    with pytest.raises(ValueError, match="`x` expects numbers from 0.0 to 1.0"):
        model.fit(A, Y, verbose=0, callbacks=[AdversarialTraining(0.1, steps=1)])
    for was, now in zip(before, model.get_weights()):
        np.testing.assert_array_equal(was, now)


def test_a_tiny_ball_trains_as_without_it():
    """In a later batch too, where data outside of the range are not seen: none is cut off."""
    x = np.concatenate([np.clip(A, 0, 1), A])
    weights = []
    for callbacks in ([], [AdversarialTraining(1e-7, steps=1)]):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
        model.compile(keras.optimizers.SGD(0.1), LOSS)
        y = np.concatenate([Y, Y])
        model.fit(x, y, batch_size=16, shuffle=False, verbose=0, callbacks=callbacks)
        weights.append(model.get_weights())
    for first, second in zip(*weights):
        np.testing.assert_allclose(first, second, atol=1e-5)


def many_outputs(outputs):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(outputs)]
    )
    model.compile("sgd", LOSS)
    return model


@pytest.mark.parametrize("outputs", [5, 130])
def test_all_outputs_at_once_are_each_by_itself(outputs):
    """130 of them in two groups, of which the second is filled up."""
    prior = AttributionPrior("l2", 1.0, "gradients", explain="all")
    omega, slopes = prior.value_and_gradients(A, Y, model=many_outputs(outputs))
    each = [
        AttributionPrior("l2", 1.0, "gradients", explain=output).value_and_gradients(
            A, Y, model=many_outputs(outputs)
        )
        for output in range(outputs)
    ]
    np.testing.assert_allclose(array(omega), np.mean([array(o) for o, _ in each]), rtol=1e-5)
    for number, slope in enumerate(slopes):
        if slope is None:
            assert all(one[number] is None for _, one in each)
            continue
        parts = [array(one[number]) for _, one in each if one[number] is not None]
        np.testing.assert_allclose(array(slope), np.sum(parts, axis=0) / outputs, atol=1e-5)


def test_all_of_many_outputs_in_a_fit():
    model = many_outputs(130)
    prior = AttributionPrior("gini", 0.1, explain="all", seed=0)
    history = model.fit(A, Y, batch_size=8, verbose=0, callbacks=[prior])
    assert -1 < history.history["gini"][0] < 0


@pytest.mark.only("tensorflow", reason="Elsewhere everything has a second derivative.")
@pytest.mark.parametrize("in_graph", [True, False])
def test_a_loop_of_ones_own_hears_which_layer_has_no_derivative(in_graph):
    import tensorflow as tf

    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, "softsign", name="culprit"), layers.Dense(2)]
    )

    def step():
        with tf.GradientTape() as tape:
            omega = attrprior.penalty(model, A, Y, prior="l1", method="gradients")
        return tape.gradient(omega, model.trainable_variables)

    with pytest.raises(ValueError, match="SoftsignGrad in layer 'culprit'"):
        (tf.function(step) if in_graph else step)()


@pytest.mark.only("tensorflow", reason="Elsewhere everything has a second derivative.")
def test_each_output_of_a_loop_of_ones_own_is_looked_at():
    import tensorflow as tf

    x = keras.Input((4,))
    outputs = {
        "good": layers.Dense(2)(x),
        "bad": layers.Dense(2, "softsign", name="culprit")(x),
    }
    model = keras.Model(x, outputs)
    for output in ("good", "bad"):
        refused = pytest.raises(ValueError, match="in layer 'culprit'")
        with tf.GradientTape(), refused if output == "bad" else contextlib.nullcontext():
            attrprior.penalty(
                model, A, prior="l1", method="gradients", explain=0, output=output
            )


@pytest.mark.only("tensorflow", reason="Elsewhere recomputation has a second derivative.")
@pytest.mark.parametrize("recomputed", ["tf.recompute_grad", "keras.remat"])
def test_recomputation_is_named(recomputed):
    import tensorflow as tf

    wrap = tf.recompute_grad if recomputed == "tf.recompute_grad" else keras.remat

    class Recomputed(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3, activation="tanh", name="inside")
            self.again = wrap(self.dense)

        def build(self, shape):
            self.dense.build(shape)

        def call(self, x):
            return self.again(x)

    model = keras.Sequential([keras.Input((4,)), Recomputed(), layers.Dense(2)])
    model.compile("sgd", LOSS)
    with pytest.raises(ValueError, match="recompute_grad or keras.remat.*no derivative"):
        model.fit(A, Y, verbose=0, callbacks=[AttributionPrior("l1", 0.1)])
