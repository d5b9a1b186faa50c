"""Coordinate attention in HRNet, for MMPose. Importing this package registers it, and says nothing."""

from . import compat
from .config_files import config_path

compat.allow_mmengine_checkpoints()
with compat.mmcv_ops_stand_in():
    from .checkpoints.loaders import refuse_in_one_line
    from .checks.config import check_before_runs
    from .engine import Bfloat16OptimWrapper, ChannelsLastHook
    from .evaluation import CrowdCocoMetric
    from .models import CAHRNet, CBasicBlock, CoordAttention
refuse_in_one_line()
check_before_runs()

__all__ = [
    'Bfloat16OptimWrapper',
    'CAHRNet',
    'CBasicBlock',
    'ChannelsLastHook',
    'CoordAttention',
    'CrowdCocoMetric',
    'config_path',
]
__version__ = '0.1.0'
