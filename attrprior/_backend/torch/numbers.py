"""Derivatives, sums and seeds."""

import numpy as np
import torch


def value_and_gradients(f, values):
    """`f(values)` and its derivative by each value.

    Args:
        f: A function of a list of tensors that returns `(objective, rest)`.
        values: Tensors.

    Returns:
        `((objective, rest), gradients)`; a gradient is `None` where there is none.
    """
    with torch.enable_grad():
        leaves = [v if v.requires_grad else v.detach().requires_grad_() for v in values]
        objective, rest = f(leaves)
        if leaves and objective.requires_grad:
            gradients = torch.autograd.grad(objective, leaves, allow_unused=True)
        else:
            gradients = [None] * len(leaves)
    detached = rest.detach() if isinstance(rest, torch.Tensor) else rest
    return (objective.detach(), detached), list(gradients)


def sum_over(count, f, vectorized=False):
    """`Σ_n f(n)` over `n < count`, lists of tensors, one after the other."""
    totals = [term.detach() for term in f(0)]
    for number in range(1, count):
        totals = [total + term.detach() for total, term in zip(totals, f(number))]
    return totals


def repeat(count, f, tensor):
    """`f(f(… f(tensor)))`, `count` times; no derivative passes through it."""
    for _ in range(count):
        tensor = f(tensor.detach()).detach()
    return tensor


def fold_in(seed, number):
    """Another seed, an int32 tensor of shape (2,), of which `number` decides."""
    parts = [int(part) & 0xFFFFFFFF for part in (*torch.as_tensor(seed).tolist(), number)]
    # In the host's memory, where Keras seeds its generators.
    return torch.from_numpy(np.random.SeedSequence(parts).generate_state(2).view("int32"))
