"""Whether a checkpoint fits the network of a config."""

import copy
import textwrap
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
from mmpose.apis import init_model
from torch import nn


def load_model(config: str | Path, checkpoint: str | Path) -> nn.Module:
    """Any model of MMPose, by ``mmpose.apis.init_model``, on the CPU.

    Raises:
        ValueError: The checkpoint does not fit the network, of which MMPose would leave a part at random.
    """
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    trouble, _ = misfit(cfg, str(checkpoint))
    if trouble:
        raise ValueError(f'checkpoint {checkpoint} {trouble}: give the file that was trained with {config}')
    return init_model(cfg, str(checkpoint), device='cpu')


def misfit(cfg: Config, file: str) -> tuple[str | None, bool]:
    """Says what keeps a checkpoint from a network as a whole, None where nothing does, and whether a part fits.

    Args:
        cfg (Config): A whole config, whose default scope is the current one.
        file (str): The checkpoint.
    """
    try:
        model = MODELS.build(copy.deepcopy(cfg.model))
    except Exception as error:  # of whoever wrote the network
        return f'has no network to fit: it cannot be built ({in_one_line(error)})', False
    seen = []
    model.register_load_state_dict_post_hook(lambda _, keys: seen.append(keys))
    try:
        load_checkpoint(model, file, map_location='cpu', strict=True, logger='silent')
    except Exception as error:  # a pickle can fail in any way
        if not seen:
            return f'cannot be used ({in_one_line(error)})', False
        # Of shapes torch tells in words alone.
        shapes = [line.split()[3].rstrip(':') for line in str(error).splitlines() if 'size mismatch for' in line]
        # Norms count their batches from 0 where a checkpoint does not say.
        missing = [key for key in seen[0].missing_keys if not key.endswith('num_batches_tracked')]
        asked = [key for key in model.state_dict() if not key.endswith('num_batches_tracked')]
        kinds = {'missing': missing, 'unexpected': seen[0].unexpected_keys, 'of another shape': shapes}
        told = [f'{len(keys)} {kind}, first {keys[0]}' for kind, keys in kinds.items() if keys]
        trouble = f'does not fit the network ({"; ".join(told) or in_one_line(error)})'
        return trouble, len(asked) > len(missing) + len(shapes)
    return None, False


def in_one_line(error: BaseException) -> str:
    """An error of somebody else's, as part of a line."""
    return textwrap.shorten(f'{type(error).__name__}: {error}', 300, placeholder=' ...')
