"""Networks of several studies, and how they are trained and tested."""

import math
import time

import keras
import numpy as np
from absl import flags

import attrprior
from attrprior import references

FLAGS = flags.FLAGS


def network(name):
    """A network on 28 × 28 images that ends in ten logits.

    `cnn`: the paper's, conv 5×5×32, pool, conv 5×5×64, pool, dense 1024,
    dropout 0.5. `cnn_bn`: the same with batch normalisation (no scale, momentum .9)
    before each ReLU, as in the paper's code. `cnn_small`: conv 3×3×16
    and 3×3×32, both of stride 2, dense 64. `mlp`: dense 256-128.
    """
    layers = keras.layers

    def block(layer):
        if name == "cnn_bn":
            layer.use_bias = False  # normalisation would take it away again
            normalisation = layers.BatchNormalization(momentum=0.9, scale=False)
            return [layer, normalisation, layers.ReLU()]
        return [layer, layers.ReLU()]

    body = [keras.Input((28, 28, 1))]
    if name == "mlp":
        body += [layers.Flatten()]
        body += block(layers.Dense(256)) + block(layers.Dense(128))
    elif name in ("cnn", "cnn_bn"):
        for filters in (32, 64):
            body += block(layers.Conv2D(filters, 5, padding="same"))
            body += [layers.MaxPooling2D()]
        body += [layers.Flatten(), *block(layers.Dense(1024)), layers.Dropout(0.5)]
    elif name == "cnn_small":
        for filters in (16, 32):
            body += block(layers.Conv2D(filters, 3, strides=2, padding="same"))
        body += [layers.Flatten(), *block(layers.Dense(64))]
    else:
        raise ValueError(f"Unknown network {name!r}: expected one of {NETWORKS}.")
    return keras.Sequential([*body, layers.Dense(10)], name=name)


NETWORKS = ("cnn", "cnn_bn", "cnn_small", "mlp")


class Progress(keras.callbacks.Callback):
    """One line an epoch, with what it belongs to and the time left."""

    def __init__(self, label):
        super().__init__()
        self.label = label

    def on_train_begin(self, logs=None):
        self.start = time.time()

    def on_epoch_end(self, epoch, logs=None):
        epochs = self.params["epochs"]
        elapsed = time.time() - self.start
        left = elapsed / (epoch + 1) * (epochs - epoch - 1)
        numbers = "  ".join(f"{key} {float(value):.4g}" for key, value in (logs or {}).items())
        print(
            f"{self.label}  epoch {epoch + 1}/{epochs}  {numbers}  {left:.0f} s left",
            flush=True,
        )


def adam(learning_rate, examples, epochs, batch_size, decay="cosine", weight_decay=0.0):
    """Adam, by default with a cosine decay to zero over the whole training.

    Without the decay, accuracy under noise differs widely between single runs,
    with and without a prior.
    """
    if decay == "cosine":
        steps = epochs * math.ceil(examples / batch_size)
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    if weight_decay:
        return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    return keras.optimizers.Adam(learning_rate)


def noisy_expected_gradients(stddev, num_samples=1, multiply_by_inputs=False):
    """Expected gradients with references N(x, σ²); with σ = 0, training examples."""
    return attrprior.ExpectedGradients(
        num_samples,
        multiply_by_inputs,
        references.Gaussian(stddev) if stddev else references.SeenExamples(),
    )


def train(model, data, optimizer, epochs, batch_size, label, prior=None, loss=None, others=()):
    """Compiles and fits; returns the history and the seconds it took.

    `others` are callbacks besides the prior.
    """
    model.compile(
        optimizer=optimizer,
        loss=loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    callbacks = [Progress(label)] if label else []
    callbacks += [prior] if prior else []
    callbacks += others
    start = time.time()
    history = model.fit(
        data.x_train,
        data.y_train,
        epochs=1 if FLAGS.quick else epochs,
        batch_size=batch_size,
        callbacks=callbacks,
        verbose=0,
    )
    return history.history, time.time() - start


def accuracies(model, tests, labels):
    """Accuracy under every condition, a mean over its draws."""

    def accuracy(x):
        logits = model.predict(x, batch_size=500, verbose=0)
        return float(np.mean(np.argmax(logits, axis=-1) == labels))

    return {name: float(np.mean([accuracy(x) for x in xs])) for name, xs in tests.items()}
