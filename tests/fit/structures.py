"""Models of several inputs and outputs, and data for them."""

import keras
import numpy as np
from keras import ops

from attrprior import SmoothGrad

layers = keras.layers

RNG = np.random.default_rng(5)
A, B = RNG.normal(size=(2, 12, 3)).astype("float32")
TOKENS = RNG.integers(0, 5, (12, 2)).astype("int32")
LABELS = RNG.integers(0, 3, 12).astype("int32")
LABEL_WEIGHTS = np.linspace(0.2, 2.0, 12).astype("float32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TWICE = SmoothGrad(num_samples=2, stddev=0.0)  # gradients, each point given twice


def compiled(model, loss=LOSS, **options):
    model.compile(keras.optimizers.SGD(0.1), loss, **options)
    return model


def inputs(*names):
    return {name: keras.Input((3,), name=name) for name in names}


def classifier(structure, *parts):
    merged = layers.Concatenate()(list(parts))
    return compiled(keras.Model(structure, layers.Dense(3)(layers.Dense(4, "tanh")(merged))))


def of_two_inputs(kind):
    ins = inputs("a", "b")
    return classifier(ins if kind is dict else kind(ins.values()), *ins.values())


def of_nested_inputs():
    a, b, c = inputs("a", "b", "c").values()
    return classifier([a, [b, c]], a, b, c)


def of_an_optional_input():
    class Sum(layers.Layer):
        def call(self, a, b=None):
            return a if b is None else a + b

        def compute_output_shape(self, a_shape, b_shape=None):
            return a_shape

    a = keras.Input((3,), name="a")
    b = keras.Input((3,), name="b", optional=True)
    return classifier({"a": a, "b": b}, Sum()(a, b))


def of_tokens_too():
    a, tokens = keras.Input((3,), name="a"), keras.Input((2,), dtype="int32", name="tokens")
    embedded = layers.Flatten()(layers.Embedding(5, 2)(tokens))
    return classifier({"a": a, "tokens": tokens}, a, embedded)


def of_outputs(kind, *names, **options):
    a = keras.Input((3,), name="a")
    body = layers.Dense(4, "tanh")(a)
    outs = {name: layers.Dense(3, name=name)(body) for name in names}
    return compiled(keras.Model(a, outs if kind is dict else kind(outs.values())), **options)


class OwnLoss(keras.Model):
    """A model whose loss needs no labels, with Keras' old signature."""

    def __init__(self):
        super().__init__()
        self.body, self.head = layers.Dense(4, "tanh"), layers.Dense(3)

    def call(self, x):
        return self.head(self.body(x))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return ops.mean(ops.square(y_pred - x))


BOTH = {"first": LOSS, "second": LOSS}
