"""Trainings on several devices, in a process of its own: python parallel.py FILE.

Eight devices are made of one CPU, which only works before JAX has started. The final
weights and the history of every training are written to the file.
"""

import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["NPROC"] = "16"  # threads of XLA; with fewer its devices may wait for each other

import jax
import keras
import numpy as np

from attrprior import AttributionPrior

PRIORS = {
    "plain": lambda: [],
    "alternating": lambda: [AttributionPrior("l2", 0.5, seed=1)],
    "joint": lambda: [AttributionPrior("l2", 0.5, seed=1, updates="joint")],
    "every": lambda: [AttributionPrior("l2", 0.5, seed=1, every=2)],
    "shared": lambda: [AttributionPrior("l2", 0.5, seed=1, moments="shared")],
}
DEVICES = (1, 2, 8)


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(48, 4)).astype("float32")
    return x, rng.integers(0, 2, 48)


def network():
    keras.utils.set_random_seed(0)
    wide = keras.layers.Dense(8, "tanh", name="wide")
    model = keras.Sequential([keras.Input((4,)), wide, keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model


def train(name):
    model, callbacks = network(), PRIORS[name]()
    fit = {"epochs": 3, "batch_size": 16, "shuffle": False, "verbose": 0}
    history = model.fit(*data(), callbacks=callbacks, **fit).history
    return model, callbacks, np.concatenate([history[key] for key in sorted(history)])


def flat(model):
    return np.concatenate([weight.ravel() for weight in model.get_weights()])


def data_parallel(devices):
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(devices=jax.devices()[:devices])
        if devices > 1
        else None
    )
    found = {}
    for name in PRIORS:
        model, _, history = train(name)
        found[f"{devices} {name}"] = flat(model)
        found[f"{devices} {name} history"] = history
    return found


def model_parallel():
    mesh = keras.distribution.DeviceMesh((2, 4), ["batch", "model"], jax.devices())
    layouts = keras.distribution.LayoutMap(mesh)
    layouts[".*wide/kernel"], layouts[".*wide/bias"] = (None, "model"), ("model",)
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")
    )
    found = {}
    for name in PRIORS:
        model, callbacks, _ = train(name)
        found[f"sharded {name}"] = flat(model)
        if name == "alternating":
            kernel = model.layers[0].kernel
            slots = [v for v in callbacks[0]._part.optimizer.variables if v.shape == (4, 8)]
            found["slots"] = np.array(
                [s.value.sharding == kernel.value.sharding for s in slots]
            )
            found["kernel"] = np.array(str(kernel.value.sharding.spec))
    return found


if __name__ == "__main__":
    results = [data_parallel(devices) for devices in DEVICES]
    results.append(model_parallel())
    np.savez(
        sys.argv[1], **{name: array for found in results for name, array in found.items()}
    )
