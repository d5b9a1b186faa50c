"""C-BasicBlock: the residual block of HRNet with coordinate attention (section 3.2 of the paper)."""

from collections.abc import Mapping, Sequence

import torch.utils.checkpoint as cp
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.registry import MODELS
from torch import Tensor, nn

from .coord_attention import CoordAttention

PLACES = ('norm1', 'norm2')


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
        reduction (int, optional): See :class:`CoordAttention`, whose default it has.
        attention (dict, optional): Config of another module in the place of :class:`CoordAttention`, such as
            ``dict(type='CBAM', reduction=16)``; ``channels`` is filled in. ``norm_cfg`` of the block does not reach it.
        **kwargs: Whatever ``BasicBlock`` takes. ``norm_cfg`` is the attention's too.

    Raises:
        ValueError: ``ca_after`` names something else or nothing, ``reduction`` is not a positive integer, or is given
            beside ``attention``, or that is not a config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        ca_after: str | Sequence[str] = 'norm2',
        reduction: int | None = None,
        attention: dict | None = None,
        **kwargs,
    ):
        super().__init__(in_channels, out_channels, **kwargs)
        places = (ca_after,) if isinstance(ca_after, str) else ca_after
        if not isinstance(places, Sequence) or not places or any(place not in PLACES for place in places):
            raise ValueError(f"ca_after={ca_after!r} of CBasicBlock: give 'norm1', 'norm2' or both")
        if attention is None:
            attention = dict(type=CoordAttention, norm_cfg=self.norm_cfg)
            if reduction is not None:
                attention['reduction'] = reduction
        elif reduction is not None:
            raise ValueError(f'reduction={reduction!r} of CBasicBlock is for CoordAttention: give it in attention')
        elif not isinstance(attention, Mapping) or 'type' not in attention:
            raise ValueError(f'attention={attention!r} of CBasicBlock: give a dict with a type')
        channels = dict(norm1=self.mid_channels, norm2=out_channels)
        # A name is one of MMPose's registry, whichever package's default scope the network is built in.
        attention = dict(_scope_='mmpose') | attention
        self.ca = nn.ModuleDict(
            {place: MODELS.build(dict(attention, channels=channels[place])) for place in PLACES if place in places}
        )

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, in_channels, H, W) to (N, out_channels, H / stride, W / stride)."""

        def _inner_forward(x: Tensor) -> Tensor:
            out = self.relu(self.norm1(self.conv1(x)))
            if 'norm1' in self.ca:
                out = self.ca['norm1'](out)

            conv2 = self.conv2(out)
            out = self.norm2(conv2)
            if 'norm2' in self.ca:
                attention = self.ca['norm2']
                origin = dict(norm=self.norm2, norm_input=conv2) if isinstance(attention, CoordAttention) else {}
                out = attention(out, **origin)

            out += x if self.downsample is None else self.downsample(x)
            return out

        if self.with_cp and x.requires_grad:
            # The non-reentrant form is the one that torch.compile, DDP and FSDP can follow.
            out = cp.checkpoint(_inner_forward, x, use_reentrant=False)
        else:
            out = _inner_forward(x)
        return self.relu(out)
