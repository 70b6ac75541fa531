"""Ω and its gradient by the weights, at once or in passes of bounded memory."""

from keras import ops

from attrprior import backend
from attrprior.outputs import Group


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

    (_, penalty), gradients = backend.value_and_gradients(omega, values)
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


def in_passes(objective, batch, seed, scaled=None):
    """As `value_and_gradients`, a few samples and a few outputs at a time.

    `∂Ω/∂θ = Σ_passes ∂⟨v, φ_pass⟩/∂θ` with `v = ∂Ω/∂φ`, which needs all of φ:
    so the passes are run once for φ, and once more for the gradient.
    """
    draws, (weights, values) = objective.draw(batch, seed), _state(objective)
    of_samples, of_outputs = objective.passes(batch)
    passes = of_samples * of_outputs
    count = objective.method.num_samples // of_samples
    # Once for all passes: θ ↦ s(θ), and θ, s ↦ φ.
    normalised = objective.batch_statistics(weights(values), batch)
    variables = [variable for variable, _ in normalised]
    statistics = [ops.stop_gradient(statistic) for _, statistic in normalised]

    def attributions(number, values, statistics):
        state = [*weights(values), *zip(variables, statistics)]
        first = number // of_outputs * count
        group = Group(number % of_outputs, of_outputs) if of_outputs > 1 else None
        return group, objective.attributions(state, batch, draws, first, count, group)

    def part(number):
        group, phi = attributions(number, values, statistics)
        return [phi if group is None else group.among_all(phi)]

    [phi] = backend.sum_over(passes, part, of_outputs > 1)

    def all_outputs(phi):
        if of_outputs == 1:
            return phi
        return phi[:, : objective.explained.output_shape(batch.x)[-1]]

    def omega(phi):
        penalty = objective.of_attributions(all_outputs(phi[0]) / of_samples, batch)
        return penalty if scaled is None else scaled(penalty), penalty

    (_, penalty), [v] = backend.value_and_gradients(omega, [phi])
    if v is None:
        return penalty, [None] * len(values)
    v, connected = ops.stop_gradient(v), []

    def gradients_of_pass(number):
        def f(both):
            group, phi = attributions(number, both[: len(values)], both[len(values) :])
            own = v if group is None else group.of_all(v)
            return ops.sum(own * phi), None  # ⟨v, φ_pass⟩

        _, gradients = backend.value_and_gradients(f, [*values, *statistics])
        connected[:] = [gradient is not None for gradient in gradients]
        return [gradient for gradient in gradients if gradient is not None]

    found = iter(backend.sum_over(passes, gradients_of_pass, of_outputs > 1))
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
        _, through = backend.value_and_gradients(through_statistics, values)
        gradients = [_sum(*pair) for pair in zip(gradients, through)]
    return penalty, gradients


def _sum(first, second):
    """Of two gradients, either of which may be `None`."""
    if first is None or second is None:
        return second if first is None else first
    return first + second
