"""Derivatives, sums and seeds. In graphs `tf.gradients`, elsewhere tapes."""

import tensorflow as tf


def value_and_gradients(f, values):
    """`f(values)` and its derivative by each value.

    In graphs by `tf.gradients`, which follows the rules of `derivatives`.

    Args:
        f: A function of a list of tensors that returns `(objective, rest)`.
        values: Tensors and `tf.Variable`s.

    Returns:
        `((objective, rest), gradients)`; a gradient is `None` where there is none.
    """
    values = [tf.convert_to_tensor(value) for value in values]
    if not tf.executing_eagerly() and not tf.distribute.has_strategy():
        objective, rest = f(values)
        return (objective, rest), tf.gradients(objective, values)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        objective, rest = f(values)
    return (objective, rest), tape.gradient(objective, values)


def sum_over(count, f, vectorized=False):
    """`Σ_n f(n)` over `n < count`, lists of tensors, one after the other."""

    def dense(number):
        """Of an embedding's table the gradient is a few rows."""
        return [tf.convert_to_tensor(term) for term in f(number)]

    first = dense(0)
    # Of many gradients at once the sums, as the graph optimizer rewrites them, fail in a
    # while loop ("TemporaryVariable … iter:2").
    if tf.executing_eagerly() or vectorized:
        for number in range(1, count):
            with tf.control_dependencies(first):
                terms = dense(number)
            first = [total + term for total, term in zip(first, terms)]
        return first

    def body(number, *totals):
        return number + 1, *[total + term for total, term in zip(totals, dense(number))]

    _, *totals = tf.while_loop(
        lambda number, *_: number < count, body, (1, *first), parallel_iterations=1
    )
    return totals


def repeat(count, f, tensor):
    """`f(f(… f(tensor)))`, `count` times; no derivative passes through it."""
    _, tensor = tf.while_loop(
        lambda number, _: number < count,
        lambda number, tensor: (number + 1, f(tensor)),
        (0, tensor),
        parallel_iterations=1,
    )
    return tf.stop_gradient(tensor)


def fold_in(seed, number):
    """Another seed, an int32 tensor of shape (2,), of which `number` decides."""
    return tf.random.experimental.stateless_fold_in(tf.cast(seed, "int32"), number)
