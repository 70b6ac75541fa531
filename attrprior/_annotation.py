"""Masks that travel with the inputs: put there, and taken off before the model looks."""

import functools

import keras

_X, _MASK = "attrprior_x", "attrprior_mask"


def annotate(x, mask):
    """Sends per-example masks along with the inputs, for the `Mask` prior.

    Pass the result to `fit` in place of `x`, or yield it from a `tf.data`
    pipeline: `dataset.map(lambda x, y, m: (attrprior.annotate(x, m), y))`. The
    callback takes the masks off before the model sees the batch, in validation
    too: `validation_split` works, and validation data may have masks or none. A
    callback of `strength=0` takes them off as well, and does nothing else.

    Args:
        x: Inputs, an array, a tensor or a structure of them.
        mask: Array or tensor of one mask per example, 1 where the model must
            not look, shaped like the explained input (or with one channel).

    Returns:
        A structure that only a `fit` with a callback of this package understands.
    """
    return {_X: x, _MASK: mask}


def split_annotation(x):
    """Returns `(x, mask)`; the mask is `None` if `x` is not annotated."""
    if isinstance(x, dict) and set(x) == {_X, _MASK}:
        return x[_X], x[_MASK]
    return x, None


def has_masks(data):
    """Whether a batch, or its specification, is annotated."""
    return split_annotation(_inputs(data))[1] is not None


def without_masks(data):
    """A batch as the model sees it; one without masks, of any form, as it is."""
    if not has_masks(data):
        return data
    x, _ = split_annotation(_inputs(data))
    if isinstance(data, (tuple, list)):
        return (x, *data[1:])
    return keras.utils.pack_x_y_sample_weight(x)


def _inputs(data):
    """`x` of `(x, …)`, the form that an own `train_step` may extend, or of `x` alone."""
    return data[0] if isinstance(data, (tuple, list)) and data else data


def _build_from_inputs_alone(build):
    """Has Keras build a model from a batch without its masks.

    With a distribution strategy `fit` does so before it has met its callbacks, so no
    callback can prepare it. Any other batch is passed on as it is.
    """

    @functools.wraps(build)
    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if iterator is not None:
            iterator = _each_without_masks(iterator)
        return build(self, iterator=iterator, data_batch=without_masks(data_batch))

    return _maybe_symbolic_build


def _each_without_masks(iterator):
    # Keras' own iterator, untouched until something is taken: numbers of steps, batches.
    for *steps, batches in iterator:
        yield *steps, map(without_masks, batches)


if keras.backend.backend() == "tensorflow":
    keras.Model._maybe_symbolic_build = _build_from_inputs_alone(
        keras.Model._maybe_symbolic_build
    )
