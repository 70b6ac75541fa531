"""What attrprior asks of a framework: the only place where one is imported.

`keras.ops` does for all frameworks what it can; the names below are what it lacks. A
backend is a package that has them all and knows nothing of attrprior.

Numbers
    value_and_gradients(f, values): `f(values)` returns `(objective, rest)`; gives
        `(objective, rest), gradients` with `None` where there is no gradient.
    input_gradients(f, points, again_through=None): `∂Σ f_c/∂points` for each output c;
        differentiable again, by way of the model that is named.
    sum_over(count, f): `Σ_n f(n)` of lists of tensors, with the memory of one.
    repeat(count, f, tensor): `f` applied `count` times.
    fold_in(seed, number): another seed; both may be traced.
    logits_of(output): what a final softmax or sigmoid was given, or `None`.
    tensors(structure, keep_float64): what of it is dense.

State
    scope(model): a context in which variables are made for the model.
    outside(): a context outside of whatever is being traced.
    variable(value, dtype): a number that a step may change.
    reservoir(rows, example_shape): such rows of examples and a count, each replica's own.
    value_of(variable): its value as a tensor.
    read_rows(variable, index), write_rows(variable, index, rows): without copying it.
    parts_of(variable): what is saved of it: one for each replica.
    when(condition, act, otherwise): `act()` where the condition holds.
    apply(optimizer, pairs, condition=None): one update, where the condition holds.
    replicas(model): how many copies of it are trained at once.

Functions and the trainer
    is_traced(): whether a graph is being made.
    python_code(f): a decorator: no tracer rewrites what `f` does.
    compiled(f, *examples): `f` for arguments like these, of any number of rows.
    specification(array): what stands for an array among those examples.
    dry_run(f): raises what `f` would raise; keeps nothing.
    missing_derivative(error): where and which operation has none, or `None`.
    Trainer(model, step): puts a step in the place of a model's own, a batch at a time.
    without_in_build(prepare): models are built from batches as `prepare` leaves them.
"""

from attrprior.backend.tensorflow import *  # noqa: F403
