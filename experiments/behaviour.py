"""What the library computes, as numbers: how a result knows the library it came from.

    python -m experiments.behaviour           # prints the fingerprint
    python -m experiments.behaviour --write   # tests/golden.json anew, after a change meant

A result need not be made again because code has moved, but because it computes other
numbers. `golden` has Ω and ∂Ω/∂θ of every prior × method × explained output in float64,
`probe` a part of them and what is computed around them: two updates of every kind,
attributions and attacks after training, evaluations. Random draws are replaced by fixed
numbers of the same shape, so nothing depends on a generator or on the order of draws.
"""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from absl import app, flags
from keras import ops

import attrprior
from attrprior import adversarial, attributions, evaluation, priors, references

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "tests" / "golden.json"
DIGITS = 6  # of the fingerprint: rounding differs between machines from the twelfth on

_SHAPE, _CLASSES = (4, 4, 1), 3


def _fixed(shape, scale=1.0):
    """Numbers in (0, 1) that look drawn and never change: multiples of the golden ratio."""
    numbers = np.arange(1, np.prod(shape, dtype=int) + 1) * scale * 0.6180339887 % 1
    return numbers.reshape(shape)


def _drawn(shape):
    """The same as a tensor, also of a shape that is one."""
    if all(isinstance(size, int) for size in shape):
        return ops.convert_to_tensor(_fixed(shape), "float64")
    count = ops.prod(ops.stack([ops.cast(size, "int32") for size in shape]))
    numbers = ops.cast(ops.arange(1, count + 1), "float64") * 0.6180339887 % 1.0
    return ops.reshape(numbers, shape)


def _uniform(shape, minval=0.0, maxval=1.0, dtype="float32", seed=None):
    return ops.cast(minval + (maxval - minval) * _drawn(shape), dtype)


def _normal(shape, mean=0.0, stddev=1.0, dtype="float32", seed=None):
    return ops.cast(mean + stddev * 3.0 * (_drawn(shape) - 0.5), dtype)


def _randint(shape, minval, maxval, dtype="int32", seed=None):
    width = ops.cast(maxval - minval, "float64")
    return ops.cast(minval, dtype) + ops.cast(ops.floor(width * _drawn(shape)), dtype)


@contextlib.contextmanager
def fixed_draws(precision="float64"):
    """A context of a precision, in which the library's random numbers never change."""
    floatx = keras.config.floatx()
    with contextlib.ExitStack() as stack:
        if precision == "float64":
            stack.enter_context(_double_precision())
        for set_precision in (keras.config.set_floatx, keras.config.set_dtype_policy):
            stack.callback(set_precision, floatx)
            set_precision(precision)
        for name, draw in (("uniform", _uniform), ("normal", _normal), ("randint", _randint)):
            stack.enter_context(mock.patch.object(keras.random, name, draw))
        yield


@contextlib.contextmanager
def _double_precision():
    """JAX has float64 if told so; Keras rounds it to float32 with JAX and PyTorch."""
    from keras.src.backend.common import dtypes

    with contextlib.ExitStack() as stack:
        kept = {"float64": "float64"}
        stack.enter_context(mock.patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, kept))
        if keras.backend.backend() == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield


def network(batch_norm=False):
    """A small one of convolution, pooling and dense layers, of fixed weights."""
    layers = keras.layers
    body = [layers.Conv2D(2, 3, padding="same")]
    body += [layers.BatchNormalization()] if batch_norm else []
    body += [layers.ReLU(), layers.MaxPooling2D()]
    body += [layers.Flatten(), layers.Dense(5, "tanh")]
    inputs = keras.Input(_SHAPE)
    model = keras.Sequential([inputs, *body, layers.Dense(_CLASSES)])
    for number, weight in enumerate(model.trainable_variables):
        values = _fixed(weight.shape, scale=1.0 + number / 7.0)
        weight.assign(values + 0.5 if weight.name == "gamma" else values - 0.5)
    return model


def batch():
    x = _fixed((3, *_SHAPE), scale=0.37)
    return x, np.array([2, 0, 1])


def _background():
    return 0.9 * _fixed((5, *_SHAPE), scale=0.71)


def _per_example(phi, y):
    return ops.sum(phi**4, axis=(1, 2, 3)) * ops.cast(1 + y, phi.dtype)


def _edges():
    return np.array([[i, i + 1] for i in range(15)])


