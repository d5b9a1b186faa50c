"""Converts checkpoints between stock HRNet and CA-HRNet, and from the official CoordAtt's names to this plugin's."""

import pickle
import re

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..messages import in_one_line
from ..models import CAHRNet
from ..models.gates import attention_blocks
from ..models.warm_start import remove_identity
from ..whole_file import whole_file
from .fit import counted_keys, reshaped_keys

# Names in the official module; its hard-swish has no parameters.
OFFICIAL_LAYERS = ('conv1', 'bn1', 'conv_h', 'conv_w')


class ConversionError(ValueError):
    """A checkpoint cannot be converted; the message gives the reason."""


def convert_checkpoint(direction: str, config: str, source: str, target: str) -> int:
    """Converts a checkpoint of a pose estimator or of a backbone, and writes the result.

    Args:
        direction (str): A key of :data:`DIRECTIONS`.
        config (str): Path of the config of the CA-HRNet, be it the source or the target.
        source (str): Path, URL or ``hf://`` address of the checkpoint to read. Its weights are ``state_dict``, else
            ``best_state_dict`` as in the official HRNet's files, else the file itself.
        target (str): Path to write. Nothing is written if the conversion fails.

    Returns:
        int: The number of attention modules that were added, removed or renamed.

    Raises:
        ConversionError: The checkpoint cannot be converted, or the config's backbone is not CAHRNet.
    """
    network = _network_of(config)
    checkpoint = _loaded(source)
    state_dict = _as_mmpose_names(_weights_of(checkpoint, source))
    prefix = 'backbone.' if any(key.startswith('backbone.') for key in state_dict) else ''
    DIRECTIONS[direction](network, state_dict, prefix)
    # The rest, such as optimizer state and logs, belongs to the other network.
    converted = {'state_dict': state_dict}
    if 'meta' in checkpoint:
        converted['meta'] = checkpoint['meta']
    with whole_file(target) as unfinished:
        torch.save(converted, unfinished)
    return sum(len(block.ca) for block in attention_blocks(network).values())


def save_in_half_precision(source: str, target: str) -> int:
    """Writes only the weights of a checkpoint, in float16, and returns the number of values in them.

    Raises:
        ConversionError: The checkpoint cannot be read.
    """
    weights = _weights_of(_loaded(source), source)
    state_dict = {key: value for key, value in weights.items() if isinstance(value, Tensor)}
    halves = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state_dict.items()}
    with whole_file(target) as unfinished:
        torch.save({'state_dict': halves}, unfinished)
    return sum(tensor.numel() for tensor in halves.values())


def _loaded(source: str):
    try:
        return CheckpointLoader.load_checkpoint(source, map_location='cpu')
    except (pickle.UnpicklingError, ImportError) as error:
        raise ConversionError(str(error)) from error


def _weights_of(checkpoint, source: str) -> dict[str, Tensor]:
    state_dict = None
    if isinstance(checkpoint, dict):
        state_dict = checkpoint.get('state_dict', checkpoint.get('best_state_dict', checkpoint))
    is_dict = isinstance(state_dict, dict) and all(isinstance(key, str) for key in state_dict)
    if not is_dict or not any(isinstance(value, Tensor) for value in state_dict.values()):
        raise ConversionError(f'{source} holds no weights by name: give a file that has them as state_dict')
    return state_dict


def _as_mmpose_names(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """Renames weights of DataParallel, compiled networks and official HRNet (pose_hrnet_w32_256x192.pth) to MMPose's
    names, and drops thop's counters.
    """
    wrappers, counts = re.compile(r'^((module|_orig_mod)\.)+|(?<=\.)_orig_mod\.'), ('total_ops', 'total_params')
    state_dict = {wrappers.sub('', key): value for key, value in state_dict.items() if not key.endswith(counts)}
    if 'final_layer.weight' not in state_dict:
        return state_dict
    state_dict.setdefault('final_layer.bias', torch.zeros(len(state_dict['final_layer.weight'])))
    parts = {key: 'head' if key.startswith('final_layer.') else 'backbone' for key in state_dict}
    return {f'{parts[key]}.{key}': value for key, value in state_dict.items()}


def _network_of(config: str) -> CAHRNet:
    backbone = Config.fromfile(config).model.backbone
    backbone.init_cfg = None
    network = MODELS.build(backbone)
    if not isinstance(network, CAHRNet):
        raise ConversionError(f'{config} has the backbone {backbone.type}: give a config of CAHRNet')
    return network


def _stock_to_ca(network: CAHRNet, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Adds attention that leaves the outputs unchanged, as loading the stock checkpoint would."""
    if any('.ca.' in key for key in state_dict):
        raise ConversionError('this checkpoint has attention already: load it unchanged')
    ours = _load_strictly(network, state_dict, prefix)
    state_dict.update({prefix + key: value for key, value in ours.items()})


def _ca_to_stock(network: CAHRNet, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Removes attention that leaves the outputs unchanged."""
    if not any('.ca.' in key for key in state_dict):
        raise ConversionError('this checkpoint has no attention to remove')
    _load_strictly(network, state_dict, prefix)
    try:
        remove_identity(network, state_dict, prefix)
    except ValueError as error:
        raise ConversionError(str(error)) from error


def _official_to_ca(network: CAHRNet, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Renames official CoordAtt modules, whatever their name in a block, to those of C-BasicBlock."""
    layers = '|'.join(OFFICIAL_LAYERS)
    for name, block in attention_blocks(network).items():
        if len(block.ca) != 1:
            raise ConversionError(f'{name} has attention at two places, and official weights do not distinguish them')
        (place,) = block.ca
        pattern = re.compile(rf'{re.escape(prefix + name)}\.\w+\.((?:{layers})\.\w+)')
        matches = [match for key in state_dict if (match := pattern.fullmatch(key))]
        if not matches:
            raise ConversionError(f'no CoordAtt ({", ".join(OFFICIAL_LAYERS)}) found under {prefix}{name}')
        for match in matches:
            state_dict[f'{prefix}{name}.ca.{place}.{match[1]}'] = state_dict.pop(match[0])
    _load_strictly(network, state_dict, prefix)


DIRECTIONS = {'stock-to-ca': _stock_to_ca, 'ca-to-stock': _ca_to_stock, 'official-to-ca': _official_to_ca}


def _load_strictly(network: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Loads the backbone's weights strictly, and returns the network's state dict."""
    backbone = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    reported = []
    hook = network.register_load_state_dict_post_hook(lambda _, keys: reported.append(keys))
    try:
        network.load_state_dict(backbone)
    except (RuntimeError, ValueError) as error:
        keys = reported[0] if reported else None
        counts = keys and counted_keys(keys.missing_keys, keys.unexpected_keys, reshaped_keys(error))
        raise ConversionError(
            f"the weights do not fit the config's network ({counts or in_one_line(error)}): give weights of an HRNet "
            'like the one in the config, or another --config'
        ) from error
    finally:
        hook.remove()
    return network.state_dict()
