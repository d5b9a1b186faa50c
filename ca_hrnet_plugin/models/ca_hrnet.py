"""CA-HRNet: HRNet built from C-BasicBlocks (section 3.3 and figure 4 of the paper)."""

import functools
from collections.abc import Mapping, Sequence

from mmpose.models.backbones.hrnet import HRNet
from mmpose.registry import MODELS

from .c_basic_block import CBasicBlock
from .warm_start import complete_stock_weights

STAGES_WITH_BASIC_BLOCKS = (2, 3, 4)
CA_KEYS = ('ca_after', 'attention')


@MODELS.register_module()
class CAHRNet(HRNet):
    """MMPose's ``HRNet`` with coordinate attention in the basic blocks of stages 2 to 4.

    Maps an image (N, in_channels, H, W) to a tuple of feature maps, the first (N, C, H / 4, W / 4), as ``HRNet`` does.
    Its state dict has every key of the stock backbone, and keys under ``.ca.`` beside them.

    Args:
        extra (dict): As for ``HRNet``. Bottleneck blocks stay unchanged.
        *args: Whatever ``HRNet`` takes.
        ca_cfg (dict, optional): Arguments for each :class:`CBasicBlock`: where attention stands and what it is, such as
            ``dict(ca_after='norm1')`` or ``dict(attention=dict(type='CoordAttention', reduction=16))``.
        ca_stages (Sequence[int]): Stages that attend, of 2, 3 and 4. With none this is stock HRNet.
        warm_start (str): What attention starts from when stock HRNet weights are loaded, in whatever way:
            ``'identity'`` or ``'none'``, as for :class:`CBasicBlock`.
        **kwargs: Whatever ``HRNet`` takes.

    Raises:
        ValueError: ``ca_stages`` names another stage, or :class:`CBasicBlock` refuses ``ca_cfg`` or ``warm_start``.
    """

    def __init__(
        self,
        extra: dict,
        *args,
        ca_cfg: dict | None = None,
        ca_stages: Sequence[int] = STAGES_WITH_BASIC_BLOCKS,
        warm_start: str = 'identity',
        **kwargs,
    ):
        if not isinstance(ca_stages, Sequence) or not all(
            type(stage) is int and stage in STAGES_WITH_BASIC_BLOCKS for stage in ca_stages
        ):
            raise ValueError(f'ca_stages={ca_stages!r} of CAHRNet: give a list of {STAGES_WITH_BASIC_BLOCKS}, or ()')
        ca_cfg = {} if ca_cfg is None else ca_cfg
        if not isinstance(ca_cfg, Mapping) or not set(ca_cfg) <= set(CA_KEYS):
            raise ValueError(
                f'ca_cfg={ca_cfg!r} of CAHRNet: give a dict with keys of {CA_KEYS}; arguments of the attention are '
                "given as in attention=dict(type='CoordAttention', reduction=16)"
            )
        c_basic_block = functools.partial(CBasicBlock, warm_start=warm_start, **ca_cfg)
        c_basic_block.expansion = 1  # HRNet asks its block for it
        self.blocks_dict = {**self.blocks_dict, 'C_BASIC': c_basic_block}
        extra = dict(extra)
        for stage in (f'stage{number}' for number in ca_stages):
            if extra[stage]['block'] == 'BASIC':
                extra[stage] = dict(extra[stage], block='C_BASIC')
        super().__init__(extra, *args, **kwargs)
        self._register_load_state_dict_pre_hook(complete_stock_weights, with_module=True)

    def train(self, mode: bool = True) -> 'CAHRNet':
        """Sets the mode and returns the module, as ``nn.Module.train`` does and ``HRNet.train`` does not."""
        super().train(mode)
        return self
