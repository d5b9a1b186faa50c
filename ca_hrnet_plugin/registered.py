"""What importing the package registers, with MMPose and MMEngine."""

from . import compat

with compat.mmcv_ops_stand_in():
    from .checkpoints import register_loaders, restore_mmengine_loaders
    from .engine import Bfloat16OptimWrapper, ChannelsLastHook
    from .evaluation import CrowdCocoMetric
    from .models import CAHRNet, CBasicBlock, CoordAttention
register_loaders()

__all__ = [
    'Bfloat16OptimWrapper',
    'CAHRNet',
    'CBasicBlock',
    'ChannelsLastHook',
    'CoordAttention',
    'CrowdCocoMetric',
    'restore_mmengine_loaders',
]
