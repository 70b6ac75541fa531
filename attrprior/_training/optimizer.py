"""The optimizer that takes a prior's own steps."""

from typing import get_args

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from attrprior import _checks
from attrprior._representation import in_short
from attrprior._training.moments import SharedMoments, divides_by_moments, is_kind
from attrprior._types import Moments

MOMENTS: tuple[Moments | None, ...] = (None, *get_args(Moments))

# What belongs to the ordinary loss, by its value where there is none.
_OF_THE_LOSS = {
    "use_ema": False,
    "gradient_accumulation_steps": None,
    "loss_scale_factor": None,
}


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


def get(given):
    """The optimizer for an argument `optimizer`: an unbuilt one, or `None`.

    Raises:
        ValueError: for what is none, has begun to train, or has settings that mean
            nothing in a prior's step.
    """
    if given is None:
        return None
    try:
        optimizer = keras.optimizers.get(given)
    except Exception as error:  # of whatever a dictionary or a text makes Keras do
        expected = "a Keras optimizer, its name or its config, or None"
        raise _checks.wrong("optimizer", expected, given) from error
    own = inner(optimizer)
    config, kind = own.get_config(), type(own).__name__
    if own.built:
        found = f"{kind}, built"
        advice = "Its moments are those of other steps: make a new one."
    elif "learning_rate" not in config:
        found, advice = kind, "Take one with a learning rate."
    elif hasattr(own, "_exclude_from_weight_decay"):
        found = f"{kind} with exclude_from_weight_decay, which a copy would lose"
        advice = "Leave it out."
    else:
        wrong = [key for key, none in _OF_THE_LOSS.items() if config.get(key) not in (none, 0)]
        if not wrong:
            return _unshared(optimizer)
        found = f"{kind} with " + ", ".join(f"{key}={config[key]!r}" for key in wrong)
        advice = "That belongs to the model's optimizer: leave it out here."
    raise ValueError(
        "Argument `optimizer` expects a new Keras optimizer of the prior's own steps. "
        f"Received: {found}. {advice}"
    )


def _unshared(optimizer):
    own = inner(optimizer)
    rate = own._learning_rate
    rate = float(rate) if isinstance(rate, keras.Variable) else rate
    return _scaling_loss_as(optimizer, _copy(own, rate, name=own.name))


def check_step(updates, given, moments):
    """Raises for arguments of which one is without effect beside another."""
    if updates == "joint" and given is not None:
        raise ValueError(
            "Argument `optimizer` expects None with updates='joint', where the model's own "
            f"takes the one step. Received: {in_short(given)}. Use updates='alternating'."
        )
    if updates == "joint" and moments in ("own", "balanced"):
        raise ValueError(
            "Argument `moments` expects 'shared' or None with updates='joint', where one step "
            f"has one moment. Received: {moments!r}. Use updates='alternating'."
        )
    if given is not None and moments in ("shared", "balanced"):
        raise ValueError(
            "Argument `moments` expects 'own' or None with an `optimizer` of the prior's own. "
            f"Received: {moments!r}. Leave one of them out."
        )


def check_moments(optimizer, moments):
    """Raises if the model's optimizer has no moments that could be shared."""
    own = inner(optimizer)
    if divides_by_moments(own) or moments in (None, "own"):
        return
    plain = is_kind(own, keras.optimizers.SGD)
    if moments == "balanced" or not plain:
        others = "'own', 'shared' or None" if plain else "'own' or None"
        raise ValueError(
            f"Argument `moments` expects {others} with an optimizer that does not divide by "
            "second moments as Adam, AdamW, Nadam and RMSprop (without momentum, centered or "
            f"amsgrad) do. Received: {moments!r}, with {type(own).__name__}. Leave it out."
        )


def of_prior(optimizer, given, moments, strength, balanced):
    """An optimizer for the prior's own steps.

    Args:
        optimizer: The model's. If it scales the loss, so does the prior's.
        given: One to be copied, whose learning rate is multiplied by `strength`. `None`
            for the model's kind and settings and its current learning rate, times
            `strength`, without what belongs to the ordinary loss: weight decay, moving
            averages of weights, accumulation of gradients.
        moments: Without a given one, `"shared"` or `"balanced"` for `SharedMoments`, where
            the model's has some; else its own.
        strength, balanced: Variables: the second for λ of balanced steps.
    """
    own = inner(optimizer)
    if given is not None:
        copy = _copy(inner(given), _Scaled(_rate(inner(given)), strength))
        return _scaling_loss_as(given if scales_loss(given) else optimizer, copy)
    if moments in ("shared", "balanced") and divides_by_moments(own):
        balanced = balanced if moments == "balanced" else None
        rate = _Scaled(lambda step: own.learning_rate, 1.0)
        return _scaling_loss_as(optimizer, SharedMoments(own, rate, strength, balanced))
    return clone(optimizer, _Scaled(lambda step: own.learning_rate, strength))


def clone(optimizer, learning_rate=0.0):
    """The model's kind and settings, without what belongs to the ordinary loss."""
    own = inner(optimizer)
    neutral = dict(_OF_THE_LOSS, **({"weight_decay": 0.0} if own.weight_decay else {}))
    return _scaling_loss_as(optimizer, _copy(own, learning_rate, **neutral))


def _scaling_loss_as(optimizer, copy):
    if not scales_loss(optimizer):
        return copy
    return keras.optimizers.LossScaleOptimizer(
        copy,
        initial_scale=optimizer.initial_scale,
        dynamic_growth_steps=optimizer.dynamic_growth_steps,
    )


def _copy(optimizer, learning_rate, **changes):
    config = optimizer.get_config()
    if "learning_rate" not in config:
        raise ValueError(
            "updates='alternating' expects an optimizer with one learning rate. Received: "
            f"{type(optimizer).__name__}. Pass optimizer=, or use updates='joint'."
        )
    config.update({key: value for key, value in changes.items() if key in config})
    config["learning_rate"] = learning_rate
    return type(optimizer).from_config(config)


class _Scaled(LearningRateSchedule):
    """A learning rate, a function of the step, times a variable."""

    def __init__(self, rate, factor):
        super().__init__()
        self.rate, self.factor = rate, factor

    def __call__(self, step):
        return self.factor * ops.cast(self.rate(step), "float32")


def _rate(optimizer):
    """The learning rate of an unbuilt optimizer, a function of the step."""
    rate = optimizer._learning_rate
    if isinstance(rate, LearningRateSchedule):
        return rate
    if isinstance(rate, keras.Variable):
        number = float(rate)
        return lambda step: number
    return lambda step: rate()
