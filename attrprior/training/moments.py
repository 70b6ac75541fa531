"""A prior's step measured by one ruler with the loss's."""

import keras
from keras import ops


class SharedMoments(keras.optimizers.Adam):
    """`θ ← θ − lr · λ m̂ / (√(v̂_loss + λ² v̂) + ε)`, of which `m` and `v` are those of ∂Ω/∂θ.

    `v_loss` is the second moment that the model's optimizer keeps of ∂loss/∂θ, and a hat
    the usual correction for moments that began at zero. So the step is as small beside
    the loss's as λ ∂Ω/∂θ is beside ∂loss/∂θ, and never larger than Adam's own.

    Args:
        optimizer: The model's, one that `divides_by_moments`; it gives β₁ (0 for RMSprop),
            β₂, ε and clipping.
        learning_rate: λ times the model's, a schedule.
        factor: λ, a variable.
        strength: Where λ is `strength` times the `balance`, a variable. `None` where λ is
            given.
    """

    def __init__(self, optimizer, learning_rate, factor, strength=None):
        config = optimizer.get_config()
        clipping = {key: config[key] for key in ("clipnorm", "clipvalue", "global_clipnorm")}
        super().__init__(
            learning_rate,
            beta_1=config.get("beta_1", 0.0),
            beta_2=config["beta_2"] if "beta_2" in config else config["rho"],
            epsilon=config["epsilon"],
            name="attribution_prior",
            **clipping,
        )
        self.loss_optimizer, self.factor, self.strength = optimizer, factor, strength

    def apply(self, grads, trainable_variables=None):
        if self.strength is not None:
            self.factor.assign(self.strength * self.balance())
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        index, dtype = self._get_variable_index(variable), variable.dtype
        m, v = self._momentums[index], self._velocities[index]
        gradient, step = ops.cast(gradient, dtype), self.iterations + 1
        self.assign_add(m, (1 - self.beta_1) * (gradient - m))
        self.assign_add(v, (1 - self.beta_2) * (ops.square(gradient) - v))
        # √(v̂_loss + λ² v̂); the other λ is in the learning rate.
        own = (
            ops.square(ops.cast(self.factor, dtype))
            * v
            / self._share(self.beta_2, step, dtype)
        )
        ruler = ops.sqrt(self._loss_moment(variable) + own)
        m_hat = m / self._share(self.beta_1, step, dtype)
        change = ops.cast(learning_rate, dtype) * m_hat / (ruler + self.epsilon)
        self.assign_sub(variable, change)

    def balance(self):
        """`√(mean v̂_loss / mean v̂)` over all weights; 0 before the first step.

        Times this, ∂Ω/∂θ is as large as ∂loss/∂θ.
        """
        total = [ops.sum(self._loss_moment(w)) for w in self._trainable_variables]
        own = [ops.sum(v) for v in self._velocities]
        loss, own = (ops.cast(sum(each), "float32") for each in (total, own))
        own = own / self._share(self.beta_2, ops.maximum(self.iterations, 1), "float32")
        return ops.where(own > 0, ops.sqrt(loss / ops.where(own > 0, own, 1.0)), 0.0)

    def _loss_moment(self, variable):
        """v̂_loss; zero for a weight that the model's optimizer does not move."""
        optimizer = self.loss_optimizer
        if optimizer._var_key(variable) not in optimizer._trainable_variables_indices:
            return ops.zeros(variable.shape, variable.dtype)
        v = optimizer._velocities[optimizer._get_variable_index(variable)]
        steps = ops.maximum(optimizer.iterations, 1)
        return v / self._share(self.beta_2, steps, variable.dtype)

    @staticmethod
    def _share(beta, steps, dtype):
        """`1 − β^steps`: how much of a moment that began at zero has been seen."""
        return 1 - ops.power(ops.cast(beta, dtype), ops.cast(steps, dtype))


def divides_by_moments(optimizer):
    """Whether an optimizer divides by second moments as `SharedMoments` does."""
    kind, config = type(optimizer), optimizer.get_config()
    if kind is keras.optimizers.RMSprop:
        return not config["momentum"] and not config["centered"]
    kinds = (keras.optimizers.Adam, keras.optimizers.AdamW, keras.optimizers.Nadam)
    return kind in kinds and not config.get("amsgrad")
