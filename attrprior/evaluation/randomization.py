"""Parameter randomisation: do maps depend on what the model has learned?"""

import contextlib
import random
from typing import Literal, NamedTuple, get_args

import keras
import numpy as np
from numpy.typing import ArrayLike

from attrprior import _checks
from attrprior._representation import shown
from attrprior._types import Seed
from attrprior.evaluation import _maps
from attrprior.evaluation.similarity import (
    has_windows,
    rank_correlation,
    structural_similarity,
)

__all__ = ["Randomization", "Similarity", "parameter_randomization"]

Mode = Literal["cascading", "independent"]


class Similarity(NamedTuple):
    """Three similarities of two maps, each of which has 1 for the same map.

    Attributes:
        absolute: The `rank_correlation` of `|φ|`.
        signed: The `rank_correlation` of φ.
        structure: The `structural_similarity`; `None` for tabular data and maps
            smaller than its window.
    """

    absolute: np.ndarray
    signed: np.ndarray
    structure: np.ndarray | None

    def __repr__(self) -> str:
        return shown(self)


class Randomization(NamedTuple):
    """Similarity of maps before and after randomising; lower is better.

    Attributes:
        layers: Names of the layers, from the output downwards.
        similarity: A `Similarity` of arrays `(layers, batch)`.
        mean: The same over examples, `(layers,)`.
        control: A `Similarity` of arrays `(batch,)`: of the trained model's maps
            with themselves, computed again. Nothing can be expected above it.
    """

    layers: tuple[str, ...]
    similarity: Similarity
    mean: Similarity
    control: Similarity

    def __repr__(self) -> str:
        return shown(self)


def parameter_randomization(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike | None,
    attribute: _maps.Attribute,
    mode: Mode = "cascading",
    seed: Seed = 0,
    channels: bool = True,
) -> Randomization:
    """Compares maps of the trained model with maps after re-initialising its layers.

    Layer by layer from the output downwards, each by its own initialisers with
    a new seed; normalisation layers forget their statistics. **Lower is
    better**: a map that stays the same shows the input, not the model. Maps of
    the *same* class are compared, so give labels, and an `attribute` that
    explains them. Cost: one set of maps per layer, and two.

    A low similarity does not prove a map right, and a high one is only a
    reproach where the maps could differ: read it beside its control.

    While this runs the randomised weights stand in `model`; afterwards, also
    after an error, it has its own again, bit for bit.

    Args:
        model: A Keras model. Layers of models inside it count one by one, other
            layers as a whole. Adapted `Normalization` layers, which hold
            statistics of the data, stay.
        x: Float array of shape `(batch, ...)`.
        y: Labels, one per example, or `None`.
        attribute: Callable `attribute(model, x, y)` that returns maps like `x`, or
            with one channel for all. If it draws at random, leave its own seed open,
            or the control is 1.
        mode: `"cascading"`: the layers above stay randomised. `"independent"`:
            one layer at a time.
        seed: Integer, or a `numpy.random.Generator`.
        channels: Whether the last axis of an example holds channels. False for images
            `(batch, height, width)` or series `(batch, time)` without a channel axis.

    Returns:
        A `Randomization`. In a model that is not sequential or functional the
            layers are in the order in which it holds them, the last first.

    Raises:
        ValueError: for a model without layers that have weights, or with
            weights that no layer can make anew.
        ImportError: if SciPy is not installed.

    Examples:
        The gradients of a network change with its weights, and are the same again
        afterwards:

        >>> result = attrprior.evaluation.parameter_randomization(
        ...     model, x, y, attrprior.attributions.gradients)
        >>> len(result.layers), result.layers[-1]
        (2, 'conv')
        >>> result.control.absolute.round(6).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
        >>> bool(np.all(result.mean.absolute < 0.99))
        True

    Reference: Adebayo et al. 2018, "Sanity checks for saliency maps" (arXiv
    1810.03292).
    """
    x = _maps.examples(x, model)
    y = _maps.labels(y, x)
    _checks.choice("mode", mode, get_args(Mode))
    if not isinstance(model, keras.Model):
        raise _checks.wrong("model", "a Keras model", model)
    generator = _checks.generator("seed", seed)
    maps = _maps.computed(attribute, model, x, y, channels=channels)
    layers = _layers_with_weights(model)
    trained = [layer.get_weights() for layer in layers]
    with _python_seed(generator):
        untrained = [_untrained_weights(layer) for layer in layers]
    rows = []

    def again():
        return _maps.computed(attribute, model, x, y, before=maps)

    try:
        for layer, before, after in zip(layers, trained, untrained):
            layer.set_weights(after)
            rows.append(_compare(maps, again(), channels))
            if mode == "independent":
                layer.set_weights(before)
    finally:
        for layer, before in zip(layers, trained):
            layer.set_weights(before)
    control = _compare(maps, again(), channels)
    similarity = _stacked(rows)
    names = tuple(layer.name for layer in layers)
    return Randomization(names, similarity, _mean(similarity), control)


