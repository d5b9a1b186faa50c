"""CA-HRNet: HRNet built from C-BasicBlocks (section 3.3 and figure 4 of the paper)."""

import copy
from collections.abc import Sequence

from mmpose.models.backbones.hrnet import HRNet
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.registry import MODELS

from .c_basic_block import CBasicBlock

STAGES_WITH_BASIC_BLOCKS = (2, 3, 4)


@MODELS.register_module()
class CAHRNet(HRNet):
    """MMPose's ``HRNet`` with coordinate attention in the basic blocks of stages 2 to 4.

    Maps an image (N, 3, H, W) to a tuple of feature maps, the first (N, C, H / 4, W / 4), as ``HRNet`` does. Its state
    dict has every key of the stock backbone, and keys under ``.ca.`` beside them.

    Args:
        extra (dict): The stages, as ``HRNet`` takes them. Bottleneck blocks stay as they are.
        ca_cfg (dict, optional): Arguments for each :class:`CBasicBlock`, such as ``dict(ca_after='norm1')``.
        ca_stages (Sequence[int]): Stages that attend, of 2, 3 and 4. With none this is stock HRNet.
        **kwargs: Whatever ``HRNet`` takes.

    Raises:
        ValueError: ``ca_stages`` names another stage, or ``ca_cfg`` holds what :class:`CBasicBlock` refuses.

    Example:
        >>> from mmengine.config import Config
        >>> from mmpose.registry import MODELS
        >>> import ca_hrnet_plugin
        >>> config = Config.fromfile(ca_hrnet_plugin.config_path('ca_hrnet_w32_coco_256x192'))
        >>> backbone = MODELS.build(config.model.backbone)
    """

    def __init__(self, extra: dict, *args, ca_cfg: dict | None = None, ca_stages: Sequence[int] = (2, 3, 4), **kwargs):
        ca_stages = tuple(ca_stages)
        if not set(ca_stages) <= set(STAGES_WITH_BASIC_BLOCKS):
            raise ValueError(f'ca_stages={ca_stages!r} of CAHRNet: give stages of {STAGES_WITH_BASIC_BLOCKS}')
        ca_cfg = dict(ca_cfg or {})

        class CBasicBlockWithConfig(BasicBlock):
            """Builds C-BasicBlocks with ``ca_cfg``, for HRNet hands no further arguments to a block.

            A class, since HRNet asks its block for its base class; what it builds is a plain C-BasicBlock, so that a
            network can be pickled.
            """

            def __new__(cls, *args, **kwargs):
                return CBasicBlock(*args, **ca_cfg, **kwargs)

        extra = copy.deepcopy(extra)
        for stage in ca_stages:
            stage_cfg = extra[f'stage{stage}']
            if stage_cfg['block'] == 'BASIC':
                stage_cfg['block'] = 'C_BASIC'
        self.blocks_dict = {**HRNet.blocks_dict, 'C_BASIC': CBasicBlockWithConfig}
        super().__init__(extra, *args, **kwargs)
        del self.blocks_dict

    def train(self, mode: bool = True) -> 'CAHRNet':
        """Sets the mode and returns the module, as ``nn.Module.train`` does and ``HRNet.train`` does not."""
        super().train(mode)
        return self
