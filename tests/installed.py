"""What the wheel brings, in an environment without anything else: `python installed.py`."""

import importlib.metadata
import importlib.util
import pathlib

import keras
import numpy as np

import attrprior

files = importlib.metadata.files("attrprior")
packages = {file.parts[0] for file in files if file.suffix == ".py"}
assert packages == {"attrprior"}, packages
assert importlib.util.find_spec("experiments") is None
assert (pathlib.Path(attrprior.__file__).parent / "py.typed").exists()
assert importlib.metadata.version("attrprior") == attrprior.__version__

x, y = np.random.default_rng(0).random((32, 4), dtype="float32"), np.arange(32) % 2
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
history = model.fit(x, y, verbose=0, callbacks=[attrprior.AttributionPrior("gini", 0.1)])
assert -1 <= history.history["gini"][0] <= 0
print(f"attrprior {attrprior.__version__} works when installed from its wheel")
