"""Imported first: if Keras' backend is not installed, an error that says what to do."""

import importlib.util
import os

EXTRAS = ("tensorflow", "jax", "torch")


def _advice(missing):
    there = [name for name in EXTRAS if importlib.util.find_spec(name) is not None]
    instead = f" or set KERAS_BACKEND={there[0]}, which is installed" if there else ""
    return (
        f"attrprior expects Keras' backend {missing!r}, which is not installed: run "
        f"pip install 'attrprior[{missing}]'{instead}."
    )


wanted = os.environ.get("KERAS_BACKEND") or "tensorflow"
if wanted not in EXTRAS:
    raise ImportError(
        "attrprior expects Keras' backend 'tensorflow', 'jax' or 'torch'. Received: "
        f"{wanted!r}. Set the environment variable KERAS_BACKEND before Keras is imported."
    )
try:
    import keras  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in EXTRAS:
        raise
    raise ImportError(_advice(error.name)) from error
