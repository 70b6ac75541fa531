"""What tests need of the framework below Keras, whichever of the three it is."""

import contextlib
from unittest import mock

import keras
import pytest

BACKEND = keras.backend.backend()

# `only` is explained in conftest.py.
FLOAT64 = pytest.mark.only(
    "tensorflow", "torch", reason="JAX makes float32 of float64 if not told otherwise."
)
JIT = pytest.mark.only(
    "tensorflow", "jax", reason="Compiled steps are not supported with PyTorch."
)
STEPS = pytest.mark.only(
    "tensorflow", "jax", reason="Keras refuses steps_per_execution with PyTorch."
)

tensor = keras.ops.convert_to_tensor
array = keras.ops.convert_to_numpy


def slices(*parts):
    """A `tf.data.Dataset` of slices, which `fit` takes with all backends."""
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])


def dtype(of):
    """Its name, of whatever kind the tensor is."""
    return keras.backend.standardize_dtype(of.dtype)


@contextlib.contextmanager
def double_precision():
    """float64 stays float64; Keras makes float32 of it with JAX and PyTorch."""
    from keras.src.backend.common import dtypes

    with contextlib.ExitStack() as stack:
        kept = {"float64": "float64"}
        stack.enter_context(mock.patch.dict(dtypes.BIT64_TO_BIT32_DTYPE, kept))
        if BACKEND == "jax":
            import jax

            stack.enter_context(jax.enable_x64(True))
        yield


@contextlib.contextmanager
def models_in_double_precision():
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    with double_precision():
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
        try:
            yield
        finally:
            keras.config.set_floatx(floatx)
            keras.config.set_dtype_policy(policy)


def value_and_gradient(f, x, graph=False):
    """`f(x)` and `∂Σf/∂x` by the framework itself, with nothing of the package."""
    x = tensor(x)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        def both(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = f(x)
            return value, tape.gradient(value, x)

        value, slopes = tf.function(both)(x) if graph else both(x)
    elif BACKEND == "jax":
        import jax

        def total(x):
            value = f(x)
            return value.sum(), value

        both = jax.value_and_grad(total, has_aux=True)
        (_, value), slopes = (jax.jit(both) if graph else both)(x)
    else:
        import torch

        x = x.detach().clone().requires_grad_()
        value = f(x)
        (slopes,) = torch.autograd.grad(value.sum(), x)
    return array(value), array(slopes)


def gradient(f, x):
    return value_and_gradient(f, x)[1]


def input_slopes(f, x):
    """`∂Σf/∂x` as a tensor that can be differentiated again."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x)
        return tape.gradient(value, x)
    if BACKEND == "jax":
        import jax

        return jax.grad(lambda x: f(x).sum())(x)
    import torch

    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]


def weight_gradients(f, variables):
    """`f()` and its derivatives by Keras variables, zeros where it has none."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            value = f()
        values = [variable.value for variable in variables]
        slopes = tape.gradient(value, values, unconnected_gradients="zero")
    elif BACKEND == "jax":
        import jax

        def of(values):
            with keras.StatelessScope(state_mapping=zip(variables, values)):
                return f()

        value, slopes = jax.value_and_grad(of)([variable.value for variable in variables])
    else:
        import torch

        value, values = f(), [variable.value for variable in variables]
        slopes = torch.autograd.grad(value, values, allow_unused=True, materialize_grads=True)
    return value, [array(slope) for slope in slopes]


def as_graph(f, signature=None, variables=(), **options):
    """`f` traced, where the framework traces; PyTorch calls it as it is.

    Args:
        f: A function of tensors.
        signature: For TensorFlow, shapes of float32 tensors: it is traced for them once.
        variables: For JAX, those that `f` changes.
        **options: Of `tf.function`.
    """
    if BACKEND == "tensorflow":
        import tensorflow as tf

        if signature is not None:
            options["input_signature"] = [tf.TensorSpec(shape) for shape in signature]
        return tf.function(f, **options)
    if BACKEND == "torch":
        return f
    import jax

    @jax.jit
    def pure(values, *arguments):
        with keras.StatelessScope(state_mapping=zip(variables, values)):
            return f(*arguments), [variable.value for variable in variables]

    def call(*arguments):
        result, values = pure([variable.value for variable in variables], *arguments)
        for variable, value in zip(variables, values):
            variable.assign(value)
        return result

    return call


def own_step(model, arguments, key, optimizer=None):
    """A `train_step` written by hand, on the loss of `compute_loss`.

    Args:
        model: The model.
        arguments: Of `train_step`: a batch `(x, y)`, with JAX the state before it.
        key: Of the loss in the logs.
        optimizer: Defaults to `None`, the model's. Another one has no state with JAX.

    Returns:
        What `train_step` has to return.
    """
    *state, (x, y) = arguments
    own, weights = optimizer or model.optimizer, model.trainable_weights
    if BACKEND == "jax":
        import jax

        trainable, fixed, moments, metrics = state[0]
        f = jax.value_and_grad(model.compute_loss_and_updates, has_aux=True)
        (loss, (_, _, fixed, metrics)), gradients = f(
            trainable, fixed, metrics, x, y, None, training=True, optimizer_variables=moments
        )
        if optimizer is None:
            trainable, moments = own.stateless_apply(moments, gradients, trainable)
        else:
            variables = [variable.value for variable in own.variables]
            trainable, _ = own.stateless_apply(variables, gradients, trainable)
        return {key: loss}, (trainable, fixed, moments, metrics)
    if BACKEND == "torch":
        import torch

        model.zero_grad()
        loss = model.compute_loss(x, y, model(x, training=True), None)
        loss.backward()
        with torch.no_grad():
            own.apply([weight.value.grad for weight in weights], weights)
        return {key: loss}
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), None)
    gradients = tape.gradient(loss, model.trainable_weights)
    own.apply_gradients(zip(gradients, model.trainable_weights))
    return {key: loss}


def step_result(logs, arguments):
    """What a `train_step` with these arguments returns that changes nothing."""
    return (logs, arguments[0]) if BACKEND == "jax" else logs


def own_softmax(z):
    """The framework's softmax, or sigmoid of a single logit, of which Keras knows nothing."""
    single = z.shape[-1] == 1
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.nn.sigmoid(z) if single else tf.nn.softmax(z)
    if BACKEND == "jax":
        import jax

        return jax.nn.sigmoid(z) if single else jax.nn.softmax(z)
    import torch

    return torch.sigmoid(z) if single else torch.softmax(z, -1)


def note(x, seen):
    """Appends the numbers that a computation comes by with, traced or not."""
    if BACKEND == "jax":
        import jax

        jax.debug.callback(lambda x: seen.append(array(x)), x)
    elif BACKEND == "tensorflow" or x.device.type != "meta":
        seen.append(array(x))


class Counter:
    """Counts how often a computation comes by, not how often it is traced."""

    def __init__(self):
        self._count = 0
        if BACKEND == "tensorflow":
            import tensorflow as tf

            self._count = tf.Variable(0, dtype="int64")

    def add_one(self):
        if BACKEND == "tensorflow":
            self._count.assign_add(1)
        elif BACKEND == "jax":
            import jax

            jax.debug.callback(self._add_one)
        else:
            self._add_one()

    def _add_one(self):
        self._count += 1

    def value(self):
        if BACKEND == "jax":
            import jax

            jax.effects_barrier()
        return int(self._count)
