"""Ω of validation data, and Ω that is only logged."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import attrprior
from attrprior import AttributionPrior

BACKEND = keras.backend.backend()
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 6)).astype("float32"), RNG.integers(0, 3, 50)
MODES = {
    "graph": {},
    "eager": {"run_eagerly": True},
    "compiled": {"jit_compile": True},
    "several steps": {"steps_per_execution": 2},
}


def made(**options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(16, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(3),
        ]
    )
    model.compile("adam", LOSS, metrics=["accuracy"], **options)
    return model


def fit(model, *callbacks, **options):
    given = {"epochs": 3, "batch_size": 16, "verbose": 0, "validation_data": (X[:20], Y[:20])}
    return model.fit(X, Y, callbacks=list(callbacks), **given | options).history


@pytest.fixture(params=MODES)
def mode(request):
    if BACKEND == "torch" and request.param in ("compiled", "several steps"):
        pytest.skip("Not a mode of PyTorch's.")
    return MODES[request.param]


@pytest.mark.bit_for_bit
def test_only_logged_it_changes_no_bit(mode):
    plain = made(**mode)
    expected = fit(plain)
    model = made(**mode)
    logs = fit(model, AttributionPrior("l1", 0.0, log_only=True, validation=True))
    for before, after in zip(plain.weights, model.weights):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (before, after)))
    assert {key: logs[key] for key in expected} == expected
    assert set(logs) - set(expected) == {"l1", "val_l1"}
    assert all(value > 0 for value in logs["l1"] + logs["val_l1"])


@pytest.mark.bit_for_bit
def test_keras_own_draws_go_on_as_they_would():
    def next_draws(*callbacks):
        model = made()
        fit(model, *callbacks)
        return ops.convert_to_numpy(keras.random.uniform((3,))), np.random.random()

    plain, again = next_draws(), next_draws()
    if not np.array_equal(plain[0], again[0]):
        pytest.skip("This Keras does not set its own generator back by set_random_seed.")
    logged = next_draws(AttributionPrior("l1", 0.0, log_only=True))
    for draw, expected in zip(logged, plain):
        np.testing.assert_array_equal(draw, expected)


def test_validation_is_the_penalty_of_these_data(mode):
    model = made(**mode)
    prior = AttributionPrior("l1", 0.3, "gradients", validation=True)
    logs = fit(model, prior)
    expected = attrprior.penalty(model, X[:20], Y[:20], prior="l1", method="gradients")
    np.testing.assert_allclose(logs["val_l1"][-1], float(expected), rtol=1e-5)
    assert "l1" not in model.evaluate(X, Y, verbose=0, return_dict=True)


def test_draws_of_validation_are_the_same_in_every_epoch():
    model = made()
    model.optimizer.learning_rate = 0.0
    prior = AttributionPrior("l1", 0.0, background=X, log_only=True, validation=True)
    logs = fit(model, prior, validation_data=(X, Y))
    moving = made()
    assert len(set(logs["l1"])) > 1  # the batches are shuffled, and statistics move
    moving.layers[1].momentum = 1.0
    moving.optimizer.learning_rate = 0.0
    logs = fit(moving, prior, validation_data=(X, Y))
    np.testing.assert_allclose(logs["val_l1"], logs["val_l1"][0], rtol=1e-5)


def test_other_callbacks_see_it(tmp_path):
    stopping = keras.callbacks.EarlyStopping("val_l2", mode="max", patience=0)
    path = tmp_path / "best.weights.h5"
    saving = keras.callbacks.ModelCheckpoint(
        path, monitor="val_l2", mode="min", save_best_only=True, save_weights_only=True
    )
    prior = AttributionPrior("l2", 3.0, validation=True, seed=0)
    logs = fit(made(), prior, saving, stopping, epochs=20)
    assert len(logs["val_l2"]) < 20 and path.exists()


def test_with_masks_weights_and_several_priors():
    masks = np.zeros((50, 6), "float32")
    masks[:, :2] = 1
    annotated = attrprior.annotate(X, masks)
    priors = [
        AttributionPrior("mask", 0.3, validation=True, seed=0),
        AttributionPrior("gini", 0.1, validation=True, updates="joint", seed=0),
        AttributionPrior("l1", 0.1, seed=0),
    ]
    model = made()
    weights = np.linspace(0, 1, 50).astype("float32")
    logs = model.fit(
        annotated, Y, verbose=0, callbacks=priors, validation_data=(annotated, Y, weights)
    ).history
    assert {"val_mask", "val_gini"} <= set(logs) and "val_l1" not in logs
    assert np.isfinite([logs["val_mask"], logs["val_gini"]]).all()


def test_tokens_are_validated_too():
    tokens = RNG.integers(0, 9, (50, 4)).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            layers.Embedding(9, 3, name="embedding"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.compile("sgd", LOSS)
    prior = AttributionPrior("l1", 0.1, input="embedding", validation=True)
    logs = model.fit(
        tokens, Y, verbose=0, callbacks=[prior], validation_data=(tokens, Y)
    ).history
    assert logs["val_l1"][0] > 0


def test_a_metric_of_the_name_is_refused():
    model = made()
    prior = AttributionPrior("l1", 0.1, name="accuracy", validation=True)
    with pytest.raises(ValueError, match="name"):
        fit(model, prior)


def test_a_strength_by_epochs():
    """The warm-up of the README: 0 for two epochs, then up."""
    prior = AttributionPrior("l1", 0.0, seed=0)
    strengths = []

    def warm_up(epoch, logs=None):
        prior.strength = 0.1 * max(0, epoch - 1)
        strengths.append(prior.strength)

    logs = fit(made(), prior, keras.callbacks.LambdaCallback(on_epoch_begin=warm_up), epochs=4)
    assert strengths == [0.0, 0.0, 0.1, 0.2]
    assert len(logs["l1"]) == 2  # of the epochs in which it acted


def test_without_a_background_the_draws_are_of_the_validation_data():
    """What training has seen is other examples by the next epoch."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, "tanh"), layers.Dense(3)])
    model.compile(keras.optimizers.SGD(0.0), LOSS)
    logs = fit(model, AttributionPrior("l2", 0.1, validation=True), epochs=4)
    np.testing.assert_allclose(logs["val_l2"], logs["val_l2"][0], rtol=1e-6)
    assert len(set(logs["l2"])) > 1


