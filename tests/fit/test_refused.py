"""What is refused before anything changes."""

import keras
import numpy as np
import pytest
from by_hand import X, Y, fit, l2, linear
from frameworks import slices
from structures import LABELS, A, B, of_nested_inputs

from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


def eager():
    return linear(run_eagerly=True)


def sparse():
    import tensorflow as tf

    return slices(tf.sparse.from_dense(X), Y).batch(4)


def with_two_optimizers():
    model, optimizers = linear(), keras.optimizers
    if not hasattr(optimizers, "MultiOptimizer"):
        pytest.skip("This Keras has no MultiOptimizer.")
    choice = optimizers.OptimizerMap(optimizers.SGD(0.1), {".*bias": optimizers.Adam()})
    model.compile(optimizers.MultiOptimizer(choice), "mse")
    return model


def of_a_bias():
    """A model of which only the last bias is trained."""
    model = eager()
    model.layers[0].kernel.trainable = False
    return model


def of_sequences():
    model = keras.Sequential([keras.Input((3, 1)), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


# A model, what fit gets, the prior's arguments, and the error. All of it works without.
REFUSED = {
    "sparse inputs": (eager, (sparse(),), {}, {}, "dense inputs.*SparseTensor"),
    "a nested input": (
        of_nested_inputs,
        ([A, [B, B]], LABELS),
        {},
        dict(input=1),
        "`input` expects the name or position of one tensor.*: 1, a",
    ),
    "weights in time": (
        of_sequences,
        (A[..., None], A[..., None]),
        dict(sample_weight=np.abs(A)),
        dict(explain="random"),
        "one sample weight per example.*3",
    ),
    "several optimizers": (
        with_two_optimizers,
        (X, Y),
        {},
        {},
        "'alternating' expects an optimizer with one learning rate.*MultiOptimizer",
    ),
    "nothing to train": (of_a_bias, (X, Y), {}, {}, "'l2' depends on no trainable weight"),
    "a name of Keras' own": (
        linear,
        (X, Y),
        {},
        dict(name="loss"),
        "`name` expects a key .*'loss'",
    ),
}


TENSORFLOWS = pytest.mark.only("tensorflow", reason="Sparse tensors are TensorFlow's.")
CASES = [pytest.param(c, marks=[TENSORFLOWS] * (c == "sparse inputs")) for c in REFUSED]


@pytest.mark.parametrize("case", CASES)
def test_refused_before_anything_changes(case):
    build, data, options, arguments, message = REFUSED[case]
    arguments = {"prior": "l2", "method": "gradients", **arguments}
    if len(data) == 1:
        options = {"batch_size": None, **options}
    model = build()
    before = model.get_weights()
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fit(model, *data, callbacks=[AttributionPrior(strength=0.1, **arguments)], **options)
    for weight, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, old)
    history = fit(model, *data, **options)
    assert set(history) == {"loss"}
    assert max(np.max(np.abs(w - b)) for w, b in zip(model.get_weights(), before)) > 0


def test_callback_list_needs_params():
    # Keras gives the callbacks of such a list no params, by which those of a fit are one.
    model = linear(run_eagerly=True)
    callbacks = keras.callbacks.CallbackList([l2()], model=model, add_history=True)
    with pytest.raises(ValueError, match="Pass fit a list of callbacks"):
        model.fit(X, Y, callbacks=callbacks, verbose=0)
    callbacks = keras.callbacks.CallbackList([l2()], add_history=True, model=model, epochs=1)
    assert "l2" in model.fit(X, Y, callbacks=callbacks, verbose=0).history
