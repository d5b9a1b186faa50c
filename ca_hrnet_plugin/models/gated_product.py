"""The product of a feature map and its two gates, which keeps little for backward."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..compat import is_compiling


class _GatedProduct(torch.autograd.Function):
    """Autograd's own product of three would keep the map, one product of two, and both gates."""

    @staticmethod
    def forward(ctx, x, gate_h, gate_w, norm, norm_input):
        # A hook may have changed what went in or came out.
        if type(norm) is nn.BatchNorm2d and not (norm._forward_hooks or norm._forward_pre_hooks):
            ctx.use_batch_stats = norm.training or norm.running_mean is None
            ctx.eps = norm.eps
            stats = (None, None) if ctx.use_batch_stats else (norm.running_mean, norm.running_var)
            kept = (norm_input, *stats, norm.weight, norm.bias)
        else:
            kept = (x,)
        ctx.save_for_backward(gate_h, gate_w, *kept)
        return (x * gate_h).mul_(gate_w)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        gate_h, gate_w, *kept = ctx.saved_tensors
        if len(kept) == 1:
            weighted = kept[0] * grad
        else:
            norm_input, mean, var, weight, bias = kept
            # Without running statistics to update: the same output as in forward, to the last bit.
            weighted = F.batch_norm(norm_input, mean, var, weight, bias, ctx.use_batch_stats, eps=ctx.eps).mul_(grad)
        grad_h = (weighted * gate_w).sum(3, keepdim=True)
        grad_w = weighted.mul_(gate_h).sum(2, keepdim=True)
        return (grad * gate_h).mul_(gate_w), grad_h, grad_w, None, None


def gated_product(
    x: Tensor,
    gate_h: Tensor,
    gate_w: Tensor,
    norm: nn.Module | None = None,
    norm_input: Tensor | None = None,
    overwrite: bool = False,
) -> Tensor:
    """Multiplies a feature map by the gate of each row and of each column.

    In eager training backward keeps the gates and one map. Where that map is the output of batch norm, it is the norm's
    input, which the norm keeps anyway, and the output is computed again. A compiler, which chooses itself what to
    compute again, gets the plain product.

    Args:
        x (Tensor): Feature map, (N, C, H, W).
        gate_h (Tensor): A gate for each row, (N, C, H, 1).
        gate_w (Tensor): A gate for each column, (N, C, 1, W).
        norm (nn.Module, optional): The norm layer whose output ``x`` is.
        norm_input (Tensor, optional): Its input.
        overwrite (bool): Whether ``x`` may be overwritten, which is done when there are no gradients.

    Returns:
        Tensor: ``x * gate_h * gate_w``.

    Raises:
        RuntimeError: On a second differentiation, which the eager form does not have.
    """
    if is_compiling() or torch.jit.is_tracing():
        return x * gate_h * gate_w
    if overwrite and not torch.is_grad_enabled():
        return x.mul_(gate_h).mul_(gate_w)
    return _GatedProduct.apply(x, gate_h, gate_w, norm, norm_input)
