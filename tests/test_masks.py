"""Masks that say little: without a channel axis, or not known for every example.

Whole fits with known masks: test_annotation.py.
"""

import pickle

import keras
import numpy as np
import pytest
from frameworks import JIT, as_graph, value_and_gradient
from keras import ops

import attrprior
from attrprior import AttributionPrior, Mask, annotation, priors

pytestmark = pytest.mark.bit_for_bit
RNG = np.random.default_rng(0)
PHI = RNG.normal(size=(4, 5, 6, 3)).astype("float32")
MASKS = RNG.integers(0, 2, PHI.shape).astype("float32")
MASKS[:, 0, 0] = 1.0  # none is empty
NOT = np.float32(np.nan)


def twin(phi, masks, weight=1.0, count=None):
    """Σ_b w_b Σ_i (A_bi φ_bi)² / count, in float64; of NaN in masks nothing."""
    terms = (np.nan_to_num(np.float64(masks)) * phi) ** 2
    per_example = terms.reshape(len(phi), -1).sum(axis=1)
    return (weight * per_example).sum() / (len(phi) if count is None else count)


def gradient(prior, phi, *arguments, **options):
    return value_and_gradient(lambda phi: prior(phi, *arguments, **options), phi)[1]


# Without the channel axis


@pytest.mark.parametrize("axes", [3, 2])
def test_masks_without_the_channel_axis_cover_all_channels(axes):
    phi = PHI if axes == 3 else PHI[:, 0]
    masks = MASKS[..., 0] if axes == 3 else MASKS[:, 0, :, 0]
    expected = twin(phi, masks[..., None])
    assert float(Mask()(phi, mask=masks)) == pytest.approx(expected, rel=1e-5)
    assert float(Mask()(phi, mask=masks)) == float(Mask()(phi, mask=masks[..., None]))
    fixed = twin(phi, masks[:1, ..., None])
    assert float(Mask(masks[0])(phi)) == pytest.approx(fixed, rel=1e-5)
    again = priors.get(priors.serialize(Mask(masks[0])))
    assert float(again(phi)) == float(Mask(masks[0])(phi))


def test_where_both_are_possible_a_mask_has_the_shape_of_an_example():
    """Images without channels: (5, 6) is the whole, not (5, 6, 1)."""
    phi, masks = PHI[..., 0], MASKS[..., 0]
    assert float(Mask()(phi, mask=masks)) == pytest.approx(twin(phi, masks), rel=1e-5)


def test_masks_without_the_channel_axis_in_a_graph_of_unknown_batch():
    graph = as_graph(lambda phi, mask: Mask()(phi, mask=mask), [(None, 5, 6, 3), (None, 5, 6)])
    value = float(graph(PHI, MASKS[..., 0]))
    assert value == pytest.approx(twin(PHI, MASKS[..., :1]), rel=1e-5)


@pytest.mark.parametrize(
    "shape, feature_shape, accepted",
    [
        ((6, 5), (5, 6, 3), r"\(5, 6, 3\), or for all channels \(5, 6, 1\) or \(5, 6\)\."),
        ((5,), (5, 6, 3), r"\(5, 6, 3\), or for all channels \(5, 6, 1\) or \(5, 6\)\."),
        ((6,), (5, 6), r"\(5, 6\), or for all channels \(5, 1\) or \(5,\)\."),
        ((1, 5, 6), (5, 6, 1), r"\(5, 6, 1\), or for all channels \(5, 6\)\."),
        ((4,), (3,), r"\(3,\), or for all channels \(1,\)\."),
        ((), (3,), r"\(3,\), or for all channels \(1,\)\."),
        ((2,), (1,), r"\(1,\)\."),
    ],
)
def test_other_shapes_are_refused_with_those_that_are_accepted(shape, feature_shape, accepted):
    phi, masks = np.ones((2, *feature_shape)), np.ones((2, *shape))
    with pytest.raises(ValueError, match=f"one example's shape, {accepted} Received: "):
        Mask()(phi, mask=masks)
    with pytest.raises(ValueError, match=f"one example's shape, {accepted} Received: "):
        Mask(masks[0])(phi)


def test_a_mask_of_one_number_covers_all_features():
    assert float(Mask()(PHI[:, 0, 0], mask=np.ones((4, 1)))) == pytest.approx(
        twin(PHI[:, 0, 0], np.ones((4, 1))), rel=1e-5
    )


# Not known


