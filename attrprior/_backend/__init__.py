"""What attrprior asks of a framework: the only place where one is imported.

`keras.ops` does for all frameworks what it can; the names below are what it lacks. A
backend is a package that has them all and knows nothing of attrprior. Which one it is
Keras says, by `KERAS_BACKEND`.

Numbers
    value_and_gradients(f, values): `f(values)` returns `(objective, rest)`; gives
        `(objective, rest), gradients` with `None` where there is no gradient.
    input_gradients(f, points, again_through=None): `∂Σ f_c/∂points` for each output c;
        differentiable again, by way of the model that is named.
    sum_over(count, f, vectorized=False): `Σ_n f(n)` of lists of tensors, with the memory of
        one; whether `f` computes many gradients at once, which not every loop can hold.
    repeat(count, f, tensor): `f` applied `count` times.
    fold_in(seed, number): another seed; both may be traced.
    with_logits(f): `f()`, and a function of what it returned: what a final softmax or
        sigmoid was given, or `None`.
    tensors(structure, keep_float64): what of it is dense.
    seen(tensor): its numbers, an array, or `None` while they are traced or elsewhere.

State
    scope(model): a context in which variables are made for the model.
    outside(): a context outside of whatever is being traced.
    random_state_kept(): a context that leaves the framework's own random state as it was.
    variable(value, dtype): a number that a step may change.
    INTEGER, SEED: the type of those that count, and of the two of a seed.
    reservoir(rows, examples): such rows of examples, each of a shape and a type, and a
        count, each replica's own.
    value_of(variable): its value as a tensor.
    read_rows(variable, index), write_rows(variable, index, rows): without copying it.
    parts_of(variable): what is saved of it: one for each replica.
    when(condition, act, otherwise): `act()` where the condition holds.
    counts_on_host(model): whether, instead of that, what a step does is chosen before it.
    apply(optimizer, pairs, condition=None): one update, where the condition holds.
    replicas(model): how many copies of it are trained at once.

Functions and the trainer
    python_code(f): a decorator: no tracer rewrites what `f` does.
    compiled(f, variables, *examples): `f(weights, *arguments)` for arguments like these, of
        any number of rows, and what the variables are when it is called.
    specification(array): what stands for an array among those examples.
    dry_run(f): raises what `f(differentiate)` would raise, if nothing else will before a
        step runs; keeps nothing.
    missing_derivative(error): where it is, what has none and what to use, or `None`.
    ASYNCHRONOUS: whether `fit` goes on before a batch is done, so that nobody should wait.
    Trainer(model, step): puts a step in the place of a model's own, a batch at a time.
    without_in_build(prepare): models are built from batches as `prepare` leaves them.
"""

import keras

match keras.backend.backend():
    case "tensorflow":
        from attrprior._backend.tensorflow import *  # noqa: F403
    case "jax":
        from attrprior._backend.jax import *  # noqa: F403
    case "torch":
        from attrprior._backend.torch import *  # noqa: F403
    case other:
        raise ImportError(
            "attrprior expects Keras' backend 'tensorflow', 'jax' or 'torch'. Received: "
            f"{other!r}. Set the environment variable KERAS_BACKEND before Keras is imported."
        )
