"""Turns checkpoints on disk from stock HRNet to CA-HRNet and back, and from the official CoordAtt's names to ours."""

import pickle
import re

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..models import CAHRNet
from ..models.ca_hrnet import blocks_with_attention
from ..models.warm_start import undo_identity
from ..whole_file import whole_file

# The official module's own names; its hard-swish has no parameters.
OFFICIAL_LAYERS = ('conv1', 'bn1', 'conv_h', 'conv_w')


class ConversionError(ValueError):
    """A checkpoint that cannot be mapped, and why."""


def convert_checkpoint(direction: str, config: str, source: str, target: str) -> int:
    """Converts a checkpoint of a pose estimator or of a backbone alone, and writes it.

    Args:
        direction (str): A key of :data:`DIRECTIONS`.
        config (str): Path of the CA-HRNet config that the one or the other checkpoint belongs to.
        source (str): Path or URL of the checkpoint to read.
        target (str): Path to write. Nothing is written where the conversion fails.

    Returns:
        int: How many attention modules were added, taken out or renamed.

    Raises:
        ConversionError: The source holds what cannot be mapped, or the config has no CAHRNet.
    """
    network = _network_of(config)
    try:
        checkpoint = CheckpointLoader.load_checkpoint(source, map_location='cpu')
    except pickle.UnpicklingError as error:
        raise ConversionError(str(error)) from error
    state_dict = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
    if not isinstance(state_dict, dict) or not all(isinstance(key, str) for key in state_dict):
        raise ConversionError(f'{source} holds no weights by name')
    state_dict = dict(state_dict)
    prefix = 'backbone.' if any(key.startswith('backbone.') for key in state_dict) else ''
    count = DIRECTIONS[direction](network, state_dict, prefix)
    # Of the rest, what an optimizer or a log remembers is of another network.
    converted = {'state_dict': state_dict}
    if 'meta' in checkpoint:
        converted['meta'] = checkpoint['meta']
    with whole_file(target) as unfinished:
        torch.save(converted, unfinished)
    return count


def _network_of(config: str) -> CAHRNet:
    backbone = Config.fromfile(config).model.backbone
    backbone.init_cfg = None
    network = MODELS.build(backbone)
    if not isinstance(network, CAHRNet):
        raise ConversionError(f'{config} has the backbone {backbone.type}: give a config of CAHRNet')
    return network


def _stock_to_ca(network: CAHRNet, state_dict: dict[str, Tensor], prefix: str) -> int:
    """Adds attention that makes no difference, as loading the stock checkpoint would."""
    if any('.ca.' in key for key in state_dict):
        raise ConversionError('this checkpoint has attention already: it loads as it is')
    ours = _load_strictly(network, state_dict, prefix)
    state_dict.update({prefix + key: value for key, value in ours.items()})
    return sum(len(block.ca) for _, block in blocks_with_attention(network))


def _ca_to_stock(network: CAHRNet, state_dict: dict[str, Tensor], prefix: str) -> int:
    """Takes out attention that makes no difference."""
    if not any('.ca.' in key for key in state_dict):
        raise ConversionError('this checkpoint has no attention to take out')
    _load_strictly(network, state_dict, prefix)
    try:
        for name, block in blocks_with_attention(network):
            undo_identity(block, prefix + name, state_dict)
    except ValueError as error:
        raise ConversionError(str(error)) from error
    return sum(len(block.ca) for _, block in blocks_with_attention(network))


def _official_to_ca(network: CAHRNet, state_dict: dict[str, Tensor], prefix: str) -> int:
    """Renames official CoordAtt modules, under whatever name a block holds its own, into C-BasicBlock's."""
    count = 0
    for name, block in blocks_with_attention(network):
        if len(block.ca) != 1:
            raise ConversionError(f'{name} attends at two places, and official weights do not say which is which')
        (place,) = block.ca
        pattern = re.compile(rf'{re.escape(prefix + name)}(?!ca\.)(\w+)\.((?:{"|".join(OFFICIAL_LAYERS)})\.\w+)')
        renamed = {
            key: f'{prefix}{name}ca.{place}.{match[2]}' for key in state_dict if (match := pattern.fullmatch(key))
        }
        if not renamed:
            raise ConversionError(f'no CoordAtt ({", ".join(OFFICIAL_LAYERS)}) found under {prefix}{name}')
        for old, new in renamed.items():
            state_dict[new] = state_dict.pop(old)
        count += 1
    _load_strictly(network, state_dict, prefix)
    return count


DIRECTIONS = {'stock-to-ca': _stock_to_ca, 'ca-to-stock': _ca_to_stock, 'official-to-ca': _official_to_ca}


def _load_strictly(network: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Loads the backbone's part, of which nothing may lack or be left, and returns the network's own state dict."""
    backbone = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    try:
        network.load_state_dict(backbone)
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f'not weights of this network: {" ".join(str(error).split())}') from error
    return network.state_dict()