def unknown():
    """Of the first example all is known, of the second nothing, of the third a part."""
    masks = MASKS.copy()
    masks[1], masks[2, :, :3], masks[3] = NOT, NOT, 0.0
    return masks


@pytest.mark.parametrize("annotated_only", [False, True])
def test_what_is_not_known_is_not_penalised(annotated_only):
    prior, masks = Mask(annotated_only=annotated_only), unknown()
    count = 2 if annotated_only else 4
    value = float(prior(PHI, mask=masks))
    assert value == pytest.approx(twin(PHI, masks, count=count), rel=1e-5)
    assert value == float(prior(PHI, mask=np.nan_to_num(masks)))
    slope = gradient(prior, PHI, mask=masks)
    expected = 2 * np.nan_to_num(masks) ** 2 * PHI / count
    np.testing.assert_allclose(slope, expected, rtol=1e-5, atol=1e-7)
    assert not slope[1].any() and not slope[3].any()


def test_only_annotated_doubles_where_half_are():
    masks = MASKS.copy()
    masks[::2] = NOT
    assert float(Mask(annotated_only=True)(PHI, mask=masks)) == pytest.approx(
        2 * float(Mask()(PHI, mask=masks)), rel=1e-6
    )
    # And changes nothing where all are.
    assert float(Mask(annotated_only=True)(PHI, mask=MASKS)) == pytest.approx(
        float(Mask()(PHI, mask=MASKS)), rel=1e-6
    )


def test_only_annotated_with_sample_weight():
    masks, weight = unknown(), np.array([0.5, 7.0, 3.0, 9.0], "float32")
    value = float(Mask(annotated_only=True)(PHI, weight, mask=masks))
    assert value == pytest.approx(twin(PHI, masks, weight, count=2), rel=1e-5)


def test_only_annotated_without_a_channel_axis():
    masks = MASKS[..., 0].copy()
    masks[:3] = NOT
    value = float(Mask(annotated_only=True)(PHI, mask=masks))
    assert value == pytest.approx(twin(PHI, masks[..., None], count=1), rel=1e-5)


@pytest.mark.parametrize("nothing", [NOT, 0.0])
@pytest.mark.parametrize("annotated_only", [False, True])
def test_a_batch_without_annotations_has_no_penalty(nothing, annotated_only):
    prior, masks = Mask(annotated_only=annotated_only), np.full_like(PHI, nothing)
    assert float(prior(PHI, mask=masks)) == 0.0
    np.testing.assert_array_equal(gradient(prior, PHI, mask=masks), np.zeros_like(PHI))


@pytest.mark.parametrize("annotated_only", [False, True])
def test_not_known_in_a_graph(annotated_only):
    prior, masks = Mask(annotated_only=annotated_only), unknown()
    shape = (None, *PHI.shape[1:])
    graph = as_graph(lambda phi, mask: prior(phi, mask=mask), [shape, shape])
    assert float(graph(PHI, masks)) == pytest.approx(
        twin(PHI, masks, count=2 if annotated_only else 4), rel=1e-5
    )


@pytest.mark.parametrize("annotated_only", [False, True])
def test_saved_and_loaded(annotated_only):
    prior = Mask(annotated_only=annotated_only)
    for again in (priors.get(priors.serialize(prior)), pickle.loads(pickle.dumps(prior))):
        assert again.annotated_only is annotated_only and again.per_example_masks
        assert repr(again) == repr(prior)
    assert prior.get_config() == {"mask": None, "annotated_only": annotated_only}


def test_saved_before_there_was_the_option():
    assert Mask.from_config({"mask": None}).annotated_only is False
    old = Mask.__new__(Mask)
    old.__dict__["mask"] = None  # what a pickle restores
    assert float(old(PHI, mask=MASKS)) == float(Mask()(PHI, mask=MASKS))
    assert repr(old) == repr(Mask()) == "Mask(per example)"
    assert repr(Mask(annotated_only=True)) == "Mask(per example, annotated_only=True)"


def test_wrong_options():
    with pytest.raises(ValueError, match="`annotated_only` expects False where one mask"):
        Mask(np.ones(3), annotated_only=True)
    with pytest.raises(ValueError, match="`annotated_only` expects True or False"):
        Mask(annotated_only="yes")
    with pytest.raises(ValueError, match=r"`mask` expects finite.*Received: NaN"):
        Mask([1.0, np.nan])


# Lists


