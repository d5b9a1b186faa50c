"""Coordinate attention in HRNet, for MMPose. Importing this package registers its classes and prints nothing."""

import sys

from .config_files import SMALL_HRNET, config_path

# python -m ca_hrnet_plugin NAME should answer at once, so it imports neither torch nor MMPose. It is recognised by its
# exact first arguments, so that no other process is affected.
if sys.orig_argv[1:3] != ['-m', __name__] or sys.orig_argv[3:4] == ['check']:
    from .compat import mmcv_ops_stand_in

    with mmcv_ops_stand_in():
        from .checkpoints import register_loaders, restore_mmengine_loaders
        from .engine import Bfloat16OptimWrapper, ChannelsLastHook
        from .evaluation import CrowdCocoMetric
        from .models import CAHRNet, CBasicBlock, CoordAttention
    register_loaders()

__all__ = [
    'SMALL_HRNET',
    'Bfloat16OptimWrapper',
    'CAHRNet',
    'CBasicBlock',
    'ChannelsLastHook',
    'CoordAttention',
    'CrowdCocoMetric',
    'config_path',
    'restore_mmengine_loaders',
]
__version__ = '0.1.0'
