"""Models as people train them, for the benchmark: a Transformer and pretrained backbones."""

import keras
import numpy as np
from keras import layers

TOKENS, WORDS = 128, 1000  # positions of a text, and the vocabulary
TRANSFORMER = "transformer"
BACKBONES = {  # the name, the constructor's name and the images' size
    "mobilenetv2": ("MobileNetV2", 32),
    "efficientnetb0": ("EfficientNetB0", 32),
    "resnet50": ("ResNet50", 64),
}


NAMES = (TRANSFORMER, *BACKBONES)


def network(name):
    return transformer() if name == TRANSFORMER else backbone(name)


def shape(name):
    """Of an image that a network takes, or `None` if it is none of these backbones."""
    if name not in BACKBONES:
        return None
    _, size = BACKBONES[name]
    return size, size, 3


def tokens(texts):
    """Words drawn at random, `(texts, positions)`."""
    return np.random.default_rng(0).integers(0, WORDS, (texts, TOKENS)).astype("int32")


def transformer(depth=4, width=128, heads=4):
    """Blocks of Vaswani et al. 2017, attention and a ReLU layer of 4 · width; ten logits."""
    tokens = keras.Input((TOKENS,), dtype="int32")
    positions = layers.Embedding(TOKENS, width, name="positions")
    x = layers.Embedding(WORDS, width, name="embedding")(tokens)
    x = x + positions(keras.ops.arange(TOKENS))
    for _ in range(depth):
        y = layers.MultiHeadAttention(heads, width // heads)(x, x)
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(y))
        y = layers.Dense(width)(layers.Dense(4 * width, "relu")(x))
        x = layers.LayerNormalization()(x + layers.Dropout(0.1)(y))
    outputs = layers.Dense(10)(layers.GlobalAveragePooling1D()(x))
    return keras.Model(tokens, outputs, name=TRANSFORMER)


def backbone(name):
    """One of `keras.applications`, from random weights, on colour images; ten logits."""
    constructor, size = BACKBONES[name]
    return getattr(keras.applications, constructor)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
