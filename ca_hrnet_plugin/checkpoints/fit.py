"""Checks whether a checkpoint fits the network of a config."""

import contextlib
import copy
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import _load_checkpoint_with_prefix, load_state_dict  # as Pretrained uses it
from mmpose.apis import init_model
from torch import nn

from ..messages import in_one_line

# By thop in each module, and by norms: no output depends on them.
COUNTS = ('total_ops', 'total_params', 'num_batches_tracked')


class Fit(NamedTuple):
    """How a checkpoint fits a network.

    Attributes:
        problem (str, optional): The end of a sentence that begins with the checkpoint; None if the network is filled
            and gets the same outputs as the one that was saved.
        in_part (bool): Whether the checkpoint fills a part of the network, in spite of a problem.
        ignored (str): Keys of the checkpoint that change no output, as the end of that sentence; empty without any.
    """

    problem: str | None = None
    in_part: bool = False
    ignored: str = ''


def load_model(config: str | Path, checkpoint: str | Path) -> nn.Module:
    """Loads any model of MMPose on the CPU with ``mmpose.apis.init_model``.

    Raises:
        ValueError: The checkpoint does not fit the network. MMPose would leave missing weights at random values.
    """
    cfg = Config.fromfile(config)
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    fit = fit_of(cfg, str(checkpoint))
    if fit.problem:
        raise ValueError(f'checkpoint {checkpoint} {fit.problem}: give a checkpoint that was trained with {config}')
    with _without_output():
        return init_model(cfg, str(checkpoint), device='cpu')


def fit_of(cfg: Config, file: str) -> Fit:
    """Checks whether a checkpoint fills the network of a config.

    Args:
        cfg (Config): A complete config, whose default scope is active.
        file (str): The checkpoint.
    """
    try:
        model = MODELS.build(copy.deepcopy(cfg.model))
    except Exception as error:  # a third-party network can fail in any way
        return Fit(f'has no network to fit: it cannot be built ({in_one_line(error)})')
    return fit_of_part(model, file)


def fit_of_part(model: nn.Module, file: str, prefix: str | None = None) -> Fit:
    """Checks whether a checkpoint fills a network, or a part of one.

    Args:
        model (nn.Module): The network, which the weights are loaded into.
        file (str): The checkpoint.
        prefix (str, optional): Of the weights in the checkpoint, as for MMEngine's ``Pretrained``.
    """
    reported = []
    model.register_load_state_dict_post_hook(lambda _, keys: reported.append(keys))
    try:
        if prefix is None:
            load_checkpoint(model, file, map_location='cpu', strict=True, logger='silent')
        else:
            with _without_output():
                weights = _load_checkpoint_with_prefix(prefix, file, 'cpu')
            load_state_dict(model, weights, strict=True, logger='silent')
    except Exception as error:  # a pickle can fail in any way
        if not reported:
            return Fit(f'cannot be used ({in_one_line(error)})')
        reshaped = reshaped_keys(error)
        # Without a count in the checkpoint, norms count their batches from 0.
        missing = [key for key in reported[0].missing_keys if not key.endswith(COUNTS)]
        expected = [key for key in model.state_dict() if not key.endswith(COUNTS)]
        unexpected = reported[0].unexpected_keys
        layers = [key for key in unexpected if _is_layer(key, model)]
        if not missing and not reshaped and unexpected and not layers:
            return Fit(ignored=f'has keys that are ignored ({len(unexpected)}, first {unexpected[0]})')
        if not missing and not reshaped and layers:
            what = 'attention' if '.ca.' in layers[0] else 'layers'
            return Fit(f'has {what} that the network lacks ({len(layers)}, first {layers[0]})', in_part=True)
        problem = f'does not fit the network ({counted_keys(missing, unexpected, reshaped) or in_one_line(error)})'
        return Fit(problem, in_part=len(expected) > len(missing) + len(reshaped))
    return Fit()


def reshaped_keys(error: Exception) -> list[str]:
    """Keys of another shape, which torch lists only in its message."""
    return [line.split()[3].rstrip(':') for line in str(error).splitlines() if 'size mismatch for' in line]


def counted_keys(missing: Sequence[str], unexpected: Sequence[str], reshaped: Sequence[str]) -> str:
    """Numbers of keys with the first of each kind, as in ``'3 missing, first conv1.weight'``."""
    kinds = {'missing': missing, 'unexpected': unexpected, 'of another shape': reshaped}
    return '; '.join(f'{len(keys)} {kind}, first {keys[0]}' for kind, keys in kinds.items() if keys)


def _without_output() -> contextlib.AbstractContextManager:
    """Hides what MMEngine prints about the files that it loads."""
    return contextlib.redirect_stdout(io.StringIO())


def _is_layer(key: str, model: nn.Module) -> bool:
    """Whether an unexpected key belongs to a layer within a part of the network, and so affected its outputs.

    A teacher beside the network did not affect them, nor did a loss, nor the counters that thop adds to modules.
    """
    part = key.partition('.')[0]
    return part in dict(model.named_children()) and 'loss' not in key and not key.endswith(COUNTS)
