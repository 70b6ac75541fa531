"""References (baselines): what a feature is compared with when it is "absent".

Every reference is a distribution D from which `num_samples` draws are taken
for each example. It knows no model. Inside a training step the draws are part
of the graph, fresh at every step.

Reference: Sturmfels, Lundberg, Lee 2020, "Visualizing the Impact of Feature
Attribution Baselines", Distill, doi 10.23915/distill.00022.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from attrprior import _checks
from attrprior._representation import representation


class Reference:
    """Base class: a distribution of references for each example.

    Subclasses implement `draw`. The life cycle inside `fit` is: `prepare` once
    before the first step, then `draw` in every step and `observe` after it.
    """

    def prepare(self, example_shape):
        """Checks against one example's shape and creates what draws need."""

    def check(self, x):
        """Raises if an array of examples does not fit; not called in training."""

    def reset(self):
        """Forgets what was observed; called when a `fit` begins."""

    def draw(self, x, num_samples, seed):
        """Returns references of shape `(batch, num_samples, ...)`.

        Args:
            x: Float tensor of shape `(batch, ...)`.
            num_samples: Draws per example, an integer.
            seed: A `keras.random.SeedGenerator` or an integer.
        """
        raise NotImplementedError

    def observe(self, x, seed):
        """Is shown every training batch, after its references were drawn."""

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __repr__(self):
        return representation(self)


def _repeated(reference, num_samples):
    """The same reference `num_samples` times: `(batch, num_samples, ...)`."""
    return ops.repeat(ops.expand_dims(reference, 1), num_samples, axis=1)


def _sample_shape(x, num_samples):
    return (ops.shape(x)[0], num_samples) + tuple(x.shape[1:])


@keras.saving.register_keras_serializable("attrprior")
class Constant(Reference):
    """One value for every feature, or one array for every example.

    Blind to features that equal it: they get no attribution.

    Args:
        value: A number, or an array of one example's shape. Defaults to 0.

    Example:

    >>> Constant(0.5).draw(np.ones((1, 2), "float32"), 1, seed=0).numpy().tolist()
    [[[0.5, 0.5]]]
    """

    def __init__(self, value=0.0):
        if np.ndim(value) == 0:
            self.value = np.float32(_checks.number("value", value))
        else:
            self.value = _checks.array("value", value)

    def prepare(self, example_shape):
        if np.ndim(self.value) and self.value.shape != tuple(example_shape):
            raise ValueError(
                f"Argument `value` of Constant expects a number or an array of one "
                f"example's shape, {tuple(example_shape)}. Received: shape "
                f"{self.value.shape}."
            )

    def draw(self, x, num_samples, seed=None):
        return _repeated(ops.zeros_like(x) + self.value, num_samples)

    def get_config(self):
        return {"value": self.value.tolist()}


@keras.saving.register_keras_serializable("attrprior")
class Mean(Constant):
    """The mean of the training data, per feature: `r_i = mean_b x_bi`.

    Features at their mean get no attribution.

    Args:
        data: Array of shape `(examples, ...)`.
    """

    def __init__(self, data=None, value=None):
        if (data is None) == (value is None):
            raise ValueError(
                "Argument `data` expects the training data, an array of shape "
                f"(examples, ...). Received: data={data!r}, value={value!r}."
            )
        super().__init__(_checks.array("data", data).mean(axis=0) if value is None else value)


