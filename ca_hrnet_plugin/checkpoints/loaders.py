"""Checkpoints are refused in one line where they cannot be read, or do not fit a network that has nothing else.

Every way of MMPose and MMEngine to load one leads through the two functions of MMEngine that are replaced here.
"""

import functools
import logging
import re
import sys
import textwrap
import zipfile
from pathlib import Path

import mmengine.runner.checkpoint as mmengine_checkpoint
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmpose.models import TopdownPoseEstimator
from mmpose.models.backbones.hrnet import HRNet
from torch import nn

from ..models import CAHRNet

WAY_OUT = 'give the whole file that MMEngine or torch.save wrote, of weights and logs alone'
LONGEST_REASON = 240


def refuse_in_one_line() -> None:
    """Makes MMEngine's loading of checkpoints raise errors that name the file or the keys, and what to do."""
    load_checkpoint = CheckpointLoader.load_checkpoint.__func__
    if hasattr(load_checkpoint, '__wrapped__'):
        return
    CheckpointLoader.load_checkpoint = classmethod(_readable(load_checkpoint))
    mmengine_checkpoint.load_state_dict = _fitting(mmengine_checkpoint.load_state_dict)


def _readable(load_checkpoint):
    @functools.wraps(load_checkpoint)
    def load_readable(cls, filename: str, *args, **kwargs) -> dict:
        try:
            _check_sizes(filename)
            checkpoint = load_checkpoint(cls, filename, *args, **kwargs)
            state_dict = checkpoint.get('state_dict', checkpoint) if isinstance(checkpoint, dict) else None
            if not isinstance(state_dict, dict) or not all(isinstance(key, str) for key in state_dict):
                raise TypeError('it holds no weights by name')
        except OSError:  # not there, or out of reach
            raise
        except Exception as error:  # a pickle can fail in any way
            # Without torch's own error, which advises to run what the file holds.
            raise ValueError(f'checkpoint {filename} {_trouble(error)}: {WAY_OUT}') from None
        if isinstance(checkpoint.get('meta'), dict):
            # Of MMCV's time. MMEngine's resume would run it, for the GPU ids that it may name.
            checkpoint['meta'].pop('config', None)
        return checkpoint

    return load_readable


def _check_sizes(filename: str) -> None:
    """Refuses an archive that unpacks to more than it is; torch packs nothing."""
    if not zipfile.is_zipfile(filename):
        return
    with zipfile.ZipFile(filename) as archive:
        claimed = sum(record.file_size for record in archive.infolist())
    if claimed > Path(filename).stat().st_size:
        raise ValueError(f'it claims {claimed} bytes of content and has fewer')


def _trouble(error: Exception) -> str:
    message = str(error)
    if named := re.search(r'GLOBAL (\S+)', message):
        return f'names {named[1]}, which is neither weights nor logs and might run'
    message = re.split(r'Check the documentation|\. ', message.rpartition('WeightsUnpickler error:')[2])[0]
    return f'cannot be read ({_shortened(f"{type(error).__name__}: {message}")})'


def _fitting(load_state_dict):
    @functools.wraps(load_state_dict)
    def load_fitting(module: nn.Module, state_dict: dict, strict: bool = False, logger=None) -> None:
        if strict or not _has_nothing_else(module):
            load_state_dict(module, state_dict, strict, logger)
            return
        try:
            load_state_dict(module, state_dict, True, logger)
        except RuntimeError as error:
            _, *troubles = filter(None, str(error).splitlines())
            # What the network has no place for changes nothing, unless it is attention.
            grave = [one for one in troubles if not one.startswith('unexpected key') or '.ca.' in one]
            if not grave:
                print_log('\n'.join(troubles), logger, logging.WARNING)
                return
            more = f', and {len(grave) - 1} more' if len(grave) > 1 else ''
            raise ValueError(
                f'these weights are not of this network: {_shortened(grave[0]).rstrip(".")}{more}; '
                'give the config that they were trained with'
            ) from None

    return load_fitting


def _has_nothing_else(module: nn.Module) -> bool:
    """Whether it is a pose estimator of ours that is not about to be trained: then MMEngine has initialised it.

    Stock HRNet is ours where a config that imports this plugin is tested; elsewhere it is somebody else's.
    """
    return (
        isinstance(module, TopdownPoseEstimator)
        and isinstance(module.backbone, HRNet if Path(sys.argv[0]).name == 'test.py' else CAHRNet)
        and not module.is_init
        and not hasattr(module, '_params_init_info')  # being initialised
    )


def _shortened(text: str) -> str:
    return textwrap.shorten(text, LONGEST_REASON, placeholder=' ...')
