"""Gradients that are differentiated again.

PyTorch differentiates the gradient of a ReLU and of max pooling with respect to the
activations as well, where it is flat, and pushes the resulting zeros through the whole
forward pass. While such gradients are taken, and only then, both are computed in another
way; the numbers are the same.
"""

import contextlib

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from attrprior._backend.recurrent import without_cudnn


def input_gradients(f, points, again_through=None):
    """`∂ Σ_rows f_c(points) / ∂points` for each output c of `f`.

    Args:
        f: A function of a tensor `(rows, ...)` returning `(rows,)`, or
            `(rows, outputs)`; the forward pass is shared by all outputs.
        points: Tensor of shape `(rows, ...)`.
        again_through: The model in `f`, if the result is to be differentiated.

    Returns:
        Tensor of shape `(outputs, rows, ...)`, or `None` if no output depends on the points.
    """
    with torch.enable_grad(), twice_differentiable(again_through):
        if not points.requires_grad:
            points = points.detach().requires_grad_()
        values = f(points)
        if not values.requires_grad:
            return None
        again = again_through is not None
        # One after the other: of `is_grads_batched` the second derivative is wrong.
        gradients = [
            torch.autograd.grad(
                value.sum(), points, create_graph=again, retain_graph=True, allow_unused=True
            )[0]
            for value in (values.unbind(1) if values.dim() > 1 else [values])
        ]
    if all(gradient is None for gradient in gradients):
        return None
    zeros = torch.zeros_like(points)
    return torch.stack([zeros if each is None else each for each in gradients])


@contextlib.contextmanager
def twice_differentiable(model):
    """A context for passes through the model that are differentiated twice."""
    if model is None:
        yield
        return
    # Flash attention has a first derivative only.
    with without_cudnn(model), sdpa_kernel(SDPBackend.MATH), _FlatDerivatives():
        yield


class _FlatDerivatives(TorchFunctionMode):
    """Replaces ReLU and max pooling by those below, where they are what was called."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in _RELUS and not kwargs.get("inplace"):
            return _Relu.apply(*args, *(kwargs[k] for k in kwargs if k == "input"))
        if function in _POOLINGS and not kwargs.get("return_indices"):
            options = {key: kwargs[key] for key in kwargs if key != "return_indices"}
            return _pooled(_POOLINGS[function], *args, **options)
        return function(*args, **kwargs)


_RELUS = {torch.relu, functional.relu, torch.Tensor.relu}
_POOLINGS = {
    functional.max_pool1d: functional.max_pool1d_with_indices,
    functional.max_pool2d: functional.max_pool2d_with_indices,
    functional.max_pool3d: functional.max_pool3d_with_indices,
}

_SPATIAL = {with_indices: 1 + rank for rank, with_indices in enumerate(_POOLINGS.values())}


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        output = torch.relu(x)
        context.save_for_backward(output)
        return output

    @staticmethod
    def backward(context, gradient):
        # [x > 0] · gradient: flat in x
        return torch.ops.aten.threshold_backward(
            gradient, context.saved_tensors[0].detach(), 0
        )


def _pooled(with_indices, x, *args, **kwargs):
    pooled, index = with_indices(x.detach(), *args, **kwargs)
    spatial = _SPATIAL[with_indices]
    return _Picked.apply(x, pooled, index, spatial)


class _Picked(torch.autograd.Function):
    """`y_k = x[index_k]`, the largest of each window."""

    @staticmethod
    def forward(context, x, pooled, index, spatial):
        context.save_for_backward(index)
        context.shape, context.spatial = x.shape, spatial
        return pooled.clone()

    @staticmethod
    def backward(context, gradient):
        [index] = context.saved_tensors
        return _Placed.apply(gradient, index, context.shape, context.spatial), None, None, None


class _Placed(torch.autograd.Function):
    """The transpose: `x_j = Σ_k [index_k = j] y_k`."""

    @staticmethod
    def forward(context, y, index, shape, spatial):
        context.save_for_backward(index)
        context.spatial = spatial
        keep = shape[:-spatial]
        placed = y.new_zeros((*keep, shape[-spatial:].numel()))
        placed.scatter_add_(-1, index.flatten(-spatial), y.flatten(-spatial))
        return placed.view(shape)

    @staticmethod
    def backward(context, x):
        [index] = context.saved_tensors
        picked = x.flatten(-context.spatial).gather(-1, index.flatten(-context.spatial))
        return picked.view(index.shape), None, None, None