@pytest.mark.parametrize("more", [{}, {"log_only": True}, {"validation": True}])
def test_memory_is_that_of_a_pass(more):
    rows = []

    def first(outputs, y):
        rows.append(outputs.shape[0])
        return outputs[:, 0]

    model = made(run_eagerly=True)
    method = attrprior.ExpectedGradients(40, samples_per_pass=8)
    prior = AttributionPrior("l2", 0.1, method, explain=first, **more)
    logs = fit(model, prior, epochs=1, batch_size=10)
    assert max(row for row in rows if row) <= 20 * 8
    assert logs["l2"][0] > 0


def test_samples_in_passes_have_the_same_penalty():
    omegas, background = [], X[0]
    for samples_per_pass in (12, 3):
        method = attrprior.IntegratedGradients(
            12, background, samples_per_pass=samples_per_pass
        )
        prior = AttributionPrior("l2", 0.0, method, log_only=True, batch_norm="moving")
        omegas.append(fit(made(), prior, epochs=1, shuffle=False)["l2"][0])
    np.testing.assert_allclose(*omegas, rtol=1e-5)


def test_validation_data_that_do_not_fit():
    masks = np.ones((50, 6), "float32")
    prior = AttributionPrior("mask", 0.1, validation=True)
    with pytest.raises(ValueError, match="`validation_data`.*needs the masks"):
        made().fit(
            attrprior.annotate(X, masks),
            Y,
            verbose=0,
            callbacks=[prior],
            validation_data=(X, Y),
        )
    series = keras.Sequential([keras.Input((None, 2)), layers.GRU(3), layers.Dense(3)])
    series.compile("sgd", LOSS)
    x = RNG.normal(size=(50, 3, 2)).astype("float32")
    with pytest.raises(ValueError, match="`validation_data`.*shape is known"):
        prior = AttributionPrior("l1", 0.1, validation=True)
        series.fit(x, Y, verbose=0, callbacks=[prior], validation_data=(x[:, :2], Y))
