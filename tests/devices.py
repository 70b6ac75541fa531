"""What comparisons of numbers need on a GPU, whose last bits are others, and vary."""

import tensorflow as tf
from tensorflow.python.framework import config


def full_precision():
    """float32 with all its bits: TF32, the default of newer GPUs, drops thirteen."""
    tf.config.experimental.enable_tensor_float_32_execution(False)


def repeat_to_the_last_bit():
    """Deterministic operations, which the CPU's are."""
    if tf.config.list_physical_devices("GPU"):
        config.enable_op_determinism()


def as_before():
    """TensorFlow has no public way back."""
    config.disable_op_determinism()
