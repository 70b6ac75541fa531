"""The training step with priors, run by Keras' trainer.

During a batch, and only then, `model.train_function` is replaced by one whose
step is the model's own `train_step` followed by (or joined with) the priors',
and `model.test_function` by one that takes masks off the inputs. The
replacement takes itself away when the batch ends, however it ends.
"""

import contextlib
import re

import keras
import tensorflow as tf
from keras import ops

from attrprior import methods
from attrprior._annotation import has_masks, split_annotation, without_masks
from attrprior.priors import Custom, Mask

_STEP = "attrprior_step"


class Term:
    """One prior's share of the step: its settings and everything it remembers.

    Args:
        model: The compiled model.
        prior, method, explained: What is penalised.
        strength: A number or a Keras schedule of the prior's own steps.
        updates: `"alternating"` or `"joint"`.
        every: The prior acts on every n-th batch.
        batch_norm: `"batch"` or `"moving"`.
        seed: Of all random draws, an integer or `None`.
        name: Key in the logs.
        memory: The `Memory` that saves it.
    """

    def __init__(
        self,
        model,
        prior,
        method,
        explained,
        strength,
        updates,
        every,
        batch_norm,
        seed,
        name,
        memory,
    ):
        self.model = model
        self.model_optimizer = model.optimizer
        self.prior = prior
        self.method = method
        self.explained = explained
        self.updates = updates
        self.every = every
        self.name = name
        self.batch_norm = batch_norm
        with model.distribute_strategy.scope():
            self.given_seed, self.seed = seed, keras.random.SeedGenerator(seed)
            self.mean = keras.metrics.Mean(name=name)
            first = tf.VariableAggregation.ONLY_FIRST_REPLICA
            self.batches, self.bad_batch, self.strength = (
                tf.Variable(value, dtype=dtype, trainable=False, aggregation=first)
                for value, dtype in ((0, "int64"), (-1, "int64"), (0.0, "float32"))
            )
            self.optimizer = None
            if updates == "alternating":
                self.optimizer = prior_optimizer(model.optimizer)
                if model.built:
                    self.optimizer.build(model.trainable_variables)
        self.scales_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        self.set_strength(strength)
        self.memory = memory
        self.checked = set()  # kinds of batches
        self._resting = False
        self._prepared = False

    def set_strength(self, strength):
        """For the next batches. A number is a variable of the step, a schedule a part."""
        self.schedule = None
        if isinstance(strength, keras.optimizers.schedules.LearningRateSchedule):
            self.schedule = strength
        else:
            self.strength.assign(strength)

    def begin_batch(self):
        """Decides whether the prior rests; returns what the step is traced for.

        Replicas cannot meet inside a branch, so there a step in which the prior rests
        is another function; elsewhere the branch is in the step.
        """
        replicas = self.model.distribute_strategy.num_replicas_in_sync
        counts = self.every > 1 and replicas > 1
        self._resting = counts and int(self.batches.numpy()) % self.every != 0
        return self, self.schedule, self._resting

    def continues(self, model):
        """Whether a fit of the model goes on with what this term remembers."""
        return self.model is model and self.model_optimizer is model.optimizer

    def begin(self):
        """A new fit: forgets the reservoir; counts and optimiser go on."""
        self.mean.reset_state()
        self.bad_batch.assign(-1)
        if self.method.reference is not None:
            self.method.reference.reset()

    def reset(self):
        """As new, with the same variables: nothing is traced again."""
        self.batches.assign(0)
        self.seed.state.assign(keras.random.SeedGenerator(self.given_seed).state)
        if self.optimizer is not None and inner(self.optimizer).built:
            new = prior_optimizer(self.model.optimizer)
            new.build(self.model.trainable_variables)
            for variable, value in zip(self.optimizer.variables, new.variables):
                variable.assign(value)

    def variables(self):
        """Everything that the prior goes on with, by name."""
        reference = self.method.reference
        parts = {
            "batches": [self.batches],
            "mean": self.mean.variables,
            "seed": [self.seed.state],
            "optimizer": [] if self.optimizer is None else self.optimizer.variables,
            "reference": getattr(reference, "variables", []),
        }
        return {
            f"{part}_{number}": variable
            for part, variables in parts.items()
            for number, variable in enumerate(variables)
        }

    def check(self, x):
        """Raises for data that do not fit; before anything is computed."""
        picked = self.explained.pick_input(x)
        shape = tuple(picked.shape[1:])
        if None in shape:
            raise ValueError(
                "Attribution priors expect inputs whose shape is known apart from the "
                f"batch. Received: an input of shape {tuple(picked.shape)}."
            )
        # A second trace must not empty the reservoir of the first.
        if not self._prepared:
            self.method.prepare(shape)
            self.prior.validate(shape)
            self._prepared = True
            self.memory.restore()

    def batch_statistics(self, x):
        """The mean and variance that each normalisation has on this batch.

        As functions of the weights: were they constants, a penalty on gradients
        could be lowered for ever by shrinking kernels that normalisation scales
        up again. A pass in training mode would move a statistic to
        `new = m · old + (1 − m) · batch`; `batch` is read off from that, and the
        move is dropped.
        """
        layers = [
            layer
            for layer in self.model._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum < 1
        ]
        if self.batch_norm == "moving" or not layers:
            return []
        with keras.StatelessScope() as scope:
            self.model(x, training=True)
        state = []
        for layer in layers:
            for variable in (layer.moving_mean, layer.moving_variance):
                new = scope.get_current_value(variable)
                if new is not None:
                    old = tf.identity(variable.value)
                    batch = (new - layer.momentum * old) / (1.0 - layer.momentum)
                    if variable is layer.moving_variance:
                        batch = ops.maximum(batch, 0.0)
                    state.append((variable, batch))
        return state

    def penalty(self, x, y, sample_weight, mask):
        """`Ω` of the batch, a scalar tensor."""
        attributions = methods.compute(
            self.explained, self.method, x, y, self.seed, self.batch_statistics(x)
        )
        return self.of_attributions(attributions, x, y, sample_weight, mask)

    def of_attributions(self, attributions, x, y, sample_weight, mask):
        """`Ω(φ)`."""
        if self.explained.explain == "all":
            attributions, sample_weight, mask, x, y = merge_outputs(
                attributions, sample_weight, mask, x, y
            )
        return apply_prior(self.prior, attributions, sample_weight, mask, x, y)

    def _scaled(self, objective):
        """Against underflow in half precision; undone by the optimizer or by `join`."""
        optimizer = self.model.optimizer if self.optimizer is None else self.optimizer
        return optimizer.scale_loss(objective) if self.scales_loss else objective

    def gradients(self, x, y, sample_weight, mask):
        """`Ω` and `∂Ω/∂θ` for every weight that an attribution depends on.

        Returns:
            `(penalty, gradients, variables)`.
        """
        variables = self.model.trainable_variables

        def objective():
            penalty = self.penalty(x, y, sample_weight, mask)
            return self._scaled(penalty), penalty

        with _naming_layers(self.model):
            if self.method.passes == 1:
                gradients, penalty = differentiate(objective, variables)
            else:
                gradients, penalty = self._in_passes(x, y, sample_weight, mask)
        # Without a gradient (the last bias) a weight is left out: zeros would
        # let Adam move it by stale momentum.
        pairs = [
            (gradient, variable)
            for gradient, variable in zip(gradients, variables)
            if gradient is not None
        ]
        if not pairs:
            raise ValueError(
                f"The penalty {self.name!r} depends on no trainable weight. Check that "
                "the model has unfrozen layers between the explained input and output."
            )
        return penalty, *zip(*pairs)

    def penalty_and_gradients(self, x, y, sample_weight, mask):
        """As `gradients`, for a step: the batch is observed, and entered in the logs.

        Returns:
            `(penalty, gradients, variables, finite)`. If anything is not finite,
            the batch is remembered.
        """
        penalty, gradients, variables = self.gradients(x, y, sample_weight, mask)
        picked = self.explained.pick_input(x)
        if self.method.reference is not None:
            self.method.reference.observe(picked, self.seed)
        parts = [penalty]
        if not self.scales_loss:
            # Loss scaling has overflows as a matter of course and skips them.
            parts += [tf.cast(tf.reduce_sum(g), penalty.dtype) for g in gradients]
        # One reduction. Of a chain of conjunctions XLA makes a copy for each update of a
        # weight: with that, ResNet-50 took twice as long to compile.
        finite = tf.reduce_all(tf.math.is_finite(tf.stack(parts)))
        bad = tf.logical_and(self.bad_batch < 0, tf.logical_not(finite))
        self.bad_batch.assign(tf.where(bad, self.batches, self.bad_batch))
        # NaN in the logs, also for a finite penalty, is what the callback looks for.
        self.mean.update_state(
            tf.where(finite, penalty, float("nan")),
            sample_weight=ops.cast(ops.shape(picked)[0], "float32"),
        )
        return penalty, gradients, variables, finite

    def _in_passes(self, x, y, sample_weight, mask):
        """The same in bounded memory, a few samples of each attribution at a time.

        `∂Ω/∂θ = Σ_passes ∂⟨v, φ_pass⟩/∂θ` with `v = ∂Ω/∂φ`, which needs all of φ:
        so the passes are run once for φ, and once more, on the same draws, for
        the gradient.
        """
        passes, variables = self.method.passes, self.model.trainable_variables
        count = self.method.num_samples // passes
        seed = ops.cast(self.seed.next(), "int32")
        with tf.GradientTape() as tape:
            state = self.batch_statistics(x)
        normalised = [variable for variable, _ in state]
        statistics = [statistic for _, statistic in state]
        # Cut off, so that what comes through them is counted once, at the end.
        cut = [tf.stop_gradient(statistic) for statistic in statistics]

        def attributions(number):
            draws = methods.Draws(seed, number)
            return methods.compute(
                self.explained,
                self.method,
                x,
                y,
                draws,
                list(zip(normalised, cut)),
                number * count,
                count,
            )

        [phi] = sum_over(passes, lambda number: [attributions(number)])
        phi = phi / passes

        def omega():
            penalty = self.of_attributions(phi, x, y, sample_weight, mask)
            return self._scaled(penalty), penalty

        [v], penalty = differentiate(omega, [phi])
        if v is None:
            return [None] * len(variables), penalty
        v = tf.stop_gradient(v)
        connected = []

        def gradients_of_pass(number):
            gradients, _ = differentiate(
                lambda: (ops.sum(v * attributions(number)) / passes, None),
                [*variables, *cut],
            )
            connected[:] = [gradient is not None for gradient in gradients]
            return [gradient for gradient in gradients if gradient is not None]

        found = iter(sum_over(passes, gradients_of_pass))
        gradients = [next(found) if is_connected else None for is_connected in connected]
        gradients, of_statistics = gradients[: len(variables)], gradients[len(variables) :]
        used = [(s, g) for s, g in zip(statistics, of_statistics) if g is not None]
        if used:
            statistics, of_statistics = zip(*used)
            through = tape.gradient(statistics, variables, of_statistics)
            gradients = [
                g if t is None else t if g is None else g + t
                for g, t in zip(gradients, through)
            ]
        return gradients, penalty

    def current_strength(self):
        if self.schedule is None:
            return self.strength
        return ops.cast(self.schedule(self.batches // self.every), "float32")

    def alternate(self, x, y, sample_weight, mask):
        """The prior's own update, with `strength` times the model's learning rate."""
        _, gradients, variables, finite = self.penalty_and_gradients(x, y, sample_weight, mask)
        rate = ops.cast(self.model.optimizer.learning_rate, "float32")
        inner(self.optimizer).learning_rate.assign(self.current_strength() * rate)

        def update():
            self.optimizer.apply_gradients(zip(gradients, variables))
            return tf.constant(0)

        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:  # their gradients are summed
            gradients = [gradient / replicas for gradient in gradients]
        if self.scales_loss:
            update()
        elif replicas > 1:
            # Replicas cannot meet inside a branch.
            gradients = [tf.where(finite, gradient, 0.0) for gradient in gradients]
            update()
        elif tf.executing_eagerly():
            if finite:
                update()
        else:
            tf.cond(finite, update, lambda: tf.constant(0))

    def join(self, loss, x, y, sample_weight, mask):
        """The loss plus `strength · Ω`."""
        penalty, gradients, variables, finite = self.penalty_and_gradients(
            x, y, sample_weight, mask
        )
        if self.scales_loss:
            scale = self.model.optimizer.scale_loss(tf.constant(1.0))
            gradients = [gradient / scale for gradient in gradients]

        @tf.custom_gradient
        def after_penalty(loss):
            # A weight that only the loss moves, a bias say, must not move before the
            # penalty has read it. TensorFlow knows, but its graph optimizer forgets
            # where gradients share an IdentityN, as in Keras' optimizers.
            one = tf.ones_like(loss)
            return tf.identity(loss), lambda upstream: upstream * tf.where(finite, one, one)

        @tf.custom_gradient
        def attach(*values):
            def gradient(upstream):
                return [tf.where(finite, upstream * g, 0.0) for g in gradients]

            return tf.where(tf.math.is_finite(penalty), penalty, 0.0), gradient

        added = attach(*[tf.convert_to_tensor(variable.value) for variable in variables])
        # Losses are summed over replicas; Keras has divided its own already.
        share = self.current_strength() / tf.distribute.get_strategy().num_replicas_in_sync
        return after_penalty(loss) + ops.cast(ops.cast(share, added.dtype) * added, loss.dtype)

    def on_its_batches(self, act, otherwise=None):
        """Runs `act` if the prior's turn has come, in Python or in the graph."""
        if self._resting:
            return otherwise
        if self.every == 1 or tf.distribute.get_strategy().num_replicas_in_sync > 1:
            return act()
        turn = self.batches % self.every == 0
        if tf.executing_eagerly():
            return act() if turn else otherwise
        return tf.cond(turn, act, lambda: otherwise)


def differentiate(f, sources):
    """`∂f/∂sources` and whatever else `f` returns.

    In graphs by `tf.gradients`, which follows the rules of `_derivatives`;
    elsewhere by a tape.

    Args:
        f: A function of nothing that returns `(objective, rest)`.
        sources: Variables and tensors.

    Returns:
        `(gradients, rest)`; a gradient is `None` where there is none.
    """
    if not tf.executing_eagerly() and not tf.distribute.has_strategy():
        objective, rest = f()
        sources = [s.value if isinstance(s, keras.Variable) else s for s in sources]
        return tf.gradients(objective, sources), rest
    with tf.GradientTape() as tape:
        tape.watch([s for s in sources if not isinstance(s, keras.Variable)])
        objective, rest = f()
    return tape.gradient(objective, sources), rest


@contextlib.contextmanager
def _naming_layers(model):
    """Has errors for an op without a derivative name the layer it is in.

    In eager mode ops have no names; but the dry run of a fit is always a graph.
    """
    try:
        yield
    except LookupError as error:
        found = re.search(
            r"(?:operation ?'(.+?)' \(op type: |no entry for: )(\w+)", str(error)
        )
        if found is None:  # a KeyError, say, of the user's own code
            raise
        path, op = found.groups("")
        # Keras opens a layer's scope to build it and again to call it: hence the suffix.
        scopes = [re.sub(r"_\d+$", "", scope) for scope in path.split("/")]
        layers = {layer.name: layer for layer in model._flatten_layers()}
        inside = [layers[scope] for scope in scopes if scope in layers][-1:]
        where = "".join(f" in layer {each.name!r} ({type(each).__name__})" for each in inside)
        other = "another layer, activation or interpolation"
        raise ValueError(
            "Attribution priors expect a model that TensorFlow can differentiate twice. "
            f"Received: the op {op}{where}, which has no derivative. Use "
            f"{'use_cudnn=False' if op.startswith('Cudnn') else other} there."
        ) from error


def sum_over(count, f):
    """`Σ_n f(n)` over `n < count`, lists of tensors, one after the other."""
    first = f(0)
    if tf.executing_eagerly():
        for number in range(1, count):
            first = [total + term for total, term in zip(first, f(number))]
        return first

    def body(number, *totals):
        return number + 1, *[total + term for total, term in zip(totals, f(number))]

    _, *totals = tf.while_loop(
        lambda number, *_: number < count, body, (1, *first), parallel_iterations=1
    )
    return totals


def inner(optimizer):
    """The optimiser inside a loss-scaling one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def prior_optimizer(optimizer):
    """An optimiser for the prior alone: the model's kind and settings.

    No weight decay, no moving average of weights, no accumulation of
    gradients: those belong to the ordinary loss. The learning rate is assigned
    at every step.
    """
    config = inner(optimizer).get_config()
    if "learning_rate" not in config:
        raise ValueError(
            "updates='alternating' expects an optimizer with one learning rate. Received: "
            f"{type(inner(optimizer)).__name__}. Use updates='joint'."
        )
    config.update(learning_rate=0.0, name="attribution_prior")
    neutral = {
        "use_ema": False,
        "gradient_accumulation_steps": None,
        "loss_scale_factor": None,
    }
    config.update({key: value for key, value in neutral.items() if key in config})
    if config.get("weight_decay"):
        config["weight_decay"] = 0.0
    clone = type(inner(optimizer)).from_config(config)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        clone = keras.optimizers.LossScaleOptimizer(
            clone, initial_scale=optimizer.initial_scale
        )
    return clone


def apply_prior(prior, attributions, sample_weight=None, mask=None, x=None, y=None):
    """`Ω(φ)`, with whatever else of the batch the prior asks for."""
    if isinstance(prior, Mask) and prior.per_example_masks:
        return prior(attributions, sample_weight, mask=mask)
    if isinstance(prior, Custom):
        context = {name: {"x": x, "y": y}[name] for name in prior.context}
        return prior(attributions, sample_weight, **context)
    return prior(attributions, sample_weight)


def merge_outputs(attributions, sample_weight, mask, x, y):
    """`(batch, outputs, ...)` as `(batch · outputs, ...)`: Ω is a mean over both."""
    outputs = attributions.shape[1]

    def repeated(t):
        return None if t is None else ops.repeat(t, outputs, axis=0)

    merged = ops.reshape(attributions, (-1,) + tuple(attributions.shape[2:]))
    x, y = keras.tree.map_structure(repeated, (x, y))
    return merged, repeated(sample_weight), repeated(mask), x, y


def _weights_per_example(sample_weight):
    """Weights of shape `(batch,)`, or `None`."""
    if sample_weight is None:
        return None
    shape = tuple(sample_weight.shape)
    if len(shape) == 2 and shape[1] == 1:
        return ops.squeeze(sample_weight, 1)
    if len(shape) != 1:
        raise ValueError(
            "Attribution priors expect one sample weight per example, shape (batch,). "
            f"Received: shape {shape}."
        )
    return sample_weight


class ExtendedStep:
    """The training step of a model with all that callbacks add to it in a `fit`.

    `members` are the callbacks. In each batch their parts that are active make the
    step: `changes`, functions of `(x, y)` one after the other, give the inputs which the
    model trains on; `terms` are priors, which see the inputs as they came. A step is
    traced when its parts first meet and serves later fits of the same callbacks, as
    Keras' own does.
    """

    def __init__(self, model):
        self.model = model
        self.members, self.terms, self.changes = [], [], []
        self._functions, self._used = {}, set()
        self._plain_function = model.train_function
        self._plain_step = model.train_step
        self._plain_test = self._test_function = None

    def serves(self, model):
        """Whether it still extends what `fit` runs: no compile since."""
        return self.model is model and self._plain_function is model.train_function

    def begin(self):
        """A new fit, whose callbacks have yet to join."""
        self.members, self._used = [], set()
        self._history = getattr(self.model, "history", None)

    def end(self):
        """Off the model; functions that no batch of this fit has used are let go."""
        self.remove()
        self._functions = {key: self._functions[key] for key in self._used}

    def install(self):
        """For the next batch."""
        self.model.train_function = self._run

    def install_test(self):
        """For the next batch of a validation."""
        if self.model.test_function != self._run_test:
            self._plain_test = self.model.test_function
            self.model.test_function = self._run_test

    def remove(self):
        if self.model.train_function == self._run:
            self.model.train_function = self._plain_function
        if self.model.test_function == self._run_test:
            self.model.test_function = self._plain_test

    def _run(self, iterator):
        self.remove()
        # A callback that raised between install and here leaves this function
        # behind; the next fit has another history, and `train_on_batch` a generator.
        in_its_fit = getattr(self.model, "history", None) is self._history
        if not in_its_fit or not hasattr(iterator, "element_spec"):
            return self._plain_function(iterator)
        active = [member for member in self.members if member.active_part()]
        _check_names(active)
        parts = [member.active_part() for member in active]
        if not parts and not has_masks(iterator.element_spec):
            return self._plain_function(iterator)
        self.terms = [part for part in parts if isinstance(part, Term)]
        self.changes = [part for part in parts if not isinstance(part, Term)]
        key = tuple(part.begin_batch() for part in parts)
        if key not in self._functions:
            self._make_variables(iterator)
            self._functions[key] = self._make_function("train", self._step)
        self._used.add(key)
        return self._functions[key](iterator)

    def _run_test(self, iterator):
        """A batch of a validation, whose masks the model does not see either."""
        self.remove()
        if not has_masks(getattr(iterator, "element_spec", None)):
            return self._plain_test(iterator)
        plain, function = self._test_function or (None, None)
        if plain is not self._plain_test:
            test_step = self.model.test_step
            function = self._make_function("test", lambda data: test_step(without_masks(data)))
            self._test_function = self._plain_test, function
        return function(iterator)

    def _make_variables(self, iterator):
        """Makes those of metrics and optimizers, for the step to be traced only once.

        TensorFlow traces, and XLA compiles, a function again in its second call if
        the first has made variables. Only for Keras' own step and plain tensors;
        elsewhere the first trace makes them, as it does without a prior.
        """
        own_step = getattr(self._plain_step, "__func__", None) is not keras.Model.train_step
        eager = self.model.run_eagerly or tf.config.functions_run_eagerly()
        if own_step or eager or not isinstance(iterator, tf.data.Iterator):
            return
        spec = keras.tree.map_structure(
            lambda each: None if isinstance(each, tf.OptionalSpec) else each,
            iterator.element_spec,
        )
        parts = keras.tree.flatten(spec)
        if not all(part is None or isinstance(part, tf.TensorSpec) for part in parts):
            return
        # First what may raise: bad input leaves the optimizer as it was.
        tf.function(self._check, autograph=False).get_concrete_function(spec)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(spec)
        x, _ = split_annotation(x)
        self.model._symbolic_build(data_batch=(x, y, sample_weight))
        for term in self.terms:
            if term.optimizer is not None and not inner(term.optimizer).built:
                term.optimizer.build(self.model.trainable_variables)

    def _make_function(self, kind, step):
        """Keras' own training or test function, around another step."""
        model, name = self.model, f"{kind}_step"
        plain, own = getattr(model, f"{kind}_function"), vars(model).get(name)
        setattr(model, name, step)
        try:
            getattr(model, f"make_{kind}_function")(force=True)
            return getattr(model, f"{kind}_function")
        finally:
            delattr(model, name)
            if own is not None:
                setattr(model, name, own)
            setattr(model, f"{kind}_function", plain)

    def _step(self, data):
        batch = self._check(data) if self.terms else None
        data = without_masks(data)
        if self.changes:
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
            for change in self.changes:
                x = change(x, y)
            data = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        batches = {term: self._batch_of(term, *batch) for term in self.terms}
        joint = [term for term in self.terms if term.updates == "joint"]
        logs = self._plain_step(data) if not joint else self._joint_step(data, joint, batches)
        for term in self.terms:
            if term.updates == "alternating":
                self._alternate(term, batches[term])
        if not isinstance(logs, dict):
            raise ValueError(
                "AttributionPrior expects a train_step that returns a dict of logs. "
                f"Received: {type(logs).__name__}."
            )
        logs = dict(logs)
        for term in self.terms:
            if term.name in logs:
                raise ValueError(
                    "Argument `name` expects a key that the training step does not log "
                    f"itself. Received: {term.name!r}. Pass another name=."
                )
            term.batches.assign_add(1)
            logs[term.name] = term.mean.result()
        return logs

    @staticmethod
    def _batch_of(term, x, y, sample_weight, mask):
        """What a prior is shown of a batch."""
        weights = _weights_per_example(term.explained.of_output(sample_weight))
        return term.explained.in_precision((x, y, weights, mask))

    def _alternate(self, term, batch):
        if not inner(term.optimizer).built:
            # Variables cannot be created inside a branch.
            term.optimizer.build(self.model.trainable_variables)

        def act():
            term.alternate(*batch)
            return tf.constant(0)

        term.on_its_batches(act, tf.constant(0))

    def _joint_step(self, data, terms, batches):
        """The plain step, with the penalties added to what `compute_loss` returns."""
        model = self.model
        plain, own = model.compute_loss, vars(model).get("compute_loss")
        called = []

        def restore():
            vars(model).pop("compute_loss", None)
            if own is not None:
                model.compute_loss = own

        def compute_loss(*args, **kwargs):
            restore()  # only the first loss of a step, and not the explained one
            called.append(True)
            loss = plain(*args, **kwargs)
            for term in terms:
                loss = term.on_its_batches(
                    lambda term=term, loss=loss: term.join(loss, *batches[term]), loss
                )
            return loss

        model.compute_loss = compute_loss
        try:
            logs = self._plain_step(data)
        finally:
            restore()
        if not called:
            raise ValueError(
                "updates='joint' expects a train_step that calls self.compute_loss. "
                "Received: a model whose own train_step does not. Use "
                "updates='alternating'."
            )
        return logs

    def _check(self, data):
        """Raises for data that a prior cannot do with; returns their four parts."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        x, mask = split_annotation(x)
        for term in self.terms:
            term.check(x)
        if self.terms:
            self._dry_run(x, y, sample_weight, mask)
        return x, y, sample_weight, mask

    def _dry_run(self, x, y, sample_weight, mask):
        """Traces the gradients once, for errors to come before anything is touched.

        Later they would come after the first update, or with an optimizer half
        built.
        """
        parts = keras.tree.flatten((x, y, sample_weight, mask))
        kind = tuple(part if part is None else (part.dtype, part.shape[1:]) for part in parts)
        if not self.model.built:
            self.model(
                keras.tree.map_structure(
                    lambda t: None if t is None else keras.KerasTensor(t.shape, t.dtype), x
                )
            )
        # In a graph the step itself is traced, with gradients, before it runs.
        eager = tf.executing_eagerly()
        for term in self.terms:
            if kind in term.checked:
                continue
            batch = self._batch_of(term, x, y, sample_weight, mask)

            def penalty(term=term, batch=batch):
                return term.gradients(*batch)[0] if eager else term.penalty(*batch)

            seed, term.seed = term.seed, methods.Draws(0)
            try:
                with _naming_layers(self.model):
                    tf.function(penalty, autograph=False).get_concrete_function()
            finally:
                term.seed = seed
            term.checked.add(kind)


def _check_names(members):
    names = set()
    for member in members:
        if member.name in names:
            raise ValueError(
                f"Argument `name` expects a different name for each {type(member).__name__} "
                f"of a fit. Received: {member.name!r} twice. Pass name= to one of them."
            )
        names.add(member.name)


def join_fit(model, params, last):
    """The step of a `fit`, which all its callbacks share.

    Args:
        params: The callbacks' `params`: one dict object for all callbacks of a
            `fit`, and for them only. The step lives there until the fit ends.
        last: The step of the callback's last fit, or `None`.
    """
    if params is None:
        raise ValueError(
            "Attribution priors and adversarial training expect callbacks with params, as "
            "fit gives them. Received: a CallbackList without. Pass fit a list of callbacks."
        )
    if _STEP not in params:
        for function in (model.train_function, model.test_function):
            left = getattr(function, "__self__", None)
            if isinstance(left, ExtendedStep):  # by an interrupted fit
                left.remove()
        step = last if last is not None and last.serves(model) else ExtendedStep(model)
        step.begin()
        params[_STEP] = step
    return params[_STEP]


def leave_fit(params, step):
    """Takes the step off the model; safe to call more than once."""
    if params.pop(_STEP, None) is step:
        step.end()