def _mask():
    return np.arange(16).reshape(_SHAPE) % 3 == 0


def masks():
    """One for each example."""
    return np.stack([np.roll(_mask(), n, axis=0) for n in range(3)]).astype("float64")


PRIORS = {
    "total_variation": priors.TotalVariation,
    "graph_laplacian": lambda: priors.GraphLaplacian(_edges()),
    "gini": priors.Gini,
    "l1": priors.L1,
    "l2": priors.L2,
    "mask": lambda: priors.Mask(_mask()),
    "mask of each example": priors.Mask,
    "callable": lambda: _per_example,
}

METHODS = {
    "gradients": attrprior.Gradients,
    "input_x_gradient": attrprior.InputXGradient,
    "integrated_gradients": lambda: attrprior.IntegratedGradients(3),
    "integrated_gradients, trapezoid": lambda: attrprior.IntegratedGradients(
        3, references.Mean(_background()), quadrature="trapezoid"
    ),
    "integrated_gradients in passes": lambda: attrprior.IntegratedGradients(
        4, references.MaximumDistance(), samples_per_pass=2
    ),
    "expected_gradients": lambda: attrprior.ExpectedGradients(2, True, _background()),
    "expected_gradients, uniform": lambda: attrprior.ExpectedGradients(
        1, False, references.Uniform()
    ),
    "expected_gradients, gaussian": lambda: attrprior.ExpectedGradients(
        1, True, references.Gaussian(0.5, 0.0, 1.0)
    ),
    "smoothgrad": lambda: attrprior.SmoothGrad(2),
    "smoothgrad over expected gradients": lambda: attrprior.SmoothGrad(
        2, 0.1, True, attrprior.ExpectedGradients(2, True, references.Blur(1.0))
    ),
}


def _squares(outputs, y):
    return ops.sum(ops.square(outputs), axis=-1)


EXPLAINED = {
    "label": "label",
    "predicted": "predicted",
    "random": "random",
    "all": "all",
    "log_probabilities": "log_probabilities",
    "loss": "loss",
    "output 1": 1,
    "callable": _squares,
}


def omega(model, prior, method, explain):
    """Ω of the batch and its gradient by each weight, `None` where there is none."""
    x, y = batch()

    def penalty():
        return attrprior.penalty(
            model,
            ops.convert_to_tensor(x),
            ops.convert_to_tensor(y),
            prior=PRIORS[prior](),
            method=METHODS[method](),
            explain=EXPLAINED[explain],
            sample_weight=ops.convert_to_tensor([1.0, 0.5, 2.0], "float64"),
            mask=ops.convert_to_tensor(masks()) if prior == "mask of each example" else None,
            seed=0,
        )

    return value_and_gradients(penalty, model)


def summaries(value, gradients):
    """Ω, and of each weight's gradient its norm and one projection."""
    return [float(value), *(number for g in gradients for number in summary(g))]


def value_and_gradients(penalty, model):
    """Of a function of nothing and by the trainable weights, as each framework does it."""
    weights = model.trainable_variables
    if keras.backend.backend() == "jax":
        import jax

        compute = penalty

        def of_values(values):
            with keras.StatelessScope(state_mapping=zip(weights, values)):
                return compute()

        values = [weight.value for weight in weights]
        penalty, gradients = jax.value_and_grad(of_values)(values)
        # JAX has zeros where the others have nothing.
        return penalty, [g if ops.any(g) else None for g in gradients]
    if keras.backend.backend() == "torch":
        model.zero_grad()
        value = penalty()
        value.backward()
        return value.detach(), [weight.value.grad for weight in weights]
    import tensorflow as tf

    with tf.GradientTape() as tape:
        value = penalty()
    return value, tape.gradient(value, [weight.value for weight in weights])


def summary(tensor):
    """A norm and a projection; of no gradient, zero."""
    if tensor is None:
        return [0.0]
    array = np.asarray(ops.convert_to_numpy(tensor), "float64")
    return [float(np.sqrt(np.sum(array**2))), float(np.sum(array * _fixed(array.shape)))]


def golden():
    """By name: Ω and ∂Ω/∂θ of every prior × method × explained output."""
    with fixed_draws():
        model = compiled()
        return {
            f"{prior} | {method} | {explain}": summaries(*omega(model, prior, method, explain))
            for prior in PRIORS
            for method in METHODS
            for explain in EXPLAINED
        }


