"""What the plugin adds to MMPose's registries: imported with the package."""

from . import compat

compat.allow_mmengine_checkpoints()
with compat.mmcv_ops_stand_in():
    from .checkpoints.loaders import refuse_in_one_line
    from .engine import Bfloat16OptimWrapper, ChannelsLastHook
    from .evaluation import CrowdCocoMetric
    from .models import CAHRNet, CBasicBlock, CoordAttention
refuse_in_one_line()

__all__ = ['Bfloat16OptimWrapper', 'CAHRNet', 'CBasicBlock', 'ChannelsLastHook', 'CoordAttention', 'CrowdCocoMetric']
