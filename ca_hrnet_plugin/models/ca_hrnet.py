"""CA-HRNet: HRNet built from C-BasicBlocks (section 3.3 and figure 4 of the paper)."""

import copy
from collections.abc import Iterable, Mapping, Sequence

import torch
from mmengine.logging import print_log
from mmpose.models.backbones.hrnet import HRNet
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.registry import MODELS
from torch import Tensor

from .c_basic_block import CBasicBlock
from .stage_checks import check_stages
from .warm_start import blocks_with_attention, start_as_identity

# The branches meet again only where each halving left no remainder.
SIZE_DIVISOR = 32
STAGES_WITH_BASIC_BLOCKS = (2, 3, 4)
CA_KEYS = ('ca_after', 'reduction', 'attention')
WARM_STARTS = ('identity', 'none')


@MODELS.register_module()
class CAHRNet(HRNet):
    """MMPose's ``HRNet`` with coordinate attention in the basic blocks of stages 2 to 4.

    Maps an image (N, 3, H, W) to a tuple of feature maps, the first (N, C, H / 4, W / 4), as ``HRNet`` does. Its state
    dict has every key of the stock backbone, and keys under ``.ca.`` beside them.

    Args:
        extra (dict): The stages, as ``HRNet`` takes them. Bottleneck blocks stay as they are.
        in_channels (int): Of the image, 3.
        ca_cfg (dict, optional): Arguments for each :class:`CBasicBlock`, such as ``dict(ca_after='norm1')`` or
            ``dict(attention=dict(type='CBAM'))``.
        ca_stages (Sequence[int]): Stages that attend, of 2, 3 and 4. With none this is stock HRNet.
        warm_start (str): What attention starts from when stock HRNet weights are loaded, in whatever way:
            ``'identity'``, so that outputs are those of the stock network (see warm_start.py), or ``'none'``, the
            attention's own initial weights, with gates near 0.5.
        **kwargs: Whatever ``HRNet`` takes.

    Raises:
        ValueError: ``ca_stages`` names another stage, ``ca_cfg`` holds what :class:`CBasicBlock` refuses,
            ``warm_start`` or ``in_channels`` is something else, or ``extra`` fails :func:`check_stages`.

    Example:
        >>> from mmengine.config import Config
        >>> from mmpose.registry import MODELS
        >>> import ca_hrnet_plugin
        >>> config = Config.fromfile(ca_hrnet_plugin.config_path('ca_hrnet_w32_coco_256x192'))
        >>> backbone = MODELS.build(config.model.backbone)
    """

    def __init__(
        self,
        extra: dict,
        in_channels: int = 3,
        *args,
        ca_cfg: dict | None = None,
        ca_stages: Sequence[int] = (2, 3, 4),
        warm_start: str = 'identity',
        **kwargs,
    ):
        if warm_start not in WARM_STARTS:
            raise ValueError(f'warm_start={warm_start!r} of CAHRNet: give one of {WARM_STARTS}')
        if not isinstance(ca_stages, Sequence) or not all(
            type(stage) is int and stage in STAGES_WITH_BASIC_BLOCKS for stage in ca_stages
        ):
            raise ValueError(f'ca_stages={ca_stages!r} of CAHRNet: give a list of {STAGES_WITH_BASIC_BLOCKS}, or ()')
        if not isinstance(ca_cfg or {}, Mapping) or not set(ca_cfg or {}) <= set(CA_KEYS):
            raise ValueError(f'ca_cfg={ca_cfg!r} of CAHRNet: give a dict with keys of {CA_KEYS}')
        if in_channels != 3:
            raise ValueError(f'in_channels={in_channels!r} of CAHRNet: give 3')
        check_stages(extra)
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
        super().__init__(extra, in_channels, *args, **kwargs)
        del self.blocks_dict
        self.warm_start = warm_start

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps an image (N, 3, H, W), with H and W multiples of 32, to feature maps.

        Raises:
            ValueError: H or W is another number.
        """
        height, width = x.shape[2:]
        if not torch.jit.is_tracing() and (height % SIZE_DIVISOR or width % SIZE_DIVISOR):
            raise ValueError(
                f'input of height {height} and width {width} of CAHRNet: give multiples of {SIZE_DIVISOR}, '
                'such as input_size=(192, 256) of the codec'
            )
        return super().forward(x)

    def train(self, mode: bool = True) -> 'CAHRNet':
        """Sets the mode and returns the module, as ``nn.Module.train`` does and ``HRNet.train`` does not."""
        super().train(mode)
        return self

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Completes stock HRNet weights, whichever of torch's and MMEngine's ways of loading calls this.

        Raises:
            ValueError: The weights have attention, and not where this network has it, or are of another width.
        """
        ours = _keys_of_attention(prefix + key for key in self.state_dict())
        theirs = _keys_of_attention(key for key in state_dict if key.startswith(prefix))
        if not theirs:
            self._complete_stock_weights(state_dict, prefix)
        elif theirs != ours:
            raise ValueError(
                f'weights whose attention is not where ca_stages and ca_cfg put it: {_few(ours - theirs)} lacking, '
                f'{_few(theirs - ours)} too many; give the ca_stages and ca_cfg that they were trained with'
            )
        for key, value in self.state_dict().items():
            shape = getattr(state_dict.get(prefix + key), 'shape', value.shape)
            if value.ndim and shape != value.shape:
                raise ValueError(
                    f'weights of another network: {prefix + key} is {tuple(shape)}, and {tuple(value.shape)} here; '
                    'give the extra and ca_cfg that they were trained with'
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _complete_stock_weights(self, state_dict: dict, prefix: str) -> None:
        """Adds attention to the blocks that a stock state dict has, as ``warm_start`` says."""
        num_attention = 0
        for name, block in blocks_with_attention(self):
            if f'{prefix}{name}conv1.weight' not in state_dict:
                continue
            if self.warm_start == 'identity':
                start_as_identity(block, prefix + name, state_dict)
            else:
                state_dict.update({f'{prefix}{name}ca.{key}': value for key, value in block.ca.state_dict().items()})
            num_attention += len(block.ca)
        if num_attention:
            start = 'as identity' if self.warm_start == 'identity' else 'from their own initial weights'
            print_log(f'stock HRNet weights: {num_attention} attention modules start {start}', logger='current')


def _keys_of_attention(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if '.ca.' in key and not key.endswith('num_batches_tracked')}


def _few(keys: set[str]) -> str:
    """Names a few of many keys."""
    few = sorted(keys)[:2]
    return ', '.join(few) + (f' and {len(keys) - len(few)} more' if len(keys) > len(few) else '') if keys else 'none'
