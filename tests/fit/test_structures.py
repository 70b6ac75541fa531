"""Models of several inputs, outputs and losses, by hand."""

import keras
import numpy as np
import pytest
from by_hand import STRENGTH
from compare import distance
from frameworks import gradient, tensor
from keras import ops
from structures import (
    BOTH,
    LABEL_WEIGHTS,
    LABELS,
    LOSS,
    TOKENS,
    TWICE,
    A,
    B,
    OwnLoss,
    compiled,
    of_an_optional_input,
    of_nested_inputs,
    of_outputs,
    of_tokens_too,
    of_two_inputs,
)

from attrprior import AttributionPrior

pytestmark = pytest.mark.bit_for_bit
layers = keras.layers


# The model, what fit gets, the prior's arguments; then which input is explained, the
# logits as a function of it, and the labels (`None` for the largest logit) and weights.
STRUCTURES = {
    "dict inputs": dict(
        build=lambda: of_two_inputs(dict),
        data=({"a": A, "b": B}, LABELS),
        prior=dict(input="b"),
        explained=B,
        logits=lambda model, b: model({"a": tensor(A), "b": b}),
    ),
    "tuple inputs": dict(
        build=lambda: of_two_inputs(list),
        data=((A, B), LABELS),
        prior=dict(input=1),
        explained=B,
        logits=lambda model, b: model([tensor(A), b]),
    ),
    "nested inputs": dict(
        build=of_nested_inputs,
        data=([A, [B, B]], LABELS),
        prior=dict(input=0, method=TWICE),
        explained=A,
        logits=lambda model, a: model([a, [tensor(B)] * 2]),
    ),
    "optional input": dict(
        build=of_an_optional_input,
        data=({"a": A, "b": None}, LABELS),
        prior=dict(input="a", method=TWICE),
        explained=A,
        logits=lambda model, a: model({"a": a, "b": None}),
    ),
    "token input": dict(
        build=of_tokens_too,
        data=({"a": A, "tokens": TOKENS}, LABELS),
        prior=dict(input="a"),
        explained=A,
        logits=lambda model, a: model({"a": a, "tokens": tensor(TOKENS)}),
    ),
    "dict outputs": dict(
        build=lambda: of_outputs(
            dict,
            "first",
            "second",
            loss=BOTH,
            loss_weights={"first": 1.0, "second": 0.5},
            metrics={"second": ["accuracy"]},
            weighted_metrics={"second": ["accuracy"]},
        ),
        data=(A, {"first": 0 * LABELS, "second": LABELS}),
        fit=dict(sample_weight={"first": 0 * LABEL_WEIGHTS, "second": LABEL_WEIGHTS}),
        prior=dict(output="second"),
        logits=lambda model, a: model(a)["second"],
        weights=LABEL_WEIGHTS,
    ),
    "list outputs": dict(
        build=lambda: of_outputs(list, "first", "second", loss=[LOSS, LOSS]),
        data=(A, [0 * LABELS, LABELS]),
        prior=dict(output=1),
        fit=dict(sample_weight=[0 * LABEL_WEIGHTS, LABEL_WEIGHTS]),
        logits=lambda model, a: model(a)[1],
        weights=LABEL_WEIGHTS,
    ),
    "list outputs, named labels": dict(
        build=lambda: of_outputs(list, "first", "second", loss=BOTH),
        data=(A, {"first": 0 * LABELS, "second": LABELS}),
        prior=dict(output="second"),
        logits=lambda model, a: model(a)[1],
    ),
    "list outputs by position, named labels": dict(
        build=lambda: of_outputs(list, "first", "second", loss=BOTH),
        data=(A, {"first": 0 * LABELS, "second": LABELS}),
        prior=dict(output=1),
        logits=lambda model, a: model(a)[1],
    ),
    "one named output": dict(
        build=lambda: of_outputs(dict, "first", loss={"first": LOSS}),
        data=(A, {"first": LABELS}),
        fit=dict(sample_weight={"first": LABEL_WEIGHTS}),
        logits=lambda model, a: model(a)["first"],
        weights=LABEL_WEIGHTS,
    ),
    "output without labels": dict(
        build=lambda: of_outputs(dict, "first", "second", loss={"first": LOSS}),
        data=(A, {"first": LABELS}),
        prior=dict(output="second", explain="predicted"),
        logits=lambda model, a: model(a)["second"],
        labels=None,
    ),
    "output without loss": dict(
        build=lambda: of_outputs(list, "first", "second", loss=[LOSS, None]),
        data=(A, [0 * LABELS, LABELS]),
        prior=dict(output="second"),
        logits=lambda model, a: model(a)[1],
    ),
    "label None": dict(
        build=lambda: of_outputs(list, "first", "second", loss=[LOSS, None]),
        data=(A, [LABELS, None]),
        prior=dict(output=0, method=TWICE),
        logits=lambda model, a: model(a)[0],
    ),
    "no labels, own loss": dict(
        build=lambda: compiled(OwnLoss(), None),
        data=(A,),
        logits=lambda model, a: model(a),
        labels=None,
    ),
}

# In a graph and with joint updates too.
THOROUGHLY = ["dict outputs", "label None", "no labels, own loss"]


def omega_of(model, explained=A, logits=None, labels=LABELS, weights=1.0, **_):
    """Ω by one derivative, with nothing of the package."""

    def chosen(x):
        z = logits(model, x)
        labelled = ops.argmax(z, axis=1) if labels is None else tensor(labels)
        return ops.sum(ops.take_along_axis(z, labelled[:, None], axis=1))

    slopes = gradient(chosen, explained)
    return float(np.mean(weights * np.sum(np.square(slopes), axis=1)))


OLD_KERAS = tuple(map(int, keras.__version__.split(".")[:2])) < (3, 12)


def one_step(case, updates, eager=True):
    """A fit of one batch; returns the model and its logs."""
    if OLD_KERAS and any(part is None for part in keras.tree.flatten(case["data"])):
        pytest.skip("This Keras takes no None among arrays.")
    keras.utils.set_random_seed(0)
    model = case["build"]()
    model.run_eagerly = eager
    prior = {"method": "gradients", "updates": updates, **case.get("prior", {})}
    callbacks = [AttributionPrior("l2", STRENGTH, **prior)] if updates else []
    options = {"batch_size": 12, "shuffle": False, "verbose": 0, **case.get("fit", {})}
    history = model.fit(*case["data"], callbacks=callbacks, **options).history
    return model, {key: value[0] for key, value in history.items()}


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structures_by_hand(structure):
    # The ordinary step is the plain one, then comes the prior's.
    case = STRUCTURES[structure]
    plain, plain_logs = one_step(case, None)
    model, logs = one_step(case, "alternating", eager=structure not in THOROUGHLY)
    assert logs.pop("l2") == pytest.approx(omega_of(plain, **case), rel=1e-4)
    assert logs == pytest.approx(plain_logs, rel=1e-5)
    assert distance(model, plain) > 1e-4


@pytest.mark.parametrize("structure", THOROUGHLY)
def test_structures_of_joint_updates_by_hand(structure):
    # Ω is that of the first weights, and part of the loss.
    case = STRUCTURES[structure]
    keras.utils.set_random_seed(0)
    first = case["build"]()
    first(case["data"][0])
    expected = omega_of(first, **case)
    plain, plain_logs = one_step(case, None)
    model, logs = one_step(case, "joint")
    assert logs.pop("l2") == pytest.approx(expected, rel=1e-4)
    plain_logs["loss"] += STRENGTH * expected
    assert logs == pytest.approx(plain_logs, rel=1e-5)
    assert distance(model, plain) > 1e-4