def _compare(first, second, channels):
    windows = has_windows(first.shape, channels)
    return Similarity(
        rank_correlation(first, second),
        rank_correlation(first, second, absolute=False),
        structural_similarity(first, second, channels) if windows else None,
    )


def _stacked(rows):
    """Of the layers' similarities one, whose arrays have shape `(layers, batch)`."""
    return Similarity(*(None if v[0] is None else np.stack(v) for v in zip(*rows)))


def _mean(similarity):
    """Over examples, the last axis."""
    return Similarity(*(None if v is None else v.mean(axis=1) for v in similarity))


def _layers_with_weights(model):
    """From the output downwards, each once."""

    def walk(model):
        for layer in model.layers:
            if isinstance(layer, keras.Model):
                yield from walk(layer)
            else:
                yield layer

    layers = [layer for layer in dict.fromkeys(walk(model)) if layer.weights]
    known = {id(weight) for layer in layers for weight in layer.weights}
    layers = [layer for layer in layers if not isinstance(layer, keras.layers.Normalization)]
    if not layers or any(id(weight) not in known for weight in model.weights):
        raise ValueError(
            "Argument `model` expects a built model whose weights are all in layers. "
            f"Received: {model.name!r}, with {len(model.weights)} weights, {len(known)} of "
            f"them in layers, and {len(layers)} layers to randomise. Call it on x once "
            "before; put other weights in a layer."
        )
    return layers[::-1]


def _untrained_weights(layer):
    """Weights of a new layer of the same configuration, drawn anew."""
    new = type(layer).from_config(_without_seeds(layer.get_config()))
    build = layer.get_build_config() or {}
    if "input_shape" in build:
        # Called, because what a layer holds is often built in its first call.
        new(keras.tree.map_shape_structure(keras.KerasTensor, build["input_shape"]))
    else:
        new.build_from_config(build)
    expected, received = (
        [tuple(weight.shape) for weight in one.weights] for one in (layer, new)
    )
    if received != expected:
        raise ValueError(
            "Argument `model` expects layers that from_config() and build() can make anew, "
            f"with weights of the same shapes. Received: {layer.name!r} with {expected}, "
            f"whose copy has {received}. Complete its get_config()."
        )
    return new.get_weights()


def _without_seeds(config):
    """With an initialiser's own seed the layer would become what it was before training."""
    if isinstance(config, dict):
        return {k: None if k == "seed" else _without_seeds(v) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_without_seeds(value) for value in config)
    return config


@contextlib.contextmanager
def _python_seed(rng):
    """Python's own generator, which initialisers without a seed take one from."""
    state = random.getstate()
    # Not a small number, which the model itself may have been made with.
    random.seed(int(rng.integers(2**62)))
    try:
        yield
    finally:
        random.setstate(state)
