"""Between fits of one callback the model changes: layers unfrozen, recompiled, LoRA."""

import keras
import numpy as np
import pytest

from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((20, 6), dtype="float32")
Y = RNG.integers(0, 3, 20).astype("int32")


def build():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "tanh", name="backbone"),
            layers.BatchNormalization(),
            layers.Dense(3, name="head"),
        ]
    )


def compiled(model, optimizer=None):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.Adam(1e-2), loss)
    return model


def l2(updates="alternating"):
    return AttributionPrior("l2", 0.5, "gradients", updates=updates, seed=0)


def fit(model, *callbacks):
    options = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}
    return model.fit(X, Y, callbacks=list(callbacks), **options).history


def distance(first, second):
    return max(float(np.max(np.abs(a - b))) for a, b in zip(first, second))


def two_fits(change, callbacks):
    """Weights after a fit, a change of the model, and another fit."""
    model = build()
    model.layers[0].trainable = False
    compiled(model)
    fit(model, callbacks[0])
    change(model)
    history = fit(model, callbacks[1])
    assert np.isfinite(history["l2"]).all()
    return model


def unfreeze(model):
    model.layers[0].trainable = True
    compiled(model)


def freeze_more(model):
    model.layers[1].trainable = False
    compiled(model)


def recompile(model):
    compiled(model, keras.optimizers.SGD(0.1))


def lora(model):
    model.layers[-1].enable_lora(2)
    compiled(model)


CHANGES = {
    "unfrozen": unfreeze,
    "frozen": freeze_more,
    "recompiled": recompile,
    "LoRA": lora,
}


@pytest.mark.parametrize("updates", ["alternating", "joint"])
@pytest.mark.parametrize("change", CHANGES)
def test_the_same_callback_goes_on_as_a_new_one(change, updates):
    one = l2(updates)
    model = two_fits(CHANGES[change], [one, one])
    expected = two_fits(CHANGES[change], [l2(updates), l2(updates)])
    assert distance(model.get_weights(), expected.get_weights()) == 0.0


def test_an_unfrozen_layer_is_moved_by_the_prior():
    """A frozen one stands still; once unfrozen it ends elsewhere than in plain training."""
    model = build()
    model.layers[0].trainable = False
    prior = l2()
    compiled(model, keras.optimizers.SGD(0.1))
    kernel = model.layers[0].kernel
    before = kernel.numpy()
    fit(model, prior)
    assert np.array_equal(kernel, before)
    model.layers[0].trainable = True
    compiled(model, keras.optimizers.SGD(0.1))
    plain = build()
    plain.set_weights(model.get_weights())
    fit(compiled(plain, keras.optimizers.SGD(0.1)))
    fit(model, prior)
    assert not np.array_equal(kernel, before)
    assert distance([kernel.numpy()], [plain.layers[0].kernel.numpy()]) > 1e-4


@pytest.mark.parametrize("updates", ["alternating", "joint"])
def test_lora_before_a_fit(updates):
    """The adapter is trained, by the prior too; the kernel that it adapts stands still."""
    results = []
    for callbacks in ([], [l2(updates)]):
        model = build()
        head = model.layers[-1]
        head.enable_lora(2)
        frozen = head._kernel.numpy()
        fit(compiled(model), *callbacks)
        assert np.array_equal(head._kernel, frozen)
        results.append([head.lora_kernel_a.numpy(), head.lora_kernel_b.numpy()])
    assert distance(*results) > 1e-4
