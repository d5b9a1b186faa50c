"""C-BasicBlock: the residual block of HRNet with coordinate attention (section 3.2 of the paper)."""

from collections.abc import Mapping, Sequence

import torch.utils.checkpoint as cp
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.registry import MODELS
from torch import Tensor, nn

from .coord_attention import CoordAttention
from .warm_start import start_as_identity, start_as_initialised

PLACES = ('norm1', 'norm2')
WARM_STARTS = {'identity': start_as_identity, 'none': start_as_initialised}


@MODELS.register_module()
class CBasicBlock(BasicBlock):
    """MMPose's ``BasicBlock`` that attends to its residual branch before adding it.

    Figure 3 of the paper leaves the place open; docs/paper.md says why it is taken to be after the second norm. Stock
    state-dict keys stay what they are; the attention adds its own under ``ca.<place>``.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        ca_after (str | Sequence[str]): Where attention stands: ``'norm2'``, ``'norm1'`` (then after the ReLU that
            follows it), or both.
        attention (dict, optional): Config of another module in the place of :class:`CoordAttention`, such as
            ``dict(type='ca_hrnet_plugin.models.CBAM')``; ``channels`` is filled in. ``norm_cfg`` of the block does not
            reach it.
        reduction (int, optional), gate_scale (float, optional), low_memory (bool, optional): See
            :class:`CoordAttention`, whose defaults they have.
        warm_start (str): What attention starts from when weights are loaded that have none for this block, which are
            those of a stock block: ``'identity'``, so that outputs are those of the stock block (see warm_start.py), or
            ``'none'``, the weights that it has.
        **kwargs: Whatever ``BasicBlock`` takes. ``norm_cfg`` is the attention's too.

    Raises:
        ValueError: ``ca_after`` or ``warm_start`` is something else, ``attention`` is not a config, or has
            an option of :class:`CoordAttention` next to it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *args,
        ca_after: str | Sequence[str] = 'norm2',
        attention: dict | None = None,
        reduction: int | None = None,
        gate_scale: float | None = None,
        low_memory: bool | None = None,
        warm_start: str = 'identity',
        **kwargs,
    ):
        super().__init__(in_channels, out_channels, *args, **kwargs)
        if warm_start not in WARM_STARTS:
            raise ValueError(f'warm_start={warm_start!r} of CBasicBlock: give one of {tuple(WARM_STARTS)}')
        self.warm_start = warm_start
        places = (ca_after,) if isinstance(ca_after, str) else ca_after
        if not isinstance(places, Sequence) or not places or any(place not in PLACES for place in places):
            raise ValueError(f"ca_after={ca_after!r} of CBasicBlock: give 'norm1', 'norm2' or both")
        options = dict(reduction=reduction, gate_scale=gate_scale, low_memory=low_memory)
        options = {name: value for name, value in options.items() if value is not None}
        if attention is None:
            attention = dict(type=CoordAttention, norm_cfg=self.norm_cfg, **options)
        elif not isinstance(attention, Mapping) or 'type' not in attention:
            raise ValueError(f'attention={attention!r} of CBasicBlock: give a dict with a type')
        elif options:
            raise ValueError(f'{options} of CBasicBlock is for CoordAttention alone: give it in attention')
        # A name is one of MMPose's registry, whichever package's default scope the network is built in.
        self.attention_cfg = dict(_scope_='mmpose') | attention
        self.ca = nn.ModuleDict({place: self.build_attention(place) for place in PLACES if place in places})

    def build_attention(self, place: str) -> nn.Module:
        """A new attention module for ``'norm1'`` or ``'norm2'``, at its initial weights."""
        channels = self.mid_channels if place == 'norm1' else self.out_channels
        return MODELS.build(dict(self.attention_cfg, channels=channels))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""

        def _inner_forward(x: Tensor) -> Tensor:
            out = self.relu(self.norm1(self.conv1(x)))
            if 'norm1' in self.ca:
                out = self.ca['norm1'](out)

            out = self.norm2(self.conv2(out))
            if 'norm2' in self.ca:
                out = self.ca['norm2'](out)

            out += x if self.downsample is None else self.downsample(x)
            return out

        if self.with_cp and x.requires_grad:
            # The non-reentrant form is the one that torch.compile, DDP and FSDP can follow.
            out = cp.checkpoint(_inner_forward, x, use_reentrant=False)
        else:
            out = _inner_forward(x)
        return self.relu(out)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, *args) -> None:
        """Completes the weights of a stock block, whichever of torch's and MMEngine's ways of loading calls this."""
        keys = [key for key in state_dict if key.startswith(prefix)]
        if keys and not any(key.startswith(f'{prefix}ca.') for key in keys):
            WARM_STARTS[self.warm_start](self, prefix, state_dict)
            if local_metadata.get('assign_to_params_buffers'):  # then nothing is copied into what stood here
                like = next(state_dict[key] for key in keys if state_dict[key].is_floating_point())
                for key in [key for key in state_dict if key.startswith(f'{prefix}ca.')]:
                    dtype = like.dtype if state_dict[key].is_floating_point() else None
                    state_dict[key] = state_dict[key].to(like.device, dtype)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