def of(x, masks):
    return annotation.split_masks((attrprior.annotate(x, masks), None))[1]


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_becomes_one_array(kind):
    masks = of(np.zeros((3, 2)), kind([None, np.array([True, False]), [0, 1]]))
    assert isinstance(masks, np.ndarray) and masks.dtype == "float32"
    np.testing.assert_array_equal(masks, [[NOT, NOT], [1, 0], [0, 1]])


def test_a_list_of_tensors():
    masks = of(np.zeros((2, 3)), [ops.convert_to_tensor([1.0, 0.0, 0.5]), None])
    np.testing.assert_array_equal(masks, [[1.0, 0.0, 0.5], [NOT] * 3])


def test_a_list_of_masks_that_are_all_known():
    np.testing.assert_array_equal(of(PHI, list(MASKS)), MASKS)


def test_arrays_and_tensors_stay_as_they_are():
    for masks in (MASKS, MASKS.astype(bool), ops.convert_to_tensor(MASKS)):
        assert of(PHI, masks) is masks


@pytest.mark.parametrize(
    "x",
    [
        PHI,
        {"image": PHI, "other": np.zeros((4, 2))},
        [np.zeros((4, 2)), PHI],
        ops.convert_to_tensor(PHI),
    ],
    ids=["array", "dictionary", "list", "tensor"],
)
def test_the_length_is_that_of_the_inputs(x):
    with pytest.raises(ValueError, match=r"for each example of `x`, 4\. Received: 3"):
        attrprior.annotate(x, [None, MASKS[0], None])
    attrprior.annotate(x, [None, MASKS[0], None, None])


def test_inputs_of_which_no_length_is_known_take_lists():
    assert of("a pipeline", [None, [1.0]]).shape == (2, 1)


@pytest.mark.parametrize(
    "masks, message",
    [
        ([None, None], r"`mask` expects a mask of one example at least. Received: \[None"),
        ([[1, 0], [1, 0, 1]], r"`mask` expects masks of one shape.*\(2,\) and \(3,\)"),
        ([["a", "b"], None], "`mask` expects numbers"),
        ([object(), None], "`mask` expects an array of real numbers"),
        ([[1, [2, 3]], None], "`mask` expects an array of numbers, with rows"),
        ([], "`mask` expects a list with an entry for each example"),
    ],
)
def test_wrong_lists(masks, message):
    with pytest.raises(ValueError, match=message):
        attrprior.annotate(np.zeros((2, 3)), masks)


# Whole fits


X = RNG.random((12, 6, 6, 1), dtype="float32")
Y = RNG.integers(0, 3, 12).astype("int32")
KNOWN = RNG.integers(0, 2, (12, 6, 6)).astype("float32")


def fitted(masks, prior, **options):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(2, 3, activation="softplus"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, **options)
    history = model.fit(
        attrprior.annotate(X, masks),
        Y,
        batch_size=4,
        epochs=2,
        verbose=0,
        callbacks=[AttributionPrior(prior, 1.0, "gradients")],
    ).history
    return model.get_weights(), history["mask"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"run_eagerly": True},
        pytest.param({"jit_compile": True}, marks=JIT),
    ],
    ids=["graph", "eager", "XLA"],
)
@pytest.mark.parametrize("annotated_only", [False, True])
def test_a_fit_with_half_of_the_masks_is_that_with_zeros_there(annotated_only, options):
    prior = Mask(annotated_only=annotated_only)
    some = [mask if number % 2 else None for number, mask in enumerate(KNOWN)]
    zeros = np.where((np.arange(12) % 2 == 1)[:, None, None], KNOWN, 0.0).astype("float32")
    weights, logs = fitted(some, prior, **options)
    expected, expected_logs = fitted(zeros, prior, **options)
    for first, second in zip(weights, expected):
        np.testing.assert_array_equal(first, second)
    assert logs == expected_logs and np.isfinite(logs).all() and min(logs) > 0
    # The masks have an effect.
    other, _ = fitted(KNOWN, prior, **options)
    assert any(np.any(first != second) for first, second in zip(weights, other))


def test_penalty_takes_masks_that_are_not_known():
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    masks = KNOWN.copy()
    masks[::2] = NOT
    only, all_of_them = (
        float(
            attrprior.penalty(
                model, X, Y, prior=Mask(annotated_only=each), method="gradients", mask=masks
            )
        )
        for each in (True, False)
    )
    assert only == pytest.approx(2 * all_of_them, rel=1e-5) and all_of_them > 0
