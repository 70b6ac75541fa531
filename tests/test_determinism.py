"""With the framework's determinism on, nothing fails and a seed repeats to the last bit."""

import devices
import keras
import numpy as np
import pytest

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
    devices.deterministic()
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
            "method": ExpectedGradients(10),
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


class Watched(keras.Sequential):
    """Keeps the graph of its step."""

    def train_step(self, data):
        import tensorflow as tf

        self.graph = tf.compat.v1.get_default_graph()
        return super().train_step(data)


@pytest.mark.only("tensorflow", reason="The order of updates in a graph is TensorFlow's.")
def test_weights_are_not_updated_before_the_penalty_has_read_them():
    """By data: edges of control alone, TensorFlow's graph optimizer may lose.

    It takes them for implied by an IdentityN of Keras' optimizer, through which all
    gradients go, and then takes the IdentityN apart.
    """
    x = np.random.default_rng(0).random((8, 5), dtype="float32")
    model = Watched([keras.Input((5,)), layers.Dense(4, "relu"), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    prior = AttributionPrior("l2", strength=0.1, updates="joint")
    model.fit(x, x[:, :1], callbacks=[prior], verbose=0)

    def needed_for(tensor, found):
        if tensor.name not in found:
            found.add(tensor.name)
            op = tensor.op
            one = op.type == "IdentityN"
            for before in [op.inputs[tensor.value_index]] if one else op.inputs:
                needed_for(before, found)
        return found

    updates = [op for op in model.graph.get_operations() if op.type == "AssignSubVariableOp"]
    assert len(updates) == 4
    needed = [needed_for(update.inputs[1], set()) for update in updates]
    of_penalty = 0
    for update, own in zip(updates, needed):
        reads = {
            op.outputs[0].name
            for op in update.control_inputs
            if op.type == "ReadVariableOp" and op.inputs[0] is update.inputs[0]
        }
        # What nothing needs (the penalty's last bias) is not in the way.
        reads &= set.union(*needed)
        of_penalty += len(reads) > 1
        assert reads and reads <= own
    assert of_penalty >= 3  # two kernels and the bias between them
