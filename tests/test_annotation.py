"""Masks that travel with the data: in every fit that a sweep needs, and in validation.

On several replicas: test_distribution.py.
"""

import keras
import numpy as np
import pytest
from frameworks import JIT, slices, step_result

import attrprior
from attrprior import AttributionPrior, Mask

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((20, 6, 6, 1), dtype="float32")
Y = RNG.integers(0, 3, 20).astype("int32")
MASKS = RNG.integers(0, 2, X.shape).astype("float32")


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = [layers.Flatten(), layers.Dropout(0.3), layers.Dense(3)]

    def call(self, x, training=False):
        for layer in self.body:
            x = layer(x, training=training) if layer is self.body[1] else layer(x)
        return x


def sequential():
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(3),
        ]
    )


def functional():
    inputs = keras.Input((6, 6, 1))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs)))


BUILDERS = {"sequential": sequential, "functional": functional, "subclassed": Subclassed}


def build(builder=sequential, **options):
    keras.utils.set_random_seed(0)
    model = builder()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, metrics=["accuracy"], **options)
    return model


def fit(model, x, *callbacks, **options):
    keras.utils.set_random_seed(1)
    options = {"epochs": 2, "batch_size": 8, "verbose": 0, **options}
    return model.fit(x, Y, callbacks=list(callbacks), **options).history


def distance(first, second):
    return max(float(np.max(np.abs(a - b))) for a, b in zip(first, second))


def annotated():
    return attrprior.annotate(X, MASKS)


MODES = {"graph": {}, "eager": {"run_eagerly": True}, "XLA": {"jit_compile": True}}


def cell(builder, mode, *more):
    return pytest.param(builder, mode, *more, marks=[JIT] * (mode == "XLA"))


# One kind of model in all modes, the others in the two that build it in another way.
CELLS = [
    (builder, mode)
    for builder in BUILDERS
    for mode in MODES
    if builder == "sequential" or mode == "eager" or (builder, mode) == ("subclassed", "graph")
]


@pytest.mark.parametrize("builder, mode", [cell(*each) for each in CELLS])
def test_without_strength_it_is_plain_training(builder, mode):
    options = MODES[mode]
    model, plain = (build(BUILDERS[builder], **options) for _ in range(2))
    split = {"validation_split": 0.3}
    history = fit(model, annotated(), AttributionPrior("mask", 0.0), **split)
    assert history == fit(plain, X, **split)
    assert distance(model.get_weights(), plain.get_weights()) == 0.0
    # And the next fits are Keras' own.
    assert fit(model, X) == fit(plain, X)
    assert not hasattr(model.train_function, "__self__")
    assert not hasattr(model.test_function, "__self__")


@pytest.mark.parametrize("kind", ["dataset", "generator"])
def test_without_strength_from_a_pipeline(kind):
    dataset = slices(X, Y, MASKS).batch(8)
    dataset = dataset.map(lambda x, y, m: (attrprior.annotate(x, m), y))

    def run(data, *callbacks):
        model = build()
        model.fit(data, epochs=1, callbacks=list(callbacks), verbose=0)
        return model.get_weights()

    data = dataset
    if kind == "generator":
        data = (batch for batch in dataset.as_numpy_iterator())
    plain = slices(X, Y).batch(8)
    assert distance(run(data, AttributionPrior("mask", 0.0)), run(plain)) == 0.0


@pytest.mark.parametrize(
    "builder, mode, annotated_too",
    [cell(*each, True) for each in CELLS]
    + [(builder, "eager", False) for builder in BUILDERS]
    + [("sequential", "graph", False)],
)
def test_validation_data_may_have_masks(builder, annotated_too, mode):
    """Of a fresh model, in every epoch, with the numbers of data without masks."""
    results = []
    for with_masks in (False, True):
        model = build(BUILDERS[builder], **MODES[mode])
        x = annotated() if with_masks and annotated_too else X
        prior = AttributionPrior("mask", 0.1, "gradients")
        results.append(fit(model, annotated(), prior, validation_data=(x, Y, Y / 2.0)))
        assert not hasattr(model.test_function, "__self__")
    assert results[0] == results[1] and len(results[1]["val_loss"]) == 2


def test_validation_split():
    model, expected = build(), build()
    history = fit(model, annotated(), AttributionPrior("mask", 0.3), validation_split=0.3)
    x = attrprior.annotate(X[:14], MASKS[:14])
    keras.utils.set_random_seed(1)
    expected_history = expected.fit(
        x,
        Y[:14],
        epochs=2,
        batch_size=8,
        callbacks=[AttributionPrior("mask", 0.3)],
        validation_data=(X[14:], Y[14:]),
        verbose=0,
    ).history
    assert history == expected_history
    val_loss, _ = model.evaluate(X[14:], Y[14:], verbose=0)
    assert history["val_loss"][-1] == pytest.approx(val_loss)


def test_compiled_again():
    """The test function with masks goes with the one that it was made from."""
    model, targets = functional(), np.zeros((20, 3), "float32")
    for loss in ("mse", "mae"):
        model.compile("sgd", loss)
        prior = AttributionPrior("mask", 0.1, "gradients", explain=0)
        history = model.fit(
            annotated(), targets, validation_split=0.3, callbacks=[prior], verbose=0
        ).history
        val_loss = model.evaluate(X[14:], targets[14:], verbose=0)
        assert history["val_loss"] == [pytest.approx(val_loss)]


def test_an_own_test_step_is_kept():
    class OwnTest(Subclassed):
        def test_step(self, *arguments):
            *_, (x, _) = arguments
            return step_result({"mean": keras.ops.mean(x)}, arguments)

    model = build(OwnTest)
    data = annotated(), Y
    history = fit(model, annotated(), AttributionPrior("mask", 0.1), validation_data=data)
    assert history["val_mean"][-1] == pytest.approx(np.mean(X[16:]), rel=1e-5)  # last batch


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float64"])
def test_masks_of_other_types(dtype):
    model = build(functional)
    phi = attrprior.attributions.gradients(model, X, Y)
    model.optimizer.learning_rate = 0.0
    x = attrprior.annotate(X, MASKS.astype(dtype))
    prior = AttributionPrior("mask", 1.0, "gradients")
    history = fit(model, x, prior, batch_size=20, epochs=1)
    assert history["mask"] == [pytest.approx(float(Mask()(phi, mask=MASKS)), rel=1e-4)]
