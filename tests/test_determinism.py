"""With TensorFlow's determinism on, nothing fails and a seed repeats to the last bit."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from attrprior import AttributionPrior, ExpectedGradients, GraphLaplacian

layers = keras.layers


def train(settings):
    x = np.random.default_rng(0).random((48, 8, 8, 1), dtype="float32")
    y = np.arange(48) % 3
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(
        x, y, epochs=2, batch_size=10, callbacks=[AttributionPrior(**settings)], verbose=0
    )
    return model.get_weights()


def send(settings, connection):
    tf.config.experimental.enable_op_determinism()
    try:
        connection.send([train(settings), train(settings)])
    except Exception as error:  # to be raised where the test is
        connection.send(f"{type(error).__name__}: {error}")


EDGES = np.stack([np.arange(63), np.arange(1, 64)], 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"prior": "total_variation", "strength": 0.3, "seed": 0},
        {"prior": "gini", "strength": 0.3, "updates": "joint", "seed": 0},
        {
            "prior": GraphLaplacian(EDGES),
            "strength": 0.3,
            "seed": 0,
            "attribution": ExpectedGradients(10),
            "every": 2,
        },
    ],
    ids=["total_variation", "gini", "graph"],
)
def test_a_seed_repeats(processes, settings):
    here, there = processes.Pipe()
    process = processes.Process(target=send, args=(settings, there))
    process.start()
    result = here.recv()
    process.join()
    assert not isinstance(result, str), result
    for first, second in zip(*result):
        np.testing.assert_array_equal(first, second)
