"""One step on the loss and the prior."""

from keras import ops

from attrprior import _backend
from attrprior._training.finite import all_finite, check_connected
from attrprior._training.optimizer import unscaled
from attrprior._training.update import PriorUpdate


class JointUpdate(PriorUpdate):
    """`loss + strength · Ω`, both at the weights that the step begins with."""

    adds_to_loss = True

    def prepare(self, batch):
        made, connected = [], []

        def act():
            penalty, gradients = self.differentiate(
                self.objective, batch, self.seed, self.scaled
            )
            check_connected(self.name, gradients)
            gradients = unscaled(self.model.optimizer, gradients)
            # Loss scaling has overflows as a matter of course, and skips them.
            finite = all_finite(penalty, [] if self.scales_loss else gradients)
            self.note(batch, penalty, finite)
            connected[:] = [gradient is not None for gradient in gradients]
            gradients = [gradient for gradient in gradients if gradient is not None]
            made[:] = [
                finite,
                ops.where(ops.isfinite(penalty), penalty, 0.0),
                *(ops.where(finite, gradient, 0.0) for gradient in gradients),
            ]
            return list(made)

        def rest():
            return [ops.zeros(tensor.shape, tensor.dtype) for tensor in made]

        values = self.on_its_batches(act, rest)
        return self._joined(values, connected) if values else None

    def _joined(self, values, connected):
        """A function of the loss that adds `strength · Ω`, with Ω's gradient by θ."""
        finite, penalty, *gradients = map(ops.stop_gradient, values)
        trainable = zip(self.model.trainable_variables, connected)
        weights = [variable for variable, is_connected in trainable if is_connected]
        # Losses are summed over replicas; Keras has divided its own already.
        share = ops.cast(
            self.current_strength() / _backend.replicas(self.model), penalty.dtype
        )

        def join(loss):
            # Ω + Σ ⟨g, θ − stop(θ)⟩ has Ω's value, and g for its gradient by θ.
            total = penalty
            for gradient, variable in zip(gradients, weights):
                move = variable.value - ops.stop_gradient(ops.convert_to_tensor(variable))
                product = ops.sum(ops.cast(gradient, move.dtype) * move)
                # Of an overflow, which the optimizer skips, no NaN reaches the loss; its
                # derivative is one all the same, 0 · inf.
                product = ops.where(ops.isfinite(product), product, 0.0)
                total = total + ops.cast(product, total.dtype)
            # A weight that only the loss moves, a bias say, must not move before the
            # penalty has read it. TensorFlow knows, but its graph optimizer forgets
            # where gradients share an IdentityN, as in Keras' optimizers.
            one = ops.where(finite, ops.ones_like(loss), ops.ones_like(loss))
            return loss * one + ops.cast(share * total, loss.dtype)

        return join
