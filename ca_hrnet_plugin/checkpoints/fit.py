"""Checks whether a checkpoint fits the network of a config."""

import copy
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint_with_prefix, load_state_dict  # as Pretrained uses it
from mmpose.apis import init_model
from torch import nn

from ..messages import in_one_line


def load_model(config: str | Path, checkpoint: str | Path) -> nn.Module:
    """Loads any model of MMPose on the CPU with ``mmpose.apis.init_model``.

    Raises:
        ValueError: The checkpoint does not fit the network. MMPose would leave missing weights at random values.
    """
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    problem, _ = misfit(cfg, str(checkpoint))
    if problem:
        raise ValueError(f'checkpoint {checkpoint} {problem}: give a checkpoint that was trained with {config}')
    return init_model(cfg, str(checkpoint), device='cpu')


def misfit(cfg: Config, file: str) -> tuple[str | None, bool]:
    """Checks whether a checkpoint fills the network of a config.

    Args:
        cfg (Config): A complete config, whose default scope is active.
        file (str): The checkpoint.

    Returns:
        tuple[str | None, bool]: As :func:`misfit_of` returns them.
    """
    try:
        model = MODELS.build(copy.deepcopy(cfg.model))
    except Exception as error:  # a third-party network can fail in any way
        return f'has no network to fit: it cannot be built ({in_one_line(error)})', False
    return misfit_of(model, file)


def misfit_of(model: nn.Module, file: str, prefix: str | None = None) -> tuple[str | None, bool]:
    """Checks whether a checkpoint fills a network, or a part of one.

    Args:
        model (nn.Module): The network, which the weights are loaded into.
        file (str): The checkpoint.
        prefix (str, optional): Of the weights in the checkpoint, as for MMEngine's ``Pretrained``.

    Returns:
        tuple[str | None, bool]: The problem, as the end of a sentence that begins with the checkpoint, or None if the
        whole network is filled; and, with a problem, whether the checkpoint still fills part of the network.
    """
    reported = []
    model.register_load_state_dict_post_hook(lambda _, keys: reported.append(keys))
    try:
        if prefix is None:
            load_checkpoint(model, file, map_location='cpu', strict=True, logger='silent')
        else:
            load_state_dict(model, _load_checkpoint_with_prefix(prefix, file, 'cpu'), strict=True, logger='silent')
    except Exception as error:  # a pickle can fail in any way
        if not reported:
            return f'cannot be used ({in_one_line(error)})', False
        # torch lists keys of another shape only in its message.
        reshaped = [line.split()[3].rstrip(':') for line in str(error).splitlines() if 'size mismatch for' in line]
        # Without a count in the checkpoint, norms count their batches from 0.
        missing = [key for key in reported[0].missing_keys if not key.endswith('num_batches_tracked')]
        expected = [key for key in model.state_dict() if not key.endswith('num_batches_tracked')]
        # thop counts operations in buffers, which a checkpoint then has.
        unexpected = [key for key in reported[0].unexpected_keys if not key.endswith(('total_ops', 'total_params'))]
        kinds = {'missing': missing, 'unexpected': unexpected, 'of another shape': reshaped}
        counts = [f'{len(keys)} {kind}, first {keys[0]}' for kind, keys in kinds.items() if keys]
        if counts or not reported[0].unexpected_keys:
            problem = f'does not fit the network ({"; ".join(counts) or in_one_line(error)})'
            return problem, len(expected) > len(missing) + len(reshaped)
    return None, False
