"""Coordinate attention in HRNet, for MMPose. Importing this package registers it, and says nothing."""

from . import compat
from .config_files import config_path

with compat.mmcv_ops_stand_in():
    from .checkpoints import register_loaders, restore_mmengine_loaders
    from .checks.config import check_before_runs
    from .engine import Bfloat16OptimWrapper, ChannelsLastHook
    from .evaluation import CrowdCocoMetric
    from .models import CAHRNet, CBasicBlock, CoordAttention
register_loaders()
check_before_runs()

__all__ = [
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
