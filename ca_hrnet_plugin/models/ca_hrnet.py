"""CA-HRNet: HRNet built from C-BasicBlocks (section 3.3 and figure 4 of the paper)."""

import functools
import logging
from collections.abc import Iterator, Mapping, Sequence

from mmengine.logging import print_log
from mmpose.models.backbones.hrnet import HRNet
from mmpose.registry import MODELS
from torch import nn

from .c_basic_block import CBasicBlock
from .warm_start import obstacle_to_identity

STAGES_WITH_BASIC_BLOCKS = (2, 3, 4)
CA_KEYS = ('ca_after', 'reduction', 'gate_scale', 'low_memory', 'attention')


@MODELS.register_module()
class CAHRNet(HRNet):
    """MMPose's ``HRNet`` with coordinate attention in the basic blocks of stages 2 to 4.

    Maps an image (N, in_channels, H, W) to a tuple of feature maps, the first (N, C, H / 4, W / 4), as ``HRNet`` does.
    Its state dict has every key of the stock backbone, and keys under ``.ca.`` beside them.

    Loading weights that do not fit is as with ``HRNet``: strict loading raises torch's error, other loading takes what
    fits. A warning counts what does not and names the first.

    Args:
        *args: Whatever ``HRNet`` takes. Bottleneck blocks in ``extra`` stay as they are.
        ca_cfg (dict, optional): Arguments for each :class:`CBasicBlock`, such as ``dict(ca_after='norm1')`` or
            ``dict(low_memory=True)``.
        ca_stages (Sequence[int]): Stages that attend, of 2, 3 and 4. With none this is stock HRNet.
        warm_start (str): What attention starts from when stock HRNet weights are loaded, in whatever way:
            ``'identity'``, so that outputs are those of the stock network, or ``'none'``, the attention's own initial
            weights, with gates near 0.5. See :class:`CBasicBlock`.
        **kwargs: Whatever ``HRNet`` takes.

    Raises:
        ValueError: ``ca_stages`` names another stage, or ``ca_cfg`` or ``warm_start`` is what :class:`CBasicBlock`
            refuses.

    Example:
        >>> from mmengine.config import Config
        >>> from mmpose.registry import MODELS
        >>> import ca_hrnet_plugin
        >>> config = Config.fromfile(ca_hrnet_plugin.config_path('ca_hrnet_w32_coco_256x192'))
        >>> backbone = MODELS.build(config.model.backbone)
    """

    def __init__(
        self,
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
        if not isinstance(ca_cfg or {}, Mapping) or not set(ca_cfg or {}) <= set(CA_KEYS):
            raise ValueError(f'ca_cfg={ca_cfg!r} of CAHRNet: give a dict with keys of {CA_KEYS}')
        self.ca_stages = tuple(ca_stages)
        c_basic_block = functools.partial(CBasicBlock, warm_start=warm_start, **(ca_cfg or {}))
        c_basic_block.expansion = 1  # HRNet asks its block for it
        self.blocks_dict = {**self.blocks_dict, 'C_BASIC': c_basic_block}
        super().__init__(*args, **kwargs)
        self.register_load_state_dict_post_hook(_warn_of_misfits)

    def _make_stage(self, layer_config: Mapping, *args, **kwargs) -> tuple[nn.Sequential, list[int]]:
        """Makes a stage, of C-BasicBlocks where it is one that attends."""
        # HRNet makes them one after the other; its arguments do not say which one it is at.
        stage = next(stage for stage in STAGES_WITH_BASIC_BLOCKS if f'stage{stage}' not in self._modules)
        if stage in self.ca_stages and layer_config['block'] == 'BASIC':
            layer_config = dict(layer_config, block='C_BASIC')
        return super()._make_stage(layer_config, *args, **kwargs)

    def train(self, mode: bool = True) -> 'CAHRNet':
        """Sets the mode and returns the module, as ``nn.Module.train`` does and ``HRNet.train`` does not."""
        super().train(mode)
        return self

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        """Loads as any module does, and says what attention starts from: its blocks complete stock weights."""
        with_attention = {key[: key.index('.ca.') + 1] for key in state_dict if '.ca.' in key}
        starting = [
            block
            for name, block in blocks_with_attention(self)
            if f'{prefix}{name}' not in with_attention
            and f'{prefix}{name}conv1.weight' in state_dict
            and _obstacle(block) is None
        ]
        if starting:
            start = 'as identity' if starting[0].warm_start == 'identity' else 'from their own initial weights'
            num_attention = sum(len(block.ca) for block in starting)
            print_log(f'stock HRNet weights: {num_attention} attention modules start {start}', logger='current')
        # Missing keys, unexpected keys and errors go in lists from module to module: here begin those of this one.
        self._found_amiss = [(found, len(found)) for found in args[-3:]]
        super()._load_from_state_dict(state_dict, prefix, *args)


def blocks_with_attention(backbone: nn.Module) -> Iterator[tuple[str, CBasicBlock]]:
    """Yields each C-BasicBlock with the prefix of its keys in the backbone's state dict."""
    for name, module in backbone.named_modules():
        if isinstance(module, CBasicBlock):
            yield f'{name}.', module


def _obstacle(block: CBasicBlock) -> str | None:
    """What keeps the attention of a block from its warm start."""
    return obstacle_to_identity(block) if block.warm_start == 'identity' else None


def _warn_of_misfits(backbone: CAHRNet, _) -> None:
    """Is called by torch and MMEngine when they have loaded what fits."""
    missing, unexpected, errors = (found[start:] for found, start in backbone.__dict__.pop('_found_amiss'))
    missing = [key for key in missing if not key.endswith('num_batches_tracked')]
    if missing or unexpected or errors:
        obstacles = (_obstacle(block) for _, block in blocks_with_attention(backbone))
        obstacle = next(filter(None, obstacles), None) if any('.ca.' in key for key in missing) else None
        print_log(
            f'these weights do not fit CAHRNet: {len(missing)} keys are missing, {len(errors)} are of another shape, '
            f'{len(unexpected)} are unexpected; the first: {[*missing, *errors, *unexpected][0]}'
            + (f"; attention cannot start as identity ({obstacle}): give warm_start='none'" if obstacle else ''),
            logger='current',
            level=logging.WARNING,
        )
