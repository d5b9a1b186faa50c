"""C-BasicBlock: the residual block of HRNet with coordinate attention (section 3.2 of the paper)."""

from collections.abc import Mapping, Sequence

import torch
import torch.utils.checkpoint as cp
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.registry import MODELS
from torch import Tensor, nn

from .coord_attention import CoordAttention

PLACES = ('norm1', 'norm2')
WARM_STARTS = ('identity', 'none')


class BlendedAttention(nn.Module):
    """Blends an attention module in, from nothing: ``x + weight * (attention(x) - x)``.

    ``weight`` is learned and starts at 0, so that any attention starts as identity (ReZero, Bachlechner et al., 2020,
    https://arxiv.org/abs/2003.04887). There is one for each channel, as in LayerScale (Touvron et al., 2021,
    https://arxiv.org/abs/2103.17239).

    Args:
        attention (nn.Module): Keeps the shape of a feature map.
        channels (int): Channels of the feature map.
    """

    def __init__(self, attention: nn.Module, channels: int):
        super().__init__()
        self.attention = attention
        self.weight = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Attends to a feature map (N, C, H, W), and keeps its shape and dtype."""
        return x + self.weight.to(x.dtype) * (self.attention(x) - x)


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
        attention (dict): Config of the attention module: any module that takes ``channels``, which is filled in, and
            keeps the shape of its input, such as ``dict(type='CoordAttention', reduction=16)`` or
            ``dict(type='timm.layers.EcaModule')``. :class:`CoordAttention` gets the block's ``norm_cfg`` unless it has
            its own.
        warm_start (str): ``'identity'``: attention changes nothing when it starts from the weights of a stock block
            (see warm_start.py). For this, modules other than :class:`CoordAttention` are blended in
            (:class:`BlendedAttention`), and so is :class:`CoordAttention` after a norm without weight and bias.
            ``'none'``: attention starts from its own initial weights.
        **kwargs: Whatever ``BasicBlock`` takes.

    Raises:
        ValueError: ``ca_after`` or ``warm_start`` is something else, or ``attention`` is not a config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *args,
        ca_after: str | Sequence[str] = 'norm2',
        attention: dict = dict(type='CoordAttention'),
        warm_start: str = 'identity',
        **kwargs,
    ):
        super().__init__(in_channels, out_channels, *args, **kwargs)
        if warm_start not in WARM_STARTS:
            raise ValueError(f'warm_start={warm_start!r} of CBasicBlock: give one of {WARM_STARTS}')
        places = (ca_after,) if isinstance(ca_after, str) else ca_after
        if not isinstance(places, Sequence) or not places or any(place not in PLACES for place in places):
            raise ValueError(f"ca_after={ca_after!r} of CBasicBlock: give 'norm1', 'norm2' or both")
        if not isinstance(attention, Mapping) or 'type' not in attention:
            raise ValueError(f'attention={attention!r} of CBasicBlock: give a dict with a type')
        self.warm_start = warm_start
        self.attention_cfg = dict(attention)
        self.ca = nn.ModuleDict({place: self.build_attention(place) for place in PLACES if place in places})

    def build_attention(self, place: str) -> nn.Module:
        """Builds the attention module for ``'norm1'`` or ``'norm2'``, at its initial weights."""
        channels = self.mid_channels if place == 'norm1' else self.out_channels
        # A name is one of MMPose's registry, whichever package's default scope the network is built in.
        cfg = dict(dict(_scope_='mmpose') | self.attention_cfg, channels=channels)
        kind = MODELS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
        if kind is CoordAttention:
            cfg.setdefault('norm_cfg', self.norm_cfg)
        attention = MODELS.build(cfg)
        norm = getattr(self, place)
        is_affine = all(getattr(norm, name, None) is not None for name in ('weight', 'bias'))
        if self.warm_start == 'none' or (type(attention) is CoordAttention and is_affine):
            return attention
        return BlendedAttention(attention, channels)

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
