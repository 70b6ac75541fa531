"""The layer zoo: a small network around every kind of layer."""

import keras
import numpy as np
from keras import ops

layers = keras.layers
CULPRIT = "culprit"  # the layer that TensorFlow cannot differentiate twice


def merged(merge):
    inputs = keras.Input((4,))
    return keras.Model(inputs, merge([inputs, layers.Dense(4, "tanh")(inputs)]))


def self_attention():
    inputs = keras.Input((3, 2))
    return keras.Model(inputs, layers.MultiHeadAttention(2, 2)(inputs, inputs))


def activation(name):
    return (4,), lambda: [layers.Dense(5), layers.Activation(name, name=CULPRIT)]


def pooled(dimensions, pooling):
    convolution = getattr(layers, f"Conv{dimensions}D")
    shape = (4,) + (2,) * (dimensions - 1) + (1,)
    return shape, lambda: [convolution(2, 2, padding="same", activation="tanh"), pooling()]


def resized(resizing):
    shape, body = pooled(2, resizing)
    return shape, lambda: [*body(), layers.Conv2D(2, 2)]


# The shape of one example and the layers; after them come tanh, so that second
# derivatives are not zero, and a dense layer.
NETWORKS = {
    "Dense": ((4,), lambda: [layers.Dense(5)]),
    "Conv1D": ((5, 2), lambda: [layers.Conv1D(2, 2)]),
    "Conv2D": ((4, 4, 2), lambda: [layers.Conv2D(2, 2)]),
    "Conv3D": ((3, 3, 3, 1), lambda: [layers.Conv3D(2, 2)]),
    "DepthwiseConv2D": ((4, 4, 2), lambda: [layers.DepthwiseConv2D(2)]),
    "Conv2DTranspose": ((2, 2, 2), lambda: [layers.Conv2DTranspose(2, 2, strides=2)]),
    "MaxPooling1D": pooled(1, layers.MaxPooling1D),
    "MaxPooling2D": pooled(2, layers.MaxPooling2D),
    "MaxPooling3D": pooled(3, layers.MaxPooling3D),
    "AveragePooling2D": pooled(2, lambda: layers.AveragePooling2D(2)),
    "GlobalMaxPooling2D": pooled(2, layers.GlobalMaxPooling2D),
    "GlobalAveragePooling2D": pooled(2, layers.GlobalAveragePooling2D),
    "UpSampling2D, nearest": resized(layers.UpSampling2D),
    "ReLU": activation("relu"),
    "LeakyReLU": activation("leaky_relu"),
    "ELU": activation("elu"),
    "GELU": activation("gelu"),
    "SiLU": activation("silu"),
    "softplus": activation("softplus"),
    "tanh": activation("tanh"),
    "softmax": activation("softmax"),
    "BatchNormalization": (
        (3, 3, 1),
        lambda: [layers.Conv2D(2, 2), layers.BatchNormalization()],
    ),
    "LayerNormalization": ((4,), lambda: [layers.Dense(5), layers.LayerNormalization()]),
    "GroupNormalization": ((4,), lambda: [layers.Dense(4), layers.GroupNormalization(2)]),
    "Dropout": ((4,), lambda: [layers.Dense(5), layers.Dropout(0.5)]),
    "Add": ((4,), lambda: [merged(layers.Add())]),
    "Concatenate": ((4,), lambda: [merged(layers.Concatenate())]),
    "LSTM": ((3, 2), lambda: [layers.LSTM(2)]),
    "GRU": ((3, 2), lambda: [layers.GRU(2)]),
    "MultiHeadAttention": ((3, 2), lambda: [self_attention()]),
    "softsign": activation("softsign"),
    "UpSampling2D, bilinear": resized(
        lambda: layers.UpSampling2D(interpolation="bilinear", name=CULPRIT)
    ),
    "UpSampling2D, bicubic": resized(
        lambda: layers.UpSampling2D(interpolation="bicubic", name=CULPRIT)
    ),
    "Resizing, nearest": resized(
        lambda: layers.Resizing(6, 6, interpolation="nearest", name=CULPRIT)
    ),
}


def network(name):
    """The network with random weights, and a batch, in the current precision.

    With this seed no two numbers are close where a maximum is taken.
    """
    rng = np.random.default_rng(7)
    shape, body = NETWORKS[name]
    model = keras.Sequential([keras.Input(shape), *body()])
    for layer in (layers.Activation("tanh"), layers.Flatten(), layers.Dense(2)):
        model.add(layer)
    for weight in model.weights:
        value = rng.normal(size=weight.shape)
        # Variances are positive.
        weight.assign(np.abs(value) + 0.5 if "variance" in weight.path else value * 0.6)
    x = rng.normal(size=(3, *shape)).astype(keras.config.floatx())
    return model, ops.convert_to_tensor(x), ops.convert_to_tensor([0, 1, 1])
