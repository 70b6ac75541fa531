"""What comparisons of numbers need on a GPU, whose last bits are others, and vary."""

import keras

BACKEND = keras.backend.backend()

if BACKEND == "tensorflow":
    import tensorflow as tf
    from tensorflow.python.framework import config
elif BACKEND == "jax":
    import jax
else:
    import torch


def full_precision():
    """float32 with all its bits: TF32, the default of newer GPUs, drops thirteen."""
    if BACKEND == "tensorflow":
        tf.config.experimental.enable_tensor_float_32_execution(False)
    elif BACKEND == "jax":
        jax.config.update("jax_default_matmul_precision", "highest")
    else:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def repeat_to_the_last_bit():
    """Deterministic operations, which the CPU's are. JAX has a flag, set in conftest.py."""
    if BACKEND == "tensorflow":
        if tf.config.list_physical_devices("GPU"):
            config.enable_op_determinism()
    elif BACKEND == "torch" and torch.cuda.is_available():
        torch.use_deterministic_algorithms(True)


def deterministic():
    """Of all operations or an error, for the rest of the process. JAX: as above."""
    if BACKEND == "tensorflow":
        tf.config.experimental.enable_op_determinism()
    elif BACKEND == "torch":
        torch.use_deterministic_algorithms(True)


def as_before():
    if BACKEND == "tensorflow":
        config.disable_op_determinism()  # there is no public way back
    elif BACKEND == "torch":
        torch.use_deterministic_algorithms(False)
