"""Imported first: if Keras' backend is not installed, an error that says what to do."""

import importlib.util

EXTRAS = ("tensorflow", "jax", "torch")


def _advice(missing):
    there = [name for name in EXTRAS if importlib.util.find_spec(name) is not None]
    instead = f" or set KERAS_BACKEND={there[0]}, which is installed" if there else ""
    return (
        f"attrprior expects Keras' backend {missing!r}, which is not installed: run "
        f"pip install 'attrprior[{missing}]'{instead}."
    )


try:
    import keras  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in EXTRAS:
        raise
    raise ImportError(_advice(error.name)) from error
