"""From stock HRNet weights to CA-HRNet weights of the very same function.

With the weights and biases of both gate convolutions at zero, each gate is sigmoid(0) = 0.5 and attention multiplies by
0.25. With the affine weight and bias of the norm before it times 4, that cancels; a ReLU in between passes a positive
factor through. Both factors are powers of two, so that in float32 the outputs are the same to the last bit. The
architecture stays the paper's, and the gate convolutions receive gradients from the first step on. The attention that
it is compared with starts the same way, with as many factors of two as it has gates. Gates of ``gate_scale=2`` start at
1, and the norm stays as it is.
"""

import itertools

import torch
from mmpose.models.backbones.utils import SELayer
from torch import Tensor, nn

from .cbam import CBAM
from .coord_attention import CoordAttention

# The last convolution before each sigmoid.
GATES = {CoordAttention: ('conv_h', 'conv_w'), CBAM: ('fc2', 'conv'), SELayer: ('conv2',)}


def start_as_identity(block: nn.Module, prefix: str, state_dict: dict[str, Tensor]) -> None:
    """Adds to the weights of a stock block the attention that makes no difference.

    Where there is an obstacle, or the weights have no such norm, nothing is added: who loads them finds the keys of the
    attention missing.

    Args:
        block (CBasicBlock): The block that is to load them.
        prefix (str): Of the block's keys in ``state_dict``.
        state_dict (dict[str, Tensor]): Changed in place; its tensors are left as they are and replaced.
    """
    if obstacle_to_identity(block):
        return
    affine = {place: _affine_keys(block, place, prefix) for place in block.ca}
    if not all(
        key in state_dict and state_dict[key].shape == getattr(block, place).weight.shape
        for place, keys in affine.items()
        for key in keys
    ):
        return
    for place, keys in affine.items():
        gates = GATES[type(block.ca[place])]
        for key in keys:
            state_dict[key] = state_dict[key] * norm_factor(block.ca[place])
        for name, tensor in initial_tensors(block, place):
            state_dict[f'{prefix}ca.{place}.{name}'] = torch.zeros_like(tensor) if name.startswith(gates) else tensor


def start_as_initialised(block: nn.Module, prefix: str, state_dict: dict[str, Tensor]) -> None:
    """Adds to the weights of a stock block the attention at its own initial weights, in place."""
    for place in block.ca:
        for name, tensor in initial_tensors(block, place):
            state_dict[f'{prefix}ca.{place}.{name}'] = tensor


def initial_tensors(block: nn.Module, place: str) -> list[tuple[str, Tensor]]:
    """The tensors of an attention module that has learned nothing, by name."""
    attention = block.ca[place]
    if any(tensor.is_meta for _, tensor in _tensors_of(attention)):  # they have no values
        with torch.device('cpu'):
            attention = block.build_attention(place)
    return [(name, tensor.detach().clone()) for name, tensor in _tensors_of(attention)]


def norm_factor(attention: nn.Module) -> float:
    """What the norm before an attention is multiplied by, so that gates of zero weights make no difference."""
    return (2 / getattr(attention, 'gate_scale', 1)) ** len(GATES[type(attention)])


def obstacle_to_identity(block: nn.Module) -> str | None:
    """Says why the attention of a block cannot start as identity; None where it can."""
    for place, attention in block.ca.items():
        if type(attention) not in GATES:
            return f'which weights gate {type(attention).__name__} is not known'
        # Such as masks of pruning, observers of quantisation, or the parts of a weight norm: zero is not theirs to be.
        parts = [name for name, _ in _tensors_of(attention) if name.startswith(GATES[type(attention)])]
        strange = next((name for name in parts if not name.endswith(('.weight', '.bias'))), None)
        if strange:
            return f'{strange} is neither weight nor bias of a gate'
        norm = getattr(block, place)
        is_affine = getattr(norm, 'weight', None) is not None and getattr(norm, 'bias', None) is not None
        if norm_factor(attention) != 1 and not is_affine:
            return f'{norm} has no affine weight and bias to scale'
    return None


def undo_identity(block: nn.Module, prefix: str, state_dict: dict[str, Tensor]) -> None:
    """Takes out of a state dict what :func:`start_as_identity` put in, in place.

    Raises:
        ValueError: The gates are no longer those of the start, so that no stock block has this function.
    """
    obstacle = obstacle_to_identity(block)
    if obstacle:
        raise ValueError(f'{prefix}ca is not the identity: {obstacle}')
    for place, attention in block.ca.items():
        gates = GATES[type(attention)]
        for name, _ in _tensors_of(attention):
            key = f'{prefix}ca.{place}.{name}'
            if state_dict.pop(key).any() and name.startswith(gates):
                raise ValueError(
                    f'{key} is not zero: this attention has been trained, and stock HRNet has no place for it'
                )
        for key in _affine_keys(block, place, prefix):
            state_dict[key] = state_dict[key] / norm_factor(attention)


def _affine_keys(block: nn.Module, place: str, prefix: str) -> list[str]:
    """Of the norm before the attention, where it is scaled."""
    if norm_factor(block.ca[place]) == 1:
        return []
    return [f'{prefix}{getattr(block, f"{place}_name")}.{name}' for name in ('weight', 'bias')]


def _tensors_of(module: nn.Module) -> list[tuple[str, Tensor]]:
    """What its state dict has, without the hooks that ``state_dict()`` calls."""
    return [*itertools.chain(module.named_parameters(), module.named_buffers())]
