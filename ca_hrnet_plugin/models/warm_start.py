"""From stock HRNet weights to CA-HRNet weights of the very same function.

With the weights and biases of both gate convolutions at zero, each gate is sigmoid(0) = 0.5 and attention multiplies by
0.25. With the affine weight and bias of the norm before it times 4, that cancels; a ReLU in between passes a positive
factor through. Both factors are powers of two, so that in float32 the outputs are the same to the last bit. The
architecture stays the paper's, and the gate convolutions receive gradients from the first step on. The attention that
it is compared with starts the same way, with as many factors of two as it has gates.
"""

from collections.abc import Iterator

from mmpose.models.backbones.utils import SELayer
from torch import Tensor, nn

from .c_basic_block import CBasicBlock
from .cbam import CBAM
from .coord_attention import CoordAttention

# The last convolution before each sigmoid.
GATES = {CoordAttention: ('conv_h', 'conv_w'), CBAM: ('fc2', 'conv'), SELayer: ('conv2',)}
# Norms whose output is their affine weight times something, plus their bias.
AFFINE_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)


def blocks_with_attention(backbone: nn.Module) -> Iterator[tuple[str, CBasicBlock]]:
    """Yields each C-BasicBlock with the prefix of its keys in the backbone's state dict."""
    for name, module in backbone.named_modules():
        if isinstance(module, CBasicBlock):
            yield f'{name}.', module


def _gates_of(attention: nn.Module) -> tuple[str, ...]:
    if type(attention) not in GATES:
        raise ValueError(
            f'stock weights cannot start as identity: which weights gate {type(attention).__name__} is not known; '
            "give warm_start='none'"
        )
    return GATES[type(attention)]


def start_as_identity(block: CBasicBlock, prefix: str, state_dict: dict[str, Tensor]) -> None:
    """Adds to the state dict of a stock block the attention that makes no difference.

    Args:
        block (CBasicBlock): The block that is to load it.
        prefix (str): Of the block's keys in ``state_dict``.
        state_dict (dict[str, Tensor]): Changed in place; its tensors are left as they are and replaced.

    Raises:
        ValueError: A norm before attention has no affine weight and bias to scale, the state dict has none for it, or
            the attention is one whose gates are not known here.
    """
    for place, attention in block.ca.items():
        gates = _gates_of(attention)
        norm, norm_name = getattr(block, place), getattr(block, f'{place}_name')
        if not isinstance(norm, AFFINE_NORMS) or norm.weight is None or norm.bias is None:
            raise ValueError(
                f'stock weights cannot start as identity: {prefix}{norm_name} is {norm}, with no affine weight and '
                "bias to scale; give a norm_cfg that has both, or warm_start='none'"
            )
        for name in ('weight', 'bias'):
            key = f'{prefix}{norm_name}.{name}'
            if key not in state_dict:
                raise ValueError(
                    f'stock weights cannot start as identity: they have no {key} to scale; give the norm_cfg that they '
                    "were trained with, or warm_start='none'"
                )
            state_dict[key] = state_dict[key] * 2 ** len(gates)
        for name, tensor in attention.state_dict().items():
            is_gate = name.startswith(gates)
            state_dict[f'{prefix}ca.{place}.{name}'] = tensor.new_zeros(tensor.shape) if is_gate else tensor.clone()


def undo_identity(block: CBasicBlock, prefix: str, state_dict: dict[str, Tensor]) -> None:
    """Takes out of a state dict what :func:`start_as_identity` put in, in place.

    Raises:
        ValueError: The gates are no longer those of the start, so that no stock block has this function.
    """
    for place, attention in block.ca.items():
        gates = _gates_of(attention)
        for name in attention.state_dict():
            key = f'{prefix}ca.{place}.{name}'
            tensor = state_dict.pop(key)
            if name.startswith(gates) and tensor.any():
                raise ValueError(
                    f'{key} is not zero: this attention has been trained, and stock HRNet has no place for it'
                )
        for name in ('weight', 'bias'):
            key = f'{prefix}{getattr(block, f"{place}_name")}.{name}'
            state_dict[key] = state_dict[key] / 2 ** len(gates)