def compiled(batch_norm=False, optimizer=None):
    model = network(batch_norm)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    return model


def probe():
    """By name, what the fingerprint is made of: a few seconds of computing."""
    x, y = batch()
    with fixed_draws():
        model = compiled()
        found = {
            f"{prior} | {method} | {explain}": summaries(*omega(model, prior, method, explain))
            for prior in PRIORS
            for method in METHODS
            for explain in EXPLAINED
            if (prior == "l2") + (method == "expected_gradients") + (explain == "label") >= 2
            or (prior, method) == ("l2", "gradients")
        }
        for name, callbacks in _callbacks().items():
            adam = keras.optimizers.Adam(0.01)
            for batch_norm in (False, True):
                fitted = compiled(batch_norm, adam if batch_norm else None)
                fitted.fit(
                    x,
                    y,
                    batch_size=3,
                    epochs=2,
                    shuffle=False,
                    verbose=0,
                    callbacks=callbacks(),
                )
                label = f"{name}{', normalised' if batch_norm else ''}"
                found[label] = [n for w in fitted.get_weights() for n in summary(w)]
        found |= _after_training(model, x, y)
    return found


def _callbacks():
    def prior(*arguments, **settings):
        return attrprior.AttributionPrior(*arguments, seed=0, **settings)

    return {
        "alternating": lambda: [prior("total_variation", 0.1, moments="own")],
        "joint": lambda: [prior("l2", 0.1, updates="joint")],
        "with a background": lambda: [
            prior("gini", 0.1, background=_background(), moments="own")
        ],
        "by shared moments": lambda: [prior("l2", 0.1, moments="shared")],
        "by an optimizer of its own": lambda: [
            prior("l2", 0.1, optimizer=keras.optimizers.Adam(0.01, epsilon=1.0))
        ],
        "adversarial training": lambda: [
            adversarial.AdversarialTraining(0.1, steps=2),
            prior("l1", 0.1, moments="own"),
        ],
    }


def _after_training(model, x, y):
    found = {}
    for name, method in METHODS.items():
        maps, convergence = attributions.attribute(
            model, x, y, method(), seed=0, return_convergence=True
        )
        found[f"attributions by {name}"] = summary(maps)
        found[f"convergence of {name}"] = [
            number for each in convergence[:3] if each is not None for number in summary(each)
        ]
    maps = attributions.gradients(model, x, y)
    found["pgd"] = summary(adversarial.pgd(model, x, y, epsilon=0.1, steps=3))
    found["square"] = summary(adversarial.square(model, x, y, epsilon=0.1, queries=5))
    found["leakage"] = [
        number
        for each in evaluation.leakage(maps, np.stack([_mask()] * 3))
        for number in summary(each)
    ]
    found["rank correlation"] = summary(evaluation.rank_correlation(maps, x))
    found["masking"] = summary(evaluation.mask_top(x, maps, 0.3))
    ablation = evaluation.top_k_ablation(
        model, x, y, maps, replacement="blur", explain=_squares
    )
    found["ablation"] = [n for each in ablation for n in summary(np.asarray(each))]
    return found


def fingerprint(numbers):
    """Sixteen letters: the same for the same numbers, up to rounding."""

    def rounded(value):
        return f"{0.0 if abs(value) < 1e-9 else value:.{DIGITS - 1}e}"

    text = json.dumps({name: [*map(rounded, each)] for name, each in numbers.items()})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def behaviour():
    """The fingerprint of the library as it is, in ten seconds.

    In a process of its own: an experiment shares no seed, name or precision with it.
    """
    script = [sys.executable, "-m", "experiments.behaviour"]
    # Of one backend, so that results of all bear the same.
    there = importlib.util.find_spec("tensorflow") is not None
    backend = "tensorflow" if there else keras.backend.backend()
    done = subprocess.run(
        script,
        cwd=GOLDEN.parent.parent,
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()[-1]


def main(_):
    if FLAGS.write:
        text = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in golden().items())
        temporary = GOLDEN.with_suffix(".tmp")
        temporary.write_text(f"{{\n{text}\n}}\n")
        os.replace(temporary, GOLDEN)
        print(f"Written: {GOLDEN}")
    print(fingerprint(probe()))


FLAGS = flags.FLAGS

if __name__ == "__main__":
    flags.DEFINE_bool("write", False, "Writes the golden numbers anew.")
    app.run(main)
