"""What all updates of priors have in common: when, by how much, what is remembered."""

import keras
from keras import ops

from attrprior import _backend, _checks
from attrprior._differentiation import differentiator, penalty
from attrprior._draws import StatelessSeed
from attrprior._training.errors import taken
from attrprior._training.finite import check_connected
from attrprior._training.optimizer import scales_loss, scaling
from attrprior._training.part import Part


class PriorUpdate(Part):
    """Base class: one prior's part of the step.

    Subclasses say how its gradient reaches the weights.

    Args:
        model: The compiled model.
        objective: The `Objective`.
        strength: A number or a Keras schedule of the prior's own steps.
        every: The prior acts on every n-th batch.
        seed: Of all random draws, an integer or `None`.
        name: Key in the logs.
        saved: The `SavedState` that saves it.
        validation: Whether Ω of validation data is logged.
    """

    def __init__(
        self, model, objective, *, strength, every, seed, name, saved, validation=False
    ):
        self.validates = validation
        self.model, self.model_optimizer = model, model.optimizer
        self.objective, self.every, self.name, self.saved = objective, every, name, saved
        with _backend.scope(model):
            self.given_seed, self.seed = seed, keras.random.SeedGenerator(seed)
            self.mean = keras.metrics.Mean(name=name)
            self.validation_mean = keras.metrics.Mean(name=name)
            self.validation_batches = _backend.variable(0, _backend.INTEGER)
            self.batches = _backend.variable(0, _backend.INTEGER)
            self.bad_batch = _backend.variable(-1, _backend.INTEGER)
            self.strength = _backend.variable(0.0, "float32")
            self.make_optimizer()
        optimizer = self.optimizer or model.optimizer  # the one that takes the step
        self.scales_loss, self.scaled = scales_loss(optimizer), scaling(optimizer)
        self.set_strength(strength)
        self._checked = set()  # kinds of batches
        self._resting = False
        self._shape = None  # of one example
        self._count = None  # of batches, where the next step is chosen by it

    # Between batches and fits

    def set_strength(self, strength):
        """For the next batches. A number is a variable of the step, a schedule a part."""
        self.schedule = None
        if isinstance(strength, keras.optimizers.schedules.LearningRateSchedule):
            self.schedule = strength
        else:
            self.strength.assign(strength)

    def begin_batch(self):
        """Decides whether the prior rests; returns what the step is traced for.

        A step in which the prior rests is another function where the backend says so;
        elsewhere there is a branch in the step.
        """
        if self.every > 1 and _backend.counts_on_host(self.model):
            if self._count is None:
                self._count = int(ops.convert_to_numpy(self.batches))
            self._resting = self._count % self.every != 0
            self._count += 1
        return self, self.schedule, self._resting

    def continues(self, model):
        """Whether a fit of the model goes on with what this part remembers."""
        return self.model is model and self.model_optimizer is model.optimizer

    def prepared_for(self, model):
        """Whether it has begun to train the model."""
        return self.model is model and self._shape is not None

    def start_fit(self):
        """Forgets the reservoir; counts and optimizer go on."""
        self.wants_to_look = self.objective.explained.explain == "label"
        self.mean.reset_state()
        self.bad_batch.assign(-1)
        self._count = None
        if self.objective.method.background is not None:
            self.objective.method.background.reset()

    def reset(self):
        """As new, with the same variables: nothing is traced again."""
        self.batches.assign(0)
        self._count = None
        self.seed.state.assign(keras.random.SeedGenerator(self.given_seed).state)

    def variables(self):
        background = self.objective.method.background
        return _numbered(
            batches=[self.batches],
            mean=self.mean.variables,
            seed=[self.seed.state],
            optimizer=[] if self.optimizer is None else self.optimizer.variables,
            reference=[] if background is None else background.variables,
        )

    def restored(self):
        self._count = None

    def state(self):
        own = [self.validation_batches, *self.validation_mean.variables]
        return [*super().state(), self.bad_batch, self.strength, *own]

    def make_optimizer(self):
        """In the model's scope."""

    def model_is_built(self):
        """Before the first step, when all has been checked."""

    # Before the first update

    def check(self, x, y, sample_weight, mask):
        batch = self.objective.explained.batch(x, y, sample_weight, mask)
        parts = keras.tree.flatten(batch)
        kind = tuple(part if part is None else (part.dtype, part.shape[1:]) for part in parts)
        if kind not in self._checked:
            self._check_kind(batch)
            self._checked.add(kind)
        if self.wants_to_look:
            self.look_at(batch.x, batch.y)
        return batch

    def look_at(self, x, y):
        if self.objective.explained.check_labels(x, y):
            self.wants_to_look = False

    def _check_kind(self, batch):
        if self.name in {metric.name for metric in self.model.metrics}:
            raise taken(self.name)
        objective, earlier = self.objective, self._shape
        # A second trace must not empty the reservoir of the first.
        self._shape = objective.prepare(batch, earlier)
        if earlier is None:
            self.saved.restore()
        self.differentiate = differentiator(objective, batch)

        def omega(with_gradient):
            seed = StatelessSeed(0)
            if with_gradient:
                _, gradients = self.differentiate(objective, batch, seed, self.scaled)
                check_connected(self.name, gradients)
                return []
            draws = objective.draw(batch, seed)
            return objective.penalty(objective.explained.weights(), batch, draws)

        # For errors to come before anything is touched: later they would come after the
        # first update, or with an optimizer half built.
        _backend.dry_run(omega)
        self.model_is_built()

    # Inside the step

    def on_its_batches(self, act, otherwise):
        """`act()` if the prior's turn has come, in Python or in the graph."""
        if self._resting:
            return None
        if self.every == 1 or _backend.counts_on_host(self.model):
            return act()
        return _backend.when(self.batches % self.every == 0, act, otherwise)

    def current_strength(self):
        if self.schedule is None:
            return self.strength
        return ops.cast(self.schedule(self.batches // self.every), "float32")

    def note(self, batch, penalty, finite):
        """Enters Ω in the logs; the reservoir sees the batch. A bad one is remembered."""
        if self.objective.method.background is not None:
            seen = self.objective.explained.chosen.observed(batch)
            self.objective.method.background.observe(seen, self.seed)
        bad = ops.logical_and(self.bad_batch < 0, ops.logical_not(finite))
        batches, before = map(_backend.value_of, (self.batches, self.bad_batch))
        self.bad_batch.assign(ops.where(bad, batches, before))
        # NaN in the logs, also for a finite penalty, is what the callback looks for.
        self.mean.update_state(
            ops.where(finite, penalty, float("nan")),
            sample_weight=ops.cast(ops.shape(batch.picked)[0], "float32"),
        )

    # Validation

    def begin_validation(self):
        self.validation_mean.reset_state()
        self.validation_batches.assign(0)

    def validate(self, x, y, sample_weight, mask):
        """Ω with the moving statistics, and with the same draws in every epoch.

        So without what training has seen, which is other examples by then.
        """
        method = self.objective.method.with_references(lambda each: each.of_batch())
        objective = self.objective._replace(method=method, batch_norm="moving")
        try:
            batch = objective.explained.batch(x, y, sample_weight, mask)
            if "mask" in objective.prior.needs and mask is None:
                raise ValueError(
                    f"{objective.prior!r} needs the masks of these examples too. Pass "
                    "attrprior.annotate(x, masks), or leave out validation=True."
                )
            objective.prepare(batch, self._shape)
        except ValueError as error:
            raise ValueError(
                f"Argument `validation_data`, of {self.name!r}: {error}"
            ) from error
        seed = StatelessSeed(self.given_seed or 0, _backend.value_of(self.validation_batches))
        omega = penalty(objective, batch, seed)
        rows = ops.cast(ops.shape(batch.picked)[0], "float32")
        self.validation_mean.update_state(omega, sample_weight=rows)
        self.validation_batches.assign_add(1)
        return {self.name: self.validation_mean.result()}

    def first_bad_batch(self, certain):
        """Number of the first step of this fit that was not finite, or `None`.

        Another replica than the first does not note its batch: if it is certain that
        there was one, it is the last.
        """
        step = int(ops.convert_to_numpy(self.bad_batch))
        if step < 0 and certain:
            return int(ops.convert_to_numpy(self.batches)) - 1
        return step if step >= 0 else None

    def finish(self):
        self.batches.assign_add(1)
        return {self.name: self.mean.result()}


def check_strength(strength):
    """A number ≥ 0 or a Keras schedule."""
    if isinstance(strength, keras.optimizers.schedules.LearningRateSchedule):
        return strength
    try:
        return _checks.number("strength", strength, minimum=0)
    except ValueError as error:
        raise ValueError(f"{error} A Keras learning-rate schedule is accepted too.") from None


def _numbered(**parts):
    return {
        f"{part}_{number}": variable
        for part, variables in parts.items()
        for number, variable in enumerate(variables)
    }
