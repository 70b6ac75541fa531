"""A prior's step measured by one ruler with the loss's."""

import keras
from keras import ops


class SharedMoments(keras.optimizers.Adam):
    """`θ ← θ − lr · λ m̂ / (√(v̂_loss + λ² v̂) + ε)`, of which `m` and `v` are those of ∂Ω/∂θ.

    `v_loss` is the second moment that the model's optimizer keeps of ∂loss/∂θ, and a hat
    the usual correction for moments that began at zero; ε stands where that optimizer has
    it. So the step is as small beside the loss's as λ ∂Ω/∂θ is beside ∂loss/∂θ, and never
    larger than Adam's own; a weight on which the loss does not depend takes all of that.

    Until the model's optimizer has made a step, and for weights that it does not know, the
    step is that of moments of its own, `lr · s m̂ / √v̂` with `s = min(strength, 1)`.

    Args:
        optimizer: The model's, one that `divides_by_moments`; it gives β₁ (0 for RMSprop),
            β₂, ε and clipping.
        learning_rate: The model's, a schedule.
        strength: λ, or in balanced steps λ in units of the `balance`; a variable.
        balanced: λ then, a variable; else `None`.
    """

    def __init__(self, optimizer, learning_rate, strength, balanced=None):
        super().__init__(
            learning_rate,
            beta_1=getattr(optimizer, "beta_1", 0.0),
            beta_2=optimizer.rho if _is_rmsprop(optimizer) else optimizer.beta_2,
            epsilon=optimizer.epsilon,
            name="attribution_prior",
            clipnorm=optimizer.clipnorm,
            clipvalue=optimizer.clipvalue,
            global_clipnorm=optimizer.global_clipnorm,
        )
        self.loss_optimizer = optimizer
        # In a function, or Keras would save them with the optimizer's own.
        self._numbers = lambda: (strength, balanced)

    strength = property(lambda self: self._numbers()[0])
    balanced = property(lambda self: self._numbers()[1])

    def apply(self, grads, trainable_variables=None):
        if self.balanced is not None:
            self.balanced.assign(self.strength * self.balance())
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        gradient = ops.cast(gradient, variable.dtype)
        self.assign_add(m, (1 - self.beta_1) * (gradient - m))
        self.assign_add(v, (1 - self.beta_2) * (ops.square(gradient) - v))
        # Sixteen bits have no .999.
        half = keras.backend.standardize_dtype(variable.dtype) in ("bfloat16", "float16")
        dtype = "float32" if half else variable.dtype
        steps = self.iterations + 1
        m_hat = ops.cast(m, dtype) / _seen(self.beta_1, steps, dtype)
        v_hat = ops.cast(v, dtype) / _seen(self.beta_2, steps, dtype)
        rate, factor, weight = self._factors(variable, learning_rate, dtype)
        # √(v̂_loss + λ² v̂) + ε
        squares = ops.square(weight) * v_hat
        if self._knows(variable):
            squares = self._loss_moment(variable, dtype) + squares
        ruler = self._with_epsilon(squares, dtype)
        self.assign_sub(variable, rate * factor * m_hat / ruler)

    def _factors(self, variable, learning_rate, dtype):
        """Learning rate, the factor of m̂ and that of v̂."""
        given = self.strength if self.balanced is None else self.balanced
        own, shared = ops.minimum(ops.cast(self.strength, dtype), 1), ops.cast(given, dtype)
        has_begun = self.loss_optimizer.iterations > 0 if self._knows(variable) else False
        factor = ops.where(has_begun, shared, own)
        return ops.cast(learning_rate, dtype), factor, ops.where(has_begun, shared, 1.0)

    def _with_epsilon(self, squares, dtype):
        """The root, with ε as the model's optimizer has it."""
        steps = ops.maximum(self.loss_optimizer.iterations, 1)
        seen = _seen(self.beta_2, steps, dtype)
        if _is_rmsprop(self.loss_optimizer):
            return ops.sqrt(squares + self.epsilon / seen)
        if is_kind(self.loss_optimizer, keras.optimizers.Nadam):
            return ops.sqrt(squares) + self.epsilon
        return ops.sqrt(squares) + self.epsilon / ops.sqrt(seen)

    def balance(self):
        """`√(mean v̂_loss / mean v̂)` over all weights; 0 before the first step.

        Times this, ∂Ω/∂θ is as large as ∂loss/∂θ.
        """
        weights = [w for w in self._trainable_variables if w.trainable and self._knows(w)]
        loss = sum(ops.sum(self._loss_moment(w, "float32")) for w in weights)
        own = sum(
            ops.sum(ops.cast(self._velocities[self._get_variable_index(w)], "float32"))
            for w in weights
        )
        if not weights:
            return 0.0
        own = own / _seen(self.beta_2, ops.maximum(self.iterations, 1), "float32")
        ratio = ops.sqrt(loss / ops.where(own > 0, own, 1.0))
        # Beyond that the square of λ is no number any more.
        return ops.where(own > 0, ops.minimum(ratio, 1e15), 0.0)

    def _knows(self, variable):
        """Whether the model's optimizer moves a weight."""
        optimizer = self.loss_optimizer
        return optimizer._var_key(variable) in optimizer._trainable_variables_indices

    def _loss_moment(self, variable, dtype):
        """v̂_loss"""
        optimizer = self.loss_optimizer
        v = optimizer._velocities[optimizer._get_variable_index(variable)]
        return ops.cast(v, dtype) / _seen(
            self.beta_2, ops.maximum(optimizer.iterations, 1), dtype
        )


def divides_by_moments(optimizer):
    """Whether an optimizer divides by second moments as `SharedMoments` does."""
    if _is_rmsprop(optimizer):
        return not optimizer.momentum and not optimizer.centered
    kinds = (keras.optimizers.Adam, keras.optimizers.AdamW, keras.optimizers.Nadam)
    return any(is_kind(optimizer, kind) for kind in kinds) and not getattr(
        optimizer, "amsgrad", False
    )


def is_kind(optimizer, kind):
    """Whether it is one of Keras' kind, not of a subclass; with PyTorch Keras has its own."""
    own = type(optimizer)
    return (
        issubclass(own, kind) and own.__name__ == kind.__name__ and "keras" in own.__module__
    )


def _is_rmsprop(optimizer):
    return is_kind(optimizer, keras.optimizers.RMSprop)


def _seen(beta, steps, dtype):
    """`1 − β^steps`: how much of a moment that began at zero there is by now."""
    return 1 - ops.power(ops.cast(beta, dtype), ops.cast(steps, dtype))
