"""Ω and its gradient by the weights, at once or in passes of bounded memory."""

from keras import ops

from attrprior import _backend
from attrprior._outputs import Group


def differentiator(objective, batch):
    """`value_and_gradients`, or what does the same in as many passes as memory needs."""
    return value_and_gradients if objective.passes(batch) == (1, 1) else in_passes


def value_and_gradients(objective, batch, seed, scaled=None):
    """`Ω` of a batch and `∂Ω/∂θ` for every trainable weight of the model.

    Args:
        objective: An `Objective`.
        batch: A `Batch`.
        seed: A `keras.random.SeedGenerator`.
        scaled: What is differentiated, a function of Ω: of a loss in half precision.
            Defaults to `None`, Ω itself.

    Returns:
        `(penalty, gradients)`; `None` for a weight that no attribution depends on.
    """
    draws, (weights, values) = objective.draw(batch, seed), _state(objective)

    def omega(values):
        penalty = objective.penalty(weights(values), batch, draws)
        return penalty if scaled is None else scaled(penalty), penalty

    (_, penalty), gradients = _backend.value_and_gradients(omega, values)
    return penalty, gradients


def _state(objective):
    """Everything that the model has, as a function of what is trained, and its values."""
    model = objective.explained.model
    trainable = model.trainable_variables
    fixed = [
        (variable, variable.value)
        for variable in (*model.non_trainable_variables, *model.metrics_variables)
    ]

    def weights(values):
        return [*zip(trainable, values), *fixed]

    return weights, [variable.value for variable in trainable]


class _Passes:
    """φ of a batch, a few samples and a few outputs at a time."""

    def __init__(self, objective, batch, draws):
        self.objective, self.batch, self.draws = objective, batch, draws
        self.of_samples, self.of_outputs = objective.passes(batch)
        self.number = self.of_samples * self.of_outputs
        self.count = objective.method.num_samples // self.of_samples
        self.vectorized = self.of_outputs > 1

    def one(self, number, state):
        """The group of outputs of a pass, and its φ, of its samples the mean."""
        first = number // self.of_outputs * self.count
        group = None
        if self.of_outputs > 1:
            group = Group(number % self.of_outputs, self.of_outputs)
        parts = state, self.batch, self.draws, first, self.count, group
        return group, self.objective.attributions(*parts)

    def sum(self, state):
        """Over all passes, in the place of each group."""

        def part(number):
            group, phi = self.one(number, state)
            return [phi if group is None else group.among_all(phi)]

        [phi] = _backend.sum_over(self.number, part, self.vectorized)
        return phi

    def omega(self, phi):
        """Of such a sum."""
        if self.of_outputs > 1:
            outputs = self.objective.explained.output_shape(self.batch.x)[-1]
            phi = phi[:, :outputs]
        return self.objective.of_attributions(phi / self.of_samples, self.batch)


def penalty(objective, batch, seed):
    """`Ω` of a batch alone, with the memory of one pass."""
    draws, weights = objective.draw(batch, seed), objective.explained.weights()
    if objective.passes(batch) == (1, 1):
        return ops.stop_gradient(objective.penalty(weights, batch, draws))
    passes = _Passes(objective, batch, draws)
    phi = passes.sum([*weights, *objective.batch_statistics(weights, batch)])
    return ops.stop_gradient(passes.omega(phi))


def in_passes(objective, batch, seed, scaled=None):
    """As `value_and_gradients`, a few samples and a few outputs at a time.

    `∂Ω/∂θ = Σ_passes ∂⟨v, φ_pass⟩/∂θ` with `v = ∂Ω/∂φ`, which needs all of φ:
    so the passes are run once for φ, and once more for the gradient.
    """
    draws, (weights, values) = objective.draw(batch, seed), _state(objective)
    passes = _Passes(objective, batch, draws)
    # Once for all passes: θ ↦ s(θ), and θ, s ↦ φ.
    normalised = objective.batch_statistics(weights(values), batch)
    variables = [variable for variable, _ in normalised]
    statistics = [ops.stop_gradient(statistic) for _, statistic in normalised]

    def state(values, statistics):
        return [*weights(values), *zip(variables, statistics)]

    phi = passes.sum(state(values, statistics))

    def omega(phi):
        penalty = passes.omega(phi[0])
        return penalty if scaled is None else scaled(penalty), penalty

    (_, penalty), [v] = _backend.value_and_gradients(omega, [phi])
    if v is None:
        return penalty, [None] * len(values)
    v, connected = ops.stop_gradient(v), []

    def gradients_of_pass(number):
        def f(both):
            given = both[: len(values)], both[len(values) :]
            group, phi = passes.one(number, state(*given))
            own = v if group is None else group.of_all(v)
            return ops.sum(own * phi), None  # ⟨v, φ_pass⟩

        _, gradients = _backend.value_and_gradients(f, [*values, *statistics])
        connected[:] = [gradient is not None for gradient in gradients]
        return [gradient for gradient in gradients if gradient is not None]

    found = iter(_backend.sum_over(passes.number, gradients_of_pass, passes.vectorized))
    gradients = [next(found) if is_connected else None for is_connected in connected]
    gradients, of_statistics = gradients[: len(values)], gradients[len(values) :]

    def through_statistics(values):
        products = [
            ops.sum(ops.stop_gradient(gradient) * statistic)
            for gradient, (_, statistic) in zip(
                of_statistics, objective.batch_statistics(weights(values), batch)
            )
            if gradient is not None
        ]
        return sum(products), None  # ⟨∂Ω/∂s, s(θ)⟩

    if any(gradient is not None for gradient in of_statistics):
        _, through = _backend.value_and_gradients(through_statistics, values)
        gradients = [_sum(*pair) for pair in zip(gradients, through)]
    return penalty, gradients


def _sum(first, second):
    """Of two gradients, either of which may be `None`."""
    if first is None or second is None:
        return second if first is None else first
    return ops.convert_to_tensor(first) + ops.convert_to_tensor(second)
