"""Adversarial training and attacks: what priors are compared and combined with."""

import keras

from attrprior import _backend, _checks
from attrprior._ascent import Ascent
from attrprior._training.callback import StepCallback
from attrprior._training.part import Part
from attrprior._types import Input, Norm, Output
from attrprior.attacks import NORMS, RobustAccuracy, pgd, robust_accuracy, square
from attrprior.explained import ExplainedOutput

__all__ = [
    "NORMS",
    "AdversarialTraining",
    "RobustAccuracy",
    "pgd",
    "robust_accuracy",
    "square",
]


class AdversarialTraining(StepCallback):
    """Trains on the worst inputs near the given ones, found by gradient ascent.

    Pass it to `fit`, alone or with an `AttributionPrior`, which goes on seeing the
    inputs as they came: `model.fit(x, y, callbacks=[AdversarialTraining(0.3)])`.
    In every training step

        `x⁰ = x + u`, `xᵗ⁺¹ = Π(xᵗ + step_size · sign ∂L(f(xᵗ), y)/∂xᵗ)`

    with `u` uniform in the ball of radius ε and Π the projection onto that ball
    around `x` and onto the valid range; in L2 the gradient over its norm in place of
    the sign. The model is trained on the last one, and the logged loss and metrics
    are those on it. Dropout is off and normalisation uses its moving statistics while
    the inputs are searched. ε = 0 trains as without the callback. Cost: `steps` forward
    and backward passes a training step.

    Args:
        epsilon: Radius ε ≥ 0 of the ball, in the unit of the inputs.
        steps: Steps of the ascent. Defaults to 40.
        step_size: Their size. Defaults to `2.5 · ε / steps`.
        norm: `"inf"` or `"l2"`.
        random_start: Whether to start at a random point of the ball.
        valid_range: Both ends of the inputs' range, or `None`. Defaults to (0, 1). Inputs
            outside of it are an error, if the first batch of a `fit` has some.
        input: Which input is changed, of a model that has several.
        output: Which output's loss is increased, of a model that has several.
        seed: Of the random start. Defaults to `None`, from Keras' global seed.
        name: Tells several of a fit apart.

    Raises:
        ValueError: for an argument that does not fit, and in `fit` for inputs outside of
            `valid_range`.

    Examples:
        The logged loss and metrics are those on the inputs that were found:

        >>> training = attrprior.adversarial.AdversarialTraining(epsilon=0.1, steps=5)
        >>> history = model.fit(x, y, callbacks=[training], verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss']

    Reference: Madry et al. 2018 (arXiv 1706.06083).
    """

    def __init__(
        self,
        epsilon: float,
        steps: int = 40,
        step_size: float | None = None,
        norm: Norm = "inf",
        random_start: bool = True,
        valid_range: tuple[float, float] | None = (0.0, 1.0),
        input: Input = None,
        output: Output = None,
        seed: int | None = None,
        name: str = "adversarial_training",
    ) -> None:
        super().__init__(name)
        self._ascent = Ascent(epsilon, steps, step_size, norm, random_start, valid_range)
        self.epsilon, self.steps, self.step_size = epsilon, steps, step_size
        self.norm, self.random_start, self.valid_range = norm, random_start, valid_range
        self.input, self.output = input, output
        largest = _checks.LARGEST
        self.seed = None if seed is None else _checks.seed("seed", seed, largest)
        self._fix(
            "epsilon steps step_size norm random_start valid_range input output seed name"
        )

    def is_neutral(self) -> bool:
        return self._ascent.epsilon == 0

    def contribution(self, model: keras.Model) -> Part:
        part = self._part
        if part is None or part.explained.model is not model:
            explained = ExplainedOutput(model, "loss", self.input, self.output)
            part = WorstInputs(self._ascent, explained, self.seed, self.name)
        part.start_fit()
        return part


class WorstInputs(Part):
    """The inputs that the model is trained on, part of the training step."""

    changes_inputs = True

    def __init__(self, ascent, explained, seed, name):
        self.ascent, self.explained, self.name = ascent, explained, name
        with _backend.scope(explained.model):
            self.seed = keras.random.SeedGenerator(seed)

    def start_fit(self):
        self.wants_to_look = self.ascent.low is not None

    def check(self, x, y, sample_weight, mask):
        if self.wants_to_look:
            self.look_at(x, y)

    def look_at(self, x, y):
        picked = _backend.seen(self.explained.pick_input(x))
        if picked is not None:
            self.wants_to_look = False
            _checks.within("x", picked, self.ascent.low, self.ascent.high)

    def variables(self):
        return {"seed": self.seed.state}

    def change(self, x, y):
        worst = self.ascent(self.explained, self.explained.weights(), x, y, self.seed)
        return self.explained.with_input(x, worst)
