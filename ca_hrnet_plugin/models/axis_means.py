"""The means of a feature map over each of its two axes, whose gradients make no maps of their own."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..compat import is_compiling


def _means(x: Tensor) -> tuple[Tensor, Tensor]:
    # Each is several times the faster in its memory format; MMEngine's FLOP counter, which traces, knows the second.
    if x.is_contiguous() and not torch.jit.is_tracing():
        return x.mean(3), x.mean(2)
    height, width = x.shape[2:]
    return F.adaptive_avg_pool2d(x, (height, 1)).squeeze(3), F.adaptive_avg_pool2d(x, (1, width)).squeeze(2)


class _AxisMeans(torch.autograd.Function):
    """Autograd would make a map of each mean's gradient, two more to sum them, and keep ``x`` in channels-last."""

    @staticmethod
    def forward(ctx, x):
        ctx.size = x.shape[2:]
        return x, *_means(x)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad, grad_rows, grad_columns):
        height, width = ctx.size
        # In place: the gated product, which alone has the map, made this gradient of it anew.
        return grad.add_(grad_rows.unsqueeze(3), alpha=1 / width).add_(grad_columns.unsqueeze(2), alpha=1 / height)


def axis_means(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Averages a feature map over its width and over its height.

    Args:
        x (Tensor): Feature map, (N, C, H, W).

    Returns:
        tuple[Tensor, Tensor, Tensor]: The map itself, for :func:`gated_product` alone to go on with, so that all its
        gradients meet here; the means of the rows, (N, C, H); and those of the columns, (N, C, W).

    Raises:
        RuntimeError: On a second differentiation, which the eager form does not have.
    """
    if is_compiling() or torch.jit.is_tracing():
        return x, *_means(x)
    return _AxisMeans.apply(x)
