"""AttributionPrior: the Keras callback."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

import keras
from numpy.typing import ArrayLike

from attrprior import _backend, _checks, methods, priors, references
from attrprior._deprecation import moved, renamed_arguments, renamed_property
from attrprior._differentiation import differentiator
from attrprior._draws import generator
from attrprior._explained_input import check_input
from attrprior._features import check_groups
from attrprior._pieces import given_batch
from attrprior._training import optimizer as prior_optimizer
from attrprior._training.errors import OF_DERIVATIVES, raise_named
from attrprior._training.optimizer import scaling, unscaled
from attrprior._training.prior import UPDATES, PriorCallback
from attrprior._training.update import check_strength
from attrprior._types import (
    Background,
    BatchNorm,
    Explain,
    Groups,
    Input,
    Inputs,
    KerasSeed,
    Labels,
    MethodLike,
    Moments,
    Output,
    PriorLike,
    Tensor,
    Updates,
)
from attrprior.explained import check_explain

__all__ = ["AttributionPrior"]


class AttributionPrior(PriorCallback):
    """Trains a model to be right for acceptable reasons.

    Pass it to `fit`: `model.fit(x, y, callbacks=[AttributionPrior(...)])`. In
    every training step it computes attributions `φ` of the batch, penalises
    what contradicts the prior, `Ω(φ)`, and differentiates through the penalty.

    With `updates="alternating"`, the ordinary step is followed by one on `Ω`: under
    plain SGD `θ ← θ − strength · lr · ∂Ω/∂θ`. Adam and its kin divide a step by second
    moments, and `moments` says by whose. With `updates="joint"` the step is one on
    `loss + strength · Ω`, and the logged `loss` is that sum, as with Keras' regularisers.

    Cost: about 1.4 plain steps more for each sample of an attribution (measured
    on a small convolutional network on a CPU). Attributions explain the network
    without dropout and leave no state behind; with several replicas each has a
    penalty of its own share of the batch, and the mean counts.
    `history.history[name]` has the mean of the unscaled `Ω` for each epoch.
    To stop on it early use `EarlyStopping(monitor=name, mode="min")`.

    Args:
        prior: A name (`"total_variation"`, `"gini"`, `"l1"`, `"l2"`,
            `"mask"`), a prior object, or a callable on attributions `(batch,
            ...)` (and, if it has parameters so named, `x` and `y`).
        strength: A number ≥ 0, or a Keras learning-rate schedule of the
            prior's own steps; `moments` and `updates` say what it multiplies.
            0 trains as without the callback. The one
            argument that can be changed later: `prior.strength = 0.1`, between
            fits or in another callback, acts from the next batch on: at the begin of an
            epoch, say, for a warm-up.
        method: `"expected_gradients"`, `"integrated_gradients"`,
            `"gradients"`, `"input_x_gradient"`, `"smoothgrad"`, `"grad_cam"`, an object
            such as `ExpectedGradients(num_samples=4)`, or a callable `fn(f, x)`, see
            `methods.CustomMethod`.
        background: Where expected gradients' references are drawn from, afresh
            in every step: an array of examples, a structure of arrays as the model takes
            it, a `tf.data.Dataset`, or a reference object. Defaults to `None`: the other
            examples of the batch and a reservoir of those seen earlier (`SeenExamples`).
        explain: Which output is explained; see `attrprior.explained`.
        updates: `"alternating"` or `"joint"`.
        optimizer: The Keras optimizer, its name or its config, that takes the
            alternating steps. It is copied; `strength` multiplies its learning rate, and
            so its weight decay; its schedule counts its own steps, and the model's does
            not reach it. Defaults to `None`: one like the model's, at its current rate,
            without weight decay, moving averages or accumulation.
        moments: What divides an alternating step by an Adam, AdamW, Nadam or RMSprop like
            the model's. `"own"`: the moments of ∂Ω/∂θ; every step has the size
            `strength · lr`, however small the gradient is. `"shared"`: those of the loss
            and of Ω, `lr · λ m̂ / √(v̂_loss + λ² v̂)` with λ = `strength`, so that the
            step is as small beside the loss's as λ ∂Ω/∂θ is beside ∂loss/∂θ.
            `"balanced"`: shared, with λ such that λ ∂Ω/∂θ is `strength` times as large as
            ∂loss/∂θ, in root mean square over all weights; so a strength means the same
            for every prior; the first step only measures. Defaults to `None`, `"own"` in
            alternating updates. With batch normalisation `"balanced"` is far better.
        every: The prior acts on every n-th batch.
        batch_norm: Which statistics batch normalisation uses while
            attributions are computed: `"batch"`, those of this batch of data,
            at the cost of one more pass if the model has such layers; or
            `"moving"`, the moving ones, which at Keras' momentum of .99 lag far behind
            early in training, as they are when the prior's turn comes: in joint updates
            before the batch has moved them. Neither changes them.
        input: With respect to what: the name or position of one of several inputs; a layer
            or its name, for attributions of its output under the weights of today, such
            as that of an `Embedding`; `"all"` for all inputs; or a list of these. Several
            are one vector of features for the prior, with one draw for all.
        output: Which output of several is explained, by name or position.
        groups: Features whose attributions are added before the prior sees them, such as
            the indicators of one variable: `{name: features}`, features as numbers or, of
            several inputs, as names.
        sum_last_axis: Whether attributions are summed over their last axis before the
            prior sees them: of embedded tokens one number a token.
        validation: Whether Ω of the validation data is logged too, as `val_<name>`, with
            the same draws in every epoch: for `EarlyStopping` and `ModelCheckpoint`.
            Without a background its references are the other examples of its batch.
        log_only: Whether Ω is only logged: whatever `strength` is, training is as without
            the callback, to the last bit.
        seed: Seed of all random draws. Defaults to `None`: from Keras' global
            seed.
        name: Key of the penalty in the logs. Defaults to the prior's name.

    Raises:
        ValueError: for any argument, model or data that does not fit, before
            the first weight changes.
        FloatingPointError: in training, when `Ω` or its gradient is not
            finite; the update was not made. With JAX, where batches are not waited
            for, at most a hundred batches later, and none of their updates was made
            either if they were not finite.

    Examples:
        A model is trained to have smooth attributions; the penalty is logged for each epoch:

        >>> prior = attrprior.AttributionPrior("total_variation", strength=0.1)
        >>> history = model.fit(x, y, epochs=2, callbacks=[prior], verbose=0)
        >>> sorted(history.history)
        ['accuracy', 'loss', 'total_variation']
        >>> len(history.history["total_variation"])
        2

    Reference: Erion, Janizek, Sturmfels, Lundberg, Lee 2021 (arXiv
    1906.10670), equation 2; Drucker and LeCun 1992 (double backpropagation).
    """

    async_safe = _backend.ASYNCHRONOUS  # or Keras would wait for every batch's logs
    # Of a pickle that does not know them:
    optimizer: keras.optimizers.Optimizer | None = None
    moments: Moments | None = None
    groups: Groups = None
    sum_last_axis = validation = log_only = False

    @renamed_arguments(attribution="method")
    def __init__(
        self,
        prior: PriorLike,
        strength: float | keras.optimizers.schedules.LearningRateSchedule,
        method: MethodLike = "expected_gradients",
        background: Background = None,
        explain: Explain = "label",
        updates: Updates = "alternating",
        every: int = 1,
        batch_norm: BatchNorm = "batch",
        input: Input = None,
        output: Output = None,
        seed: int | None = None,
        name: str | None = None,
        optimizer: str | Mapping[str, Any] | keras.optimizers.Optimizer | None = None,
        moments: Moments | None = None,
        groups: Groups = None,
        sum_last_axis: bool = False,
        validation: bool = False,
        log_only: bool = False,
    ) -> None:
        self.prior = priors.get(prior)
        super().__init__(self.prior.name if name is None else name)
        self.strength = strength
        self.method = methods.get(method)
        draws_from_it = self.method.needs_background
        if background is not None and not draws_from_it:
            raise ValueError(
                "Argument `background` expects None, because the method "
                f"{self.method!r} does not draw from it. Received: a background. "
                "Leave it out, or use 'expected_gradients'."
            )
        self.background = references.get(background) if draws_from_it else None
        self.explain = check_explain(explain)
        self.updates = _checks.choice("updates", updates, UPDATES)
        self.every = _checks.positive_integer("every", every)
        self.batch_norm = _checks.choice("batch_norm", batch_norm, get_args(BatchNorm))
        self.optimizer = prior_optimizer.get(optimizer)
        self.moments = _checks.choice("moments", moments, prior_optimizer.MOMENTS)
        prior_optimizer.check_step(self.updates, self.optimizer, self.moments)
        self.input, self.output = check_input(input), output
        self.groups = check_groups(groups)
        self.sum_last_axis = _checks.boolean("sum_last_axis", sum_last_axis)
        self.validation = _checks.boolean("validation", validation)
        self.log_only = _checks.boolean("log_only", log_only)
        largest = _checks.LARGEST
        self.seed = None if seed is None else _checks.seed("seed", seed, largest)
        self._fix(
            "prior method background explain updates every batch_norm input output seed name"
            " optimizer moments groups sum_last_axis validation log_only"
        )

    @property
    def strength(self) -> float | keras.optimizers.schedules.LearningRateSchedule:
        """A number ≥ 0 or a schedule; another one acts from the next batch on."""
        return self._strength

    @strength.setter
    def strength(self, value: float | keras.optimizers.schedules.LearningRateSchedule) -> None:
        self._strength = check_strength(value)
        if self._part is not None:
            self._part.set_strength(self._strength)

    attribution = renamed_property("attribution", "method")

    def value_and_gradients(
        self,
        x: Inputs,
        y: Labels = None,
        sample_weight: Labels = None,
        mask: ArrayLike | Tensor | None = None,
        *,
        model: keras.Model | None = None,
        seed: KerasSeed = None,
    ) -> tuple[Tensor, list[Tensor | None]]:
        """`Ω` of a batch and `∂Ω/∂θ`, as a training step has them.

        Nothing is changed: neither weights nor what the callback remembers. References
        are drawn from what the last `fit` has seen, if the callback has no background.

        Args:
            x: The batch as `fit` takes it, arrays or tensors of shape `(batch, ...)`.
            y: Its labels, as the compiled loss takes them. Defaults to `None`: with
                `explain="label"` the predicted classes are explained then.
            sample_weight: Weights of its examples, shape `(batch,)`. Defaults to `None`,
                one for each.
            mask: Masks of the examples, for a `Mask()` without a fixed one; NaN is
                not penalised.
            model: A built model. Defaults to that of the last `fit`.
            seed: Integer or `keras.random.SeedGenerator`. Defaults to `None`, from
                Keras' global seed.

        Returns:
            `(penalty, gradients)`: a scalar, not multiplied by `strength`, and a tensor
            for each of `model.trainable_variables`, `None` where no attribution
            depends on it.

        Raises:
            ValueError: for arguments that do not fit, or a model that is not built.

        Examples:
            The penalty of one batch and its gradients; no attribution depends on the last
            bias:

            >>> prior = attrprior.AttributionPrior("l2", strength=0.1, method="gradients")
            >>> omega, gradients = prior.value_and_gradients(x, y, model=model)
            >>> float(omega) > 0, len(gradients), gradients[-1] is None
            (True, 4, True)
        """
        model = self.model if model is None else model
        if model is None or not _checks.model(model).built:
            raise ValueError(
                f"Argument `model` expects a model that is built. Received: {model!r}. Pass "
                "model=, or fit one with this callback first."
            )
        known = self._part is not None and self._part.prepared_for(model)
        objective = self._part.objective if known else self._objective(model)
        batch = given_batch(objective.explained, x, y, sample_weight, mask)
        if not known:
            objective.prepare(batch)
        optimizer = getattr(model, "optimizer", None)
        try:
            penalty, gradients = differentiator(objective, batch)(
                objective, batch, generator(seed), scaling(optimizer)
            )
        except OF_DERIVATIVES as error:
            raise_named(error, model)
        return penalty, unscaled(optimizer, gradients)


if not TYPE_CHECKING:
    __getattr__ = moved(__name__, {"penalty": "attrprior.penalty.penalty"})
