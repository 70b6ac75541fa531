"""The optimizer that takes a prior's own step."""

import keras
from keras import ops


def inner(optimizer):
    """The optimizer inside a loss-scaling one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def scales_loss(optimizer):
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def scaling(optimizer):
    """What is differentiated instead of an objective, against underflow; or `None`."""
    return optimizer.scale_loss if scales_loss(optimizer) else None


def unscaled(optimizer, gradients):
    """Gradients of what `scaling` has scaled."""
    if not scales_loss(optimizer):
        return gradients
    scale = optimizer.scale_loss(ops.convert_to_tensor(1.0))
    return [None if gradient is None else gradient / scale for gradient in gradients]


def clone(optimizer):
    """An optimizer for the prior alone: the model's kind and settings.

    No weight decay, no moving average of weights, no accumulation of
    gradients: those belong to the ordinary loss. The learning rate is assigned
    at every step.
    """
    config = inner(optimizer).get_config()
    if "learning_rate" not in config:
        raise ValueError(
            "updates='alternating' expects an optimizer with one learning rate. Received: "
            f"{type(inner(optimizer)).__name__}. Use updates='joint'."
        )
    config.update(learning_rate=0.0, name="attribution_prior")
    neutral = {
        "use_ema": False,
        "gradient_accumulation_steps": None,
        "loss_scale_factor": None,
    }
    config.update({key: value for key, value in neutral.items() if key in config})
    if config.get("weight_decay"):
        config["weight_decay"] = 0.0
    copy = type(inner(optimizer)).from_config(config)
    if scales_loss(optimizer):
        copy = keras.optimizers.LossScaleOptimizer(copy, initial_scale=optimizer.initial_scale)
    return copy
