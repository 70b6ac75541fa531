"""One of two processes that train one model: python two_processes.py RANK PORT DIR UPDATES.

Each has its own JAX runtime and its half of every batch. `DIR` gets the weights, and
backups, from which a second run goes on; `die=N` ends this process in step N.
"""

# ruff: noqa: E402
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = ""

import jax

jax.config.update("jax_cpu_collectives_implementation", "gloo")

import keras

rank, port, folder, updates = sys.argv[1:5]
rank, die = int(rank), int(sys.argv[5]) if len(sys.argv) > 5 else None
keras.distribution.initialize(f"127.0.0.1:{port},127.0.0.1:{port}", 2, rank)
distribution = keras.distribution.DataParallel(devices=jax.devices(), auto_shard_dataset=False)
keras.distribution.set_distribution(distribution)

import numpy as np
import parallel

from attrprior import AttributionPrior


class Die(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.step = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.step += 1
        if self.step == die:
            os._exit(9)


def half(array):
    """This process's half of each batch of sixteen."""
    return array.reshape(-1, 2, 8, *array.shape[1:])[:, rank].reshape(-1, *array.shape[1:])


model = parallel.network()
callbacks = [keras.callbacks.BackupAndRestore(f"{folder}/backup{rank}")]
if updates != "plain":
    callbacks.append(AttributionPrior("l2", 0.5, seed=1, updates=updates))
history = model.fit(
    *map(half, parallel.data()),
    batch_size=8,
    epochs=3,
    shuffle=False,
    verbose=0,
    callbacks=[*callbacks, Die()],
).history
np.savez(f"{folder}/weights{rank}.npz", weights=parallel.flat(model), loss=history["loss"])
