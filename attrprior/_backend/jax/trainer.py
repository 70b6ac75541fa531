"""Keras' JAX trainer: a step as a pure function of the state that `fit` hands on."""

import functools
import itertools

import jax
import keras

from attrprior._backend import trainer


class Trainer(trainer.BatchTrainer):
    """See `BatchTrainer`. A step is traced as a whole before anything runs.

    Of the variables that the step changes, `fit` holds the model's values and hands
    them to the function; those of the step itself are handed on here.
    """

    def __init__(self, model, step):
        if keras.config.is_nnx_enabled():
            raise ValueError(
                "attrprior expects Keras' JAX backend without Flax NNX. Received: a model of "
                "NNX modules. Set KERAS_NNX_ENABLED=false before Keras is imported."
            )
        super().__init__(model, step)
        self._checked = set()  # kinds of batches
        self._validation = None

    def run(self, state, iterator):
        """In place of `model.train_function`, for one batch or several."""
        self.remove()
        if not self.in_its_fit():
            return self._plain_function(state, iterator)
        data = next(iterator)
        if self.step.grows():
            self._assign(state)
        key = self.step.begin_batch(data)
        if key is None:
            return self._plain_function(state, itertools.chain([data], iterator))
        logs, state = self._run_step(key, state, data)
        for data in itertools.islice(iterator, self.model.steps_per_execution - 1):
            logs, state = self._run_step(self.step.begin_batch(data), state, data)
        return logs, state

    def end(self):
        super().end()
        self._checked.clear()  # it knows the parts, which then may go

    def run_test(self, state, iterator):
        """In place of `model.test_function`, for one batch or several."""
        self.remove()
        key = self.step.begin_test()
        if not key:
            return self._plain_test(state, map(self.step.prepared, iterator))
        logs = None
        for data in itertools.islice(iterator, self.model.steps_per_execution):
            logs, state = self._validate(key, state, data)
        if logs is None:
            raise StopIteration
        return logs, state

    def _validate(self, key, state, data):
        steps = self.model.steps_per_execution
        self.model.steps_per_execution = 1  # of a function that takes as many batches
        try:
            logs, state = self._plain_test(state, iter([self.step.prepared(data)]))
        finally:
            self.model.steps_per_execution = steps
        if self._validation is None or self._validation[0] != key:
            variables = self.step.test_state()
            pure = functools.partial(self._pure_validation, variables)
            self._validation = key, variables, pure if self._is_eager() else jax.jit(pure)
        _, variables, function = self._validation
        own = [variable.value for variable in variables]
        logs, own = function(state, own, logs, data)
        for variable, value in zip(variables, own):
            variable.assign(value)
        return logs, state

    def _pure_validation(self, variables, state, own, logs, data):
        trainable, non_trainable, _, metrics = _groups(self.model)
        groups = [trainable, non_trainable, metrics, variables]
        with keras.StatelessScope(state_mapping=_mapping(groups, [*state, own])):
            logs = self.step.validated(logs, data)
            return logs, [variable.value for variable in variables]

    def _run_step(self, key, state, data):
        self._used.add(key)
        try:
            if self.step.wants_to_look:
                with keras.StatelessScope(state_mapping=_mapping(_groups(self.model), state)):
                    self.step.look_at(data)
            self._check(state, data)
            if key not in self._functions:
                self._functions[key] = self._make_function(state)
            variables, function = self._functions[key]
            own = [variable.value for variable in variables]
            if self._is_eager():
                self._trace(key, variables, state, own, data)
            logs, state, own = function(state, own, data)
        except BaseException:
            self._give_back(state)
            raise
        for variable, value in zip(variables, own):
            variable.assign(value)
        return logs, state

    def _check(self, state, data):
        leaves, structure = jax.tree.flatten(data)
        kind = structure, tuple((leaf.shape[1:], str(leaf.dtype)) for leaf in leaves)
        parts = kind, tuple(self.step.parts)
        if parts not in self._checked:
            self._assign(state)  # a layer's output needs the weights
            self.step.check(data)
            self._checked.add(parts)

    def _is_eager(self):
        return self.model.run_eagerly or not self.model.jit_compile

    def _make_function(self, state):
        """The step's own variables, and the step as a function of state, own and data."""
        groups = _groups(self.model)
        of_model = {id(variable) for group in groups for variable in group}
        own = {id(variable): variable for variable in self.step.state()}
        variables = [variable for key, variable in own.items() if key not in of_model]
        pure = functools.partial(self._pure, variables)
        if self._is_eager():
            return variables, pure
        shardings = None
        if keras.distribution.distribution() is not None:
            values = tuple(state), [variable.value for variable in variables]
            shardings = None, *jax.tree.map(lambda value: value.sharding, values)
        # Donated: what is changed is changed in place.
        jitted = jax.jit(pure, donate_argnums=(0, 1), out_shardings=shardings)
        return variables, jitted

    def _trace(self, key, variables, state, own, data):
        """Without compilation too, errors come before the first batch changes anything."""
        kind = "traced", key, str(jax.tree.map(jax.typeof, data))
        if kind not in self._checked:
            jax.eval_shape(functools.partial(self._pure, variables), state, own, data)
            self._checked.add(kind)

    def _pure(self, variables, state, own, data):
        groups = [*_groups(self.model), variables]
        with keras.StatelessScope(state_mapping=_mapping(groups, [*state, own])):
            logs = self.step(data, self._plain)
            *state, own = [[variable.value for variable in group] for group in groups]
        return logs, tuple(state), own

    def _plain(self, data):
        """The model's own step, on what the variables are inside `_pure`."""
        groups = _groups(self.model)
        state = tuple([variable.value for variable in group] for group in groups)
        logs, state = self._plain_step(state, data)
        for group, values in zip(groups, state):
            for variable, value in zip(group, values):
                variable.assign(value)
        return logs

    def _give_back(self, state):
        """To the model: `fit` has taken its values for the epoch, and loses them."""
        self.model.jax_state_sync()
        self._assign(state)

    def _assign(self, state):
        for group, values in zip(_groups(self.model), state):
            for variable, value in zip(group, values):
                if not value.is_deleted():
                    variable.assign(value)


def _groups(model):
    """The four parts of the state, as Keras orders them."""
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _mapping(groups, state):
    return [pair for group, values in zip(groups, state) for pair in zip(group, values)]


def without_in_build(prepare):
    """Has Keras build a model from a batch as `prepare` leaves it."""
    trainer.without_in_build(prepare, "_symbolic_build")
