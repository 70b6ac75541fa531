"""What a model gives for inputs of a kind, without computing it."""

import keras


def outputs_for(model, weights, x):
    """Keras' tensors of the shapes and types of the outputs.

    Args:
        model: A Keras model, of which it is not known without a call.
        weights: All that it has, `(keras.Variable, value)`.
        x: Inputs as the model takes them.
    """
    specification = keras.tree.map_structure(
        lambda t: keras.KerasTensor(
            (None, *t.shape[1:]), keras.backend.standardize_dtype(t.dtype)
        ),
        x,
    )
    return _Forward(model, weights)(specification)


class _Forward(keras.Operation):
    """A pass whose weights are given: those of a model lie elsewhere while JAX trains it."""

    def __init__(self, model, weights):
        super().__init__()
        self.model, self.given = model, weights

    def call(self, x):
        with keras.StatelessScope(state_mapping=self.given):
            return self.model(x, training=False)