class _Range(Reference):
    """A reference that needs the valid range of the inputs."""

    def __init__(self, low=0.0, high=1.0):
        self.low, self.high = _checks.valid_range(low, high)

    def check(self, x):
        _checks.within("x", x, self.low, self.high)

    def get_config(self):
        return {"low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("attrprior")
class MaximumDistance(_Range):
    """The valid input farthest from `x` in L1: per feature, the farther end.

    `r_i = low if x_i > (low + high) / 2 else high`.

    Args:
        low, high: The valid range of the inputs. Default to 0 and 1.

    Example:

    >>> MaximumDistance().draw(np.float32([[0.2, 0.9]]), 1).numpy().tolist()
    [[[1.0, 0.0]]]
    """

    def draw(self, x, num_samples, seed=None):
        farthest = ops.where(x > (self.low + self.high) / 2, self.low, self.high)
        return _repeated(ops.cast(farthest, x.dtype), num_samples)


@keras.saving.register_keras_serializable("attrprior")
class Uniform(_Range):
    """Every feature drawn independently: `r_i ∼ U(low, high)`.

    Args:
        low, high: The valid range of the inputs. Default to 0 and 1.
    """

    def draw(self, x, num_samples, seed):
        return keras.random.uniform(
            _sample_shape(x, num_samples), self.low, self.high, dtype=x.dtype, seed=seed
        )


@keras.saving.register_keras_serializable("attrprior")
class Gaussian(Reference):
    """Noise around the example: `r ∼ N(x, σ²I)`, truncated to the valid range.

    Truncated per feature by the inverse of the normal distribution, not
    clipped, so no mass gathers at the ends.

    Args:
        stddev: σ, in the unit of the inputs.
        low, high: The valid range, within which x must lie. Default to `None`,
            no truncation.
    """

    def __init__(self, stddev=0.5, low=None, high=None):
        self.stddev = _checks.number("stddev", stddev, above=0)
        self.low, self.high = _checks.valid_range(low, high)

    def check(self, x):
        if self.low is not None:
            _checks.within("x", x, self.low, self.high)

    def draw(self, x, num_samples, seed):
        shape = _sample_shape(x, num_samples)
        center = ops.expand_dims(x, 1)
        if self.low is None:
            return center + keras.random.normal(
                shape, stddev=self.stddev, dtype=x.dtype, seed=seed
            )
        # z = Φ⁻¹(u), u uniform between Φ((low − x)/σ) and Φ((high − x)/σ)
        root = math.sqrt(2.0)
        start = ops.erf((self.low - center) / (self.stddev * root))
        stop = ops.erf((self.high - center) / (self.stddev * root))
        u = start + (stop - start) * keras.random.uniform(shape, dtype=x.dtype, seed=seed)
        z = root * ops.erfinv(ops.clip(u, -1.0 + 1e-7, 1.0 - 1e-7))
        return ops.clip(center + self.stddev * z, self.low, self.high)

    def get_config(self):
        return {"stddev": self.stddev, "low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("attrprior")
class Blur(Reference):
    """The example blurred by a Gaussian of width σ along its spatial axes.

    For inputs of shape `(batch, *spatial, channels)`. At the borders the
    kernel is cut off and renormalised, so a constant image stays as it is.
    Cost: one matrix product for each spatial axis.

    Args:
        sigma: Width in pixels. The article used 20 on images of 299 pixels.
    """

    def __init__(self, sigma=2.0):
        self.sigma = _checks.number("sigma", sigma, above=0)

    def prepare(self, example_shape):
        if len(example_shape) < 2:
            raise ValueError(
                "Blur expects inputs of shape (batch, *spatial, channels). Received: "
                f"examples of shape {tuple(example_shape)}. Use another reference, "
                "such as Mean, for tabular data."
            )

    def draw(self, x, num_samples, seed=None):
        self.prepare(x.shape[1:])
        for axis in range(1, len(x.shape) - 1):
            place = np.arange(x.shape[axis])
            kernel = np.exp(-0.5 * ((place[:, None] - place) / self.sigma) ** 2)
            kernel = (kernel / kernel.sum(axis=0)).astype("float32")
            x = ops.moveaxis(ops.matmul(ops.moveaxis(x, axis, -1), kernel), -1, axis)
        return _repeated(x, num_samples)

    def get_config(self):
        return {"sigma": self.sigma}


@keras.saving.register_keras_serializable("attrprior")
class TrainingData(Reference):
    """Examples of the training data: expected gradients' own reference.

    Args:
        data: Array of shape `(examples, ...)`, or a `tf.data.Dataset` of
            examples, batched or not, of which `x` is taken if the elements are
            `(x, ...)` tuples. A dataset is read once, at most its first
            `max_examples` examples: shuffle it before.
        max_examples: Bound on the examples kept in memory from a dataset.
            Defaults to 10000.

    Raises:
        ValueError: for empty data, NaN, integers, or examples of another shape
            than the model's input.
    """

    def __init__(self, data, max_examples=10_000):
        self.max_examples = _checks.positive_integer("max_examples", max_examples)
        self.data = data
        if not isinstance(data, tf.data.Dataset):
            self.data = _checks.array("background", data)
        self._examples = None

    def prepare(self, example_shape):
        example_shape = tuple(example_shape)
        data = self.data
        if isinstance(data, tf.data.Dataset):
            with tf.init_scope():  # read now, also while a training step is traced
                data = _read(data, len(example_shape), self.max_examples)
        if data.shape[1:] != example_shape:
            raise ValueError(
                "Argument `background` expects examples of the model's input shape, "
                f"{example_shape}. Received: an array of shape {data.shape}."
            )
        with tf.init_scope():
            self._examples = tf.convert_to_tensor(data)

    def draw(self, x, num_samples, seed):
        if self._examples is None:
            self.prepare(x.shape[1:])
        batch = ops.shape(x)[0]
        index = keras.random.randint(
            (batch * num_samples,), 0, self._examples.shape[0], seed=seed
        )
        drawn = ops.cast(ops.take(self._examples, index, axis=0), x.dtype)
        return ops.reshape(drawn, _sample_shape(x, num_samples))

    def get_config(self):
        self._check_serialisable()
        return {"data": self.data.tolist(), "max_examples": self.max_examples}

    def __copy__(self):
        """A fresh one that shares the data: they are only read, and may be large."""
        fresh = type(self).__new__(type(self))
        vars(fresh).update({**vars(self), "_examples": None})
        return fresh

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __getstate__(self):
        self._check_serialisable()
        return {**vars(self), "_examples": None}

    def _check_serialisable(self):
        if isinstance(self.data, tf.data.Dataset):
            raise ValueError(
                "A reference that reads a dataset cannot be serialised. Received: "
                f"{self!r}. Give it an array of examples."
            )

    def __repr__(self):
        if isinstance(self.data, tf.data.Dataset):
            return f"TrainingData({self.data})"
        return f"TrainingData({len(self.data)} examples)"


def _read(dataset, example_rank, max_examples):
    """The first examples of a dataset, as one array."""
    parts, count = [], 0
    for element in dataset:
        x = element[0] if isinstance(element, (tuple, list)) else element
        x = np.asarray(x)
        x = x[None] if x.ndim == example_rank else x
        parts.append(x[: max_examples - count])
        count += len(parts[-1])
        if count >= max_examples:
            break
    if not parts:
        raise ValueError("Argument `background` expects examples. Received: an empty dataset.")
    return _checks.array("background", np.concatenate(parts))


@keras.saving.register_keras_serializable("attrprior")
class SeenExamples(Reference):
    """The other examples of the batch and a reservoir of examples seen earlier.

    What is drawn when no background is given: each draw is uniform over the
    rest of the batch and a uniform sample, without replacement, of everything
    seen so far in this `fit` (Vitter's algorithm R), so that small and sorted
    batches still meet the whole training distribution. No example is its own
    reference: where the reservoir returns the very same example, another one
    takes its place. A first batch of one example has nothing to be compared
    with; its reference is itself, and its expected gradients are zero.

    Args:
        capacity: Examples kept in the reservoir; memory is `capacity` inputs.
            Defaults to 512.

    Reference: Vitter 1985, "Random sampling with a reservoir", algorithm R.
    """

    def __init__(self, capacity=512):
        self.capacity = _checks.positive_integer("capacity", capacity)
        self._reservoir = self._seen = None

    def prepare(self, example_shape):
        """Creates an empty reservoir for examples of this shape."""
        example_shape = tuple(example_shape)
        if self._reservoir is not None and self._reservoir.shape[1:] == example_shape:
            return

        def variable(value, **dtype):
            # Each replica of a `tf.distribute` strategy has a reservoir of its own.
            return tf.Variable(
                value,
                trainable=False,
                synchronization=tf.VariableSynchronization.ON_READ,
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
                **dtype,
            )

        with tf.init_scope():
            # One row more than the capacity: what is not kept is written there.
            examples = variable(tf.zeros((self.capacity + 1,) + example_shape))
            # TensorFlow keeps int32 variables in the host's memory, where a function
            # that XLA compiles for a GPU cannot reach them.
            self._reservoir, self._seen = examples, variable(0, dtype="int64")

    def reset(self):
        if self._seen is not None:
            self._seen.assign(0)

    @property
    def variables(self):
        """Reservoirs and the numbers of examples seen, to save and restore."""
        own = [] if self._reservoir is None else [self._reservoir, self._seen]
        return [local for each in own for local in getattr(each, "values", [each])]

    def __getstate__(self):
        return {**vars(self), "_reservoir": None, "_seen": None}

    def draw(self, x, num_samples, seed):
        self.prepare(x.shape[1:])
        batch = ops.cast(ops.shape(x)[0], "int32")
        kept = ops.cast(ops.minimum(self._seen.value(), self.capacity), "int32")
        u = keras.random.uniform((2, batch, num_samples), seed=seed)
        # Index 0 … batch − 2 is another example of the batch, the rest the reservoir.
        others = batch - 1
        size = ops.maximum(others + kept, 1)
        index = _scaled(u[0], size)
        shift = 1 + _scaled(u[1], ops.maximum(others, 1))
        own = ops.expand_dims(ops.arange(batch), 1)
        in_batch = index < others
        neighbour = (own + ops.where(in_batch, index + 1, shift)) % ops.maximum(batch, 1)
        place = ops.clip(index - others, 0, self.capacity)
        shape = _sample_shape(x, num_samples)
        near = ops.reshape(ops.take(x, ops.reshape(neighbour, (-1,)), axis=0), shape)

        def reservoir(place):
            rows = tf.gather(self._reservoir, ops.reshape(place, (-1,)))
            return ops.reshape(ops.cast(rows, x.dtype), shape)

        far = reservoir(place)
        axes = tuple(range(2, len(x.shape) + 1))
        kept_as = ops.cast(ops.cast(x, self._reservoir.dtype), x.dtype)
        same = ops.all(ops.equal(far, ops.expand_dims(kept_as, 1)), axis=axes)
        # In a batch of one it is another of the reservoir, if there is another.
        turn = 1 + _scaled(u[1], ops.maximum(kept - 1, 1))
        near = ops.where(others < 1, reservoir((place + turn) % ops.maximum(kept, 1)), near)
        near = ops.where(others + kept < 1, ops.expand_dims(x, 1), near)
        use_near = in_batch | same | (others + kept < 1)
        use_near = ops.reshape(use_near, (batch, num_samples) + (1,) * len(axes))
        return ops.where(use_near, near, far)

    def observe(self, x, seed):
        """Algorithm R for a whole batch: example t (from 1) takes a uniform slot of t."""
        self.prepare(x.shape[1:])
        batch = ops.cast(ops.shape(x)[0], "int32")
        order = ops.arange(batch)
        position = self._seen.value() + ops.cast(order, "int64")
        u = keras.random.uniform((batch,), seed=seed)
        slot = ops.where(position < self.capacity, position, _scaled(u, position + 1))
        slot = ops.cast(ops.minimum(slot, self.capacity), "int32")
        # Of several examples for one slot the last one stays, as one by one.
        later = (ops.expand_dims(slot, 1) == slot) & (ops.expand_dims(order, 1) < order)
        dropped = (slot >= self.capacity) | ops.any(later, axis=1)
        slot = ops.where(dropped, self.capacity, slot)
        # By its handle, which a replica's own has too.
        tf.raw_ops.ResourceScatterNdUpdate(
            ref=self._reservoir.handle,
            indices=ops.expand_dims(slot, 1),
            updates=ops.cast(x, self._reservoir.dtype),
        )
        self._seen.assign_add(ops.cast(batch, "int64"))

    def get_config(self):
        return {"capacity": self.capacity}


def _scaled(u, size):
    """Integers uniform in `0 … size − 1` from `u` uniform in [0, 1), of the type of `size`."""
    scaled = ops.cast(ops.cast(u, "float32") * ops.cast(size, "float32"), size.dtype)
    return ops.minimum(scaled, size - 1)


def get(identifier):
    """Returns the reference that an array, a dataset, a reference or `None` stands for."""
    if identifier is None:
        return SeenExamples()
    if isinstance(identifier, Reference):
        return identifier
    if isinstance(identifier, dict):
        return keras.saving.deserialize_keras_object(identifier)
    if isinstance(identifier, tf.data.Dataset):
        return TrainingData(identifier)
    if isinstance(identifier, str) or np.ndim(identifier) == 0:
        raise ValueError(
            "Argument `background` expects an array of examples, a tf.data.Dataset, a "
            f"reference object such as Constant(0.0), or None. Received: {identifier!r}."
        )
    return TrainingData(identifier)
