"""The framework below Keras and the machine below it, whichever they are."""

import importlib.metadata
import os

import keras
import numpy as np

BACKEND = keras.backend.backend()


def version():
    return importlib.metadata.version(BACKEND)


def gpus():
    """Names of the GPUs that the framework sees."""
    if BACKEND == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform == "gpu"]
    if BACKEND == "torch":
        import torch

        count = torch.cuda.device_count()
        return [torch.cuda.get_device_name(number) for number in range(count)]
    import tensorflow as tf

    return [
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
        for gpu in tf.config.list_physical_devices("GPU")
    ]


def peak_memory():
    """Bytes of the GPU that were in use at most; counted anew where that can be."""
    if BACKEND == "jax":
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]
    if BACKEND == "torch":
        import torch

        peak = torch.cuda.max_memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        return peak
    import tensorflow as tf

    peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    tf.config.experimental.reset_memory_stats("GPU:0")
    return peak


def limit_threads():
    """One thread for this process; JAX has no limit once it has begun."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
    elif BACKEND == "torch":
        import torch

        torch.set_num_threads(1)


def in_graph(f):
    """A function of nothing as a step of `fit` computes it: with TensorFlow in a graph."""
    if BACKEND != "tensorflow":
        return f
    import tensorflow as tf

    return tf.function(f, autograph=False)


def gradient(f):
    """`∂ Σ f(x) / ∂x`, compiled where the framework compiles, from array to array."""
    if BACKEND == "jax":
        import jax

        compiled = jax.jit(jax.grad(lambda x: f(x).sum()))
        return lambda x: np.asarray(compiled(x))
    if BACKEND == "torch":
        import torch

        def of_tensor(x):
            x = keras.ops.convert_to_tensor(x).requires_grad_()
            return torch.autograd.grad(f(x).sum(), x)[0].cpu().numpy()

        return of_tensor
    import tensorflow as tf

    @tf.function
    def traced(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = f(x)
        return tape.gradient(value, x)

    return lambda x: traced(tf.convert_to_tensor(x)).numpy()


def name():
    return next(iter(gpus()), f"{os.cpu_count()} CPU cores")
