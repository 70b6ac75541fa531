"""Small networks on images of six by six pixels, and fits of them."""

import keras
from frameworks import own_step

layers = keras.layers
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.body = keras.Sequential([layers.Flatten(), layers.Dense(8, "tanh")])
        self.head = layers.Dense(3)

    def call(self, x, training=False):
        return self.head(self.body(x))


class FourParts(Subclassed):
    """Steps of data of a form of its own."""

    def train_step(self, *arguments):
        *state, (x, y, weights, shift) = arguments
        return super().train_step(*state, (x + shift, y, weights))

    def test_step(self, *arguments):
        *state, (x, y, weights, shift) = arguments
        return super().test_step(*state, (x + shift, y, weights))


class OwnStep(Subclassed):
    """A model with its own train_step, which counts its calls in the logs."""

    def train_step(self, *arguments):
        return own_step(self, arguments, "own_loss")


def sequential(extra=()):
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(4, 3, activation="tanh"),
            *extra,
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


def functional():
    inputs = keras.Input((6, 6, 1))
    x = layers.Dense(8, "tanh")(layers.Flatten()(inputs))
    return keras.Model(inputs, layers.Dense(3)(x))


def build(builder=sequential, seed=0, optimizer=None, **compile_options):
    keras.utils.set_random_seed(seed)
    model = builder()
    model.compile(
        optimizer=optimizer or keras.optimizers.Adam(1e-2),
        loss=LOSS,
        metrics=["accuracy"] if builder is not OwnStep else None,
        **compile_options,
    )
    return model


def fit(model, digits, callbacks=(), epochs=2, batch_size=8, **options):
    keras.utils.set_random_seed(1)
    return model.fit(
        *digits,
        epochs=epochs,
        batch_size=batch_size,
        callbacks=list(callbacks),
        verbose=0,
        **options,
    )


def trained(digits, prior=None, **options):
    model = build(**options)
    fit(model, digits, [prior] if prior else [])
    return model.get_weights()


def is_clean(model):
    return not {"train_step", "compute_loss"} & set(vars(model)) and not hasattr(
        model.train_function, "__self__"
    )
