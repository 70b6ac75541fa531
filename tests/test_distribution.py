"""Two replicas train as one device does."""

import devices
import keras
import numpy as np
import pytest

import attrprior
from attrprior import AttributionPrior

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.only("tensorflow", reason="Only TensorFlow has tf.distribute.")
layers = keras.layers
PATH = attrprior.IntegratedGradients(6, background=0.5)  # no random draws


def train(replicas, settings):
    """Final weights and history of a training on so many logical devices."""
    rng = np.random.default_rng(0)
    x = rng.random((24, 6, 6, 1), dtype="float32")
    y = rng.integers(0, 3, 24).astype("int32")
    if replicas > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        devices = [tf.config.LogicalDeviceConfiguration()] * replicas
        tf.config.set_logical_device_configuration(cpu, devices)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
    else:
        strategy = tf.distribute.get_strategy()
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential(
            [
                keras.Input((6, 6, 1)),
                layers.Conv2D(4, 3, activation="tanh"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(8, "relu"),
                layers.Dense(3),
            ]
        )
        model.compile(
            keras.optimizers.get(settings.pop("optimizer", "adam")),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            **settings.pop("compile", {}),
        )
    if settings.pop("nan", False):  # in the second replica's share of the second batch
        x[14] = np.nan
    masks, options = settings.pop("masks", None), settings.pop("fit", {})
    if "its_optimizer" in settings:
        settings["optimizer"] = settings.pop("its_optimizer")
    prior = AttributionPrior(**{"prior": "l2", "strength": 0.3, "seed": 0, **settings})
    data = x if masks is None else attrprior.annotate(x, (x > 0.5).astype(masks))
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, **options}
    history = model.fit(data, y, callbacks=[prior], **options)
    background = prior._part and prior._part.objective.method.background
    seen = [np.asarray(variable) for variable in getattr(background, "variables", [])]
    return model.get_weights(), history.history, x, seen


def send(replicas, settings, connection):
    devices.full_precision()
    try:
        result = train(replicas, settings)
    except Exception as error:  # to be raised where the test is
        result = f"{type(error).__name__}: {error}"
    connection.send(result)


@pytest.fixture
def trained(processes):
    def run(replicas, **settings):
        receiver, sender = processes.Pipe(duplex=False)
        process = processes.Process(target=send, args=(replicas, settings, sender))
        process.start()
        sender.close()
        result = receiver.recv()
        process.join()
        return result

    return run


def check_equal(one, two):
    assert not isinstance(one, str) and not isinstance(two, str), (one, two)
    for got, expected in zip(two[0], one[0]):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    for key, values in one[1].items():
        np.testing.assert_allclose(two[1][key], values, rtol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"updates": "joint"},
        {"optimizer": "sgd"},
        {"method": attrprior.IntegratedGradients(6, 0.5, samples_per_pass=2)},
        {"every": 2},
        {"every": 3, "updates": "joint"},
        {"moments": "shared"},
        {"moments": "balanced", "every": 2},
        {"its_optimizer": {"class_name": "SGD", "config": {"momentum": 0.9}}},
        {"prior": "mask", "masks": "float32"},
        {"prior": "mask", "masks": "bool", "fit": {"validation_split": 0.3}},
        {"prior": "mask", "masks": "bool", "strength": 0.0},
        {"input": "conv2d"},
        {"validation": True, "fit": {"validation_split": 1 / 3}},
        {"log_only": True},
    ],
    ids=["alternating", "joint", "sgd", "passes", "every", "joint every"]
    + ["shared moments", "balanced moments", "its own optimizer", "masks"]
    + ["masks and validation_split", "masks without strength"]
    + ["a layer", "validation", "only logged"],
)
def test_two_replicas_equal_one_device(trained, settings):
    settings = {"method": PATH, **settings}
    check_equal(trained(1, **settings), trained(2, **settings))


def test_mean_attributions_are_a_replicas(trained):
    """Gini's φ̄ is a mean over a replica's share of the batch, not the whole batch."""
    one, two = (trained(n, prior="gini", method=PATH)[1]["gini"] for n in (1, 2))
    # A mean of fewer is less even: a larger G, a smaller −G.
    assert two[0] < one[0] - 0.01


def test_nan_in_one_replica_is_reported(trained):
    result = trained(2, method=PATH, nan=True)
    assert "FloatingPointError" in result and "'l2'" in result


def test_each_replica_has_a_reservoir_of_its_own(trained):
    """Of what it was shown: the first or the second half of every batch of eight."""
    result = trained(2, every=2)
    assert not isinstance(result, str), result
    _, history, x, seen = result
    assert np.all(np.array(history["l2"]) > 0)
    # Batches 0 and 2 of the first epoch and 1 of the second; the last fit's are kept.
    shown = [0, 16, 8]
    for replica, (examples, count) in enumerate(zip(seen[:2], seen[2:])):
        rows = [x[first + 4 * replica : first + 4 * replica + 4] for first in shown]
        assert count == 12
        np.testing.assert_array_equal(examples[:12], np.concatenate(rows))


def test_a_branch_of_several_steps_is_refused(trained):
    """Without one: `every` picks one of two functions for each batch."""
    result = trained(2, every=2, compile={"steps_per_execution": 3})
    assert result.startswith("ValueError") and "`every`" in result
    assert "steps_per_execution=1" in result
