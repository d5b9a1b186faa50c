"""Turns stock HRNet weights into CA-HRNet weights that compute exactly the same function.

With the weights and biases of both gate convolutions at zero, each gate of :class:`CoordAttention` is sigmoid(0) = 0.5
and attention multiplies by 0.25. Multiplying the weight and bias of the norm before it by 4 cancels that; a ReLU in
between passes a positive factor through. Both factors are powers of two, so that in float32 the outputs are the same to
the last bit. The architecture stays the paper's, and the gate convolutions receive gradients from the first step on.

Any other attention is in a :class:`BlendedAttention`, whose weight is zero at the start.
"""

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from .c_basic_block import BlendedAttention, CBasicBlock
from .coord_attention import CoordAttention
from .gates import attention_blocks

ZERO_AT_START = {
    CoordAttention: ('conv_h.weight', 'conv_h.bias', 'conv_w.weight', 'conv_w.bias'),
    BlendedAttention: ('weight',),
}
NORM_FACTOR = {CoordAttention: 4, BlendedAttention: 1}


def complete_stock_weights(network: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_) -> None:
    """Adds attention to the weights of a stock network that are about to be loaded.

    ``network._register_load_state_dict_pre_hook(complete_stock_weights, with_module=True)`` makes torch and MMEngine
    call it.

    Args:
        network (nn.Module): The network that loads the weights.
        state_dict (dict[str, Tensor]): Changed in place; its tensors are replaced, not changed.
        prefix (str): Of the network's keys in ``state_dict``.
    """
    blocks = {f'{prefix}{name}': block for name, block in attention_blocks(network).items()}
    starting = {key: block for key, block in blocks.items() if _starts(block, key, state_dict)}
    for key, block in starting.items():
        for place in block.ca:
            _start(block, place, key, state_dict)
    if starting:
        starts = {'identity': 'as identity', 'none': 'from their own initial weights'}
        number, start = sum(len(block.ca) for block in starting.values()), starts[block.warm_start]
        print_log(f'stock HRNet weights: {number} attention modules start {start}', logger='current')


def _starts(block: CBasicBlock, key: str, state_dict: dict[str, Tensor]) -> bool:
    """Whether a block of this key gets stock weights: complete, in its shapes, without attention. Decided only here."""
    if any(name.startswith(f'{key}.ca.') for name in state_dict):
        return False
    for name, parameter in block.named_parameters():
        stock = state_dict.get(f'{key}.{name}')
        if not name.startswith('ca.') and (stock is None or stock.shape != parameter.shape):
            return False
    # Pruning and quantisation split gate weights into other tensors, which at zero may not give the identity.
    return block.warm_start == 'none' or all(
        set(ZERO_AT_START[type(attention)]) <= _tensors(attention).keys() for attention in block.ca.values()
    )


def _start(block: CBasicBlock, place: str, key: str, state_dict: dict[str, Tensor]) -> None:
    """Adds one attention module of a block of this key to the weights."""
    attention = block.ca[place]
    tensors = _tensors(attention)
    if any(tensor.is_meta for tensor in tensors.values()):  # they have no values
        with torch.device('cpu'):
            tensors = _tensors(block.build_attention(place))
    # Loading may assign these tensors to the module, so they get the device and dtype of the stock weights.
    stock = state_dict[f'{key}.conv2.weight']
    for name, tensor in tensors.items():
        dtype = stock.dtype if tensor.is_floating_point() else tensor.dtype
        state_dict[f'{key}.ca.{place}.{name}'] = tensor.detach().to(stock.device, dtype, copy=True)
    if block.warm_start == 'identity':
        for name in ZERO_AT_START[type(attention)]:
            state_dict[f'{key}.ca.{place}.{name}'].zero_()
        _scale_norm(block, place, key, state_dict, NORM_FACTOR[type(attention)])


def remove_identity(network: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Takes attention that is identity out of a network's weights, which leaves those of a stock network.

    Args:
        network (nn.Module): The network that the weights are of.
        state_dict (dict[str, Tensor]): Changed in place; its tensors are replaced, not changed.
        prefix (str): Of the network's keys in ``state_dict``.

    Raises:
        ValueError: Attention has been trained, so that no stock network has this function.
    """
    for name, block in attention_blocks(network).items():
        for place, attention in block.ca.items():
            key = f'{prefix}{name}.ca.{place}'
            # Modules that are never identity, by warm_start='none', have no weights that would make them so.
            for zero in ZERO_AT_START.get(type(attention), _tensors(attention)):
                if state_dict[f'{key}.{zero}'].any():
                    raise ValueError(
                        f'{key}.{zero} is not zero: attention has been trained, and stock HRNet has no place for it'
                    )
            for part in _tensors(attention):
                del state_dict[f'{key}.{part}']
            _scale_norm(block, place, f'{prefix}{name}', state_dict, 1 / NORM_FACTOR.get(type(attention), 1))


def _scale_norm(block: CBasicBlock, place: str, key: str, state_dict: dict[str, Tensor], factor: float) -> None:
    """Multiplies the weight and bias of the norm before an attention module."""
    if factor == 1:  # it may have neither
        return
    for name in ('weight', 'bias'):
        norm_key = f'{key}.{getattr(block, f"{place}_name")}.{name}'
        state_dict[norm_key] = state_dict[norm_key] * factor


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    """What a module's state dict has, without calling ``state_dict()``, which hooks may watch."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
