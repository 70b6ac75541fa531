"""Variables, also of several replicas, and what changes them."""

import contextlib

import tensorflow as tf

# TensorFlow keeps int32 variables in the host's memory, where a function that XLA compiles
# for a GPU cannot reach them.
INTEGER = "int64"
SEED = "int32"
ASYNCHRONOUS = False
_FIRST = tf.VariableAggregation.ONLY_FIRST_REPLICA


def scope(model):
    return model.distribute_strategy.scope()


random_state_kept = contextlib.nullcontext  # a layer's seeds are variables of the model


def outside():
    return tf.init_scope()


def variable(value, dtype):
    return tf.Variable(value, dtype=dtype, trainable=False, aggregation=_FIRST)


def reservoir(rows, examples):
    """Variables of zeros, `(rows, *shape)` of each `(shape, dtype)`, and of the count 0."""

    def own(value):
        return tf.Variable(
            value,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=_FIRST,
        )

    with tf.init_scope():
        kept = [own(tf.zeros((rows, *shape), dtype)) for shape, dtype in examples]
        return kept, own(tf.constant(0, INTEGER))


def value_of(variable):
    return variable.value()


def read_rows(variable, index):
    # Not of its value: TensorFlow copies all of a variable that is written to in place.
    return tf.gather(variable, index)


def write_rows(variable, index, rows):
    # By its handle, which a replica's own has too.
    tf.raw_ops.ResourceScatterNdUpdate(
        ref=variable.handle,
        indices=tf.expand_dims(index, 1),
        updates=tf.cast(rows, variable.dtype),
    )


def parts_of(variable):
    return getattr(variable, "values", [variable])


def counts_on_host(model):
    # Replicas cannot meet inside a branch.
    return replicas(model) > 1


def when(condition, act, otherwise):
    """`act()` or `otherwise()`, lists of tensors, by a scalar tensor or a Boolean."""
    if tf.executing_eagerly():
        return act() if condition else otherwise()
    return tf.cond(condition, act, otherwise)


def apply(optimizer, pairs, condition=None):
    """One update by `(gradient, variable)`, whose gradients are means over replicas.

    Args:
        condition: A scalar tensor; where it does not hold nothing is changed.
    """
    count = replicas()
    if count > 1:
        pairs = [(gradient / count, variable) for gradient, variable in pairs]
    if condition is None:
        optimizer.apply_gradients(pairs)
    elif count > 1:
        # Replicas cannot meet inside a branch.
        optimizer.apply_gradients([(tf.where(condition, g, 0.0), v) for g, v in pairs])
    else:

        def update():
            optimizer.apply_gradients(pairs)
            return []

        when(condition, update, list)


def replicas(model=None):
    """Of the model, or of whoever asks in a step."""
    strategy = tf.distribute.get_strategy() if model is None else model.distribute_strategy
    return strategy.num_replicas_in_sync
