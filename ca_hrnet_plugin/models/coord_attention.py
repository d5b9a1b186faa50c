"""Coordinate attention, Hou et al., CVPR 2021 (https://arxiv.org/abs/2103.02907)."""

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, constant_init, normal_init
from mmpose.registry import MODELS
from torch import Tensor, nn

MIN_MID_CHANNELS = 8  # the floor of the official implementation


@MODELS.register_module()
class CoordAttention(BaseModule):
    """Gates a feature map by what it holds along each of its two axes.

    The map is averaged over its width and over its height. Both profiles pass through a shared 1x1 convolution, a norm
    and hard-swish. Then each passes through its own 1x1 convolution and sigmoid. The two gates, one per row and one per
    column, multiply the input (section 3.1 and figure 2 of the CA-HRNet paper, equations 4 to 9 of Hou et al.).

    Computes the same function as the official ``CoordAtt`` (https://github.com/houqb/CoordAttention), with the same
    parameter names under batch norm. So does timm's ``timm.layers.coord_attn.CoordAttn`` at equal width and
    ``bias=True``.

    Args:
        channels (int): Channels of the input and of the output.
        reduction (int): The two profiles are squeezed to ``channels // reduction`` channels, but to 8 at least.
        norm_cfg (dict): Norm layer after the shared convolution.
        init_cfg (dict | list[dict], optional): Overrides the initial weights when ``init_weights`` is called. Without
            it they are those of HRNet's own layers (normal with std 0.001, biases 0, norm weights 1), set on
            construction, so that they hold under any ``init_cfg`` of the backbone; every gate then starts near 0.5.
        in_channels (int, optional): Another name for ``channels``, by which ResNet builds it as a plugin of MMCV.

    Raises:
        ValueError: ``channels`` or ``reduction`` is not a positive integer, or the squeezed channels do not divide into
            the groups of ``norm_cfg``.
    """

    def __init__(
        self,
        channels: int | None = None,
        reduction: int = 32,
        norm_cfg: dict = dict(type='BN'),
        init_cfg: dict | list[dict] | None = None,
        in_channels: int | None = None,
    ):
        super().__init__(init_cfg)
        channels = in_channels if channels is None else channels
        for name, value in dict(channels=channels, reduction=reduction).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f'{name}={value!r} of CoordAttention: give a positive integer')
        mid_channels = max(MIN_MID_CHANNELS, channels // reduction)
        self.conv1 = nn.Conv2d(channels, mid_channels, kernel_size=1)
        try:
            self.norm1_name, norm1 = build_norm_layer(norm_cfg, mid_channels, postfix=1)
        except ValueError as error:
            raise ValueError(
                f'norm_cfg={dict(norm_cfg)} of CoordAttention, which norms {mid_channels} channels: {error}; give '
                "ca_cfg=dict(attention=dict(type='CoordAttention', norm_cfg=...)), a norm of its own"
            ) from error
        self.add_module(self.norm1_name, norm1)
        self.act = nn.Hardswish(inplace=True)
        self.conv_h = nn.Conv2d(mid_channels, channels, kernel_size=1)
        self.conv_w = nn.Conv2d(mid_channels, channels, kernel_size=1)

        for conv in (self.conv1, self.conv_h, self.conv_w):
            normal_init(conv, std=0.001)
        constant_init(self.norm1, 1)

    @property
    def norm1(self) -> nn.Module:
        """The norm layer after the shared convolution."""
        return getattr(self, self.norm1_name)

    def gates(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two gates for a feature map.

        Args:
            x (Tensor): Feature map, (N, C, H, W).

        Returns:
            tuple[Tensor, Tensor]: The gate of each row, (N, C, H, 1), and of each column, (N, C, 1, W), between
            0 and 1.
        """
        height, width = x.shape[2:]
        rows = x.mean(3, keepdim=True).transpose(2, 3)  # (N, C, 1, H)
        columns = x.mean(2, keepdim=True)  # (N, C, 1, W)
        profiles = self.act(self.norm1(self.conv1(torch.cat([rows, columns], dim=3))))
        rows, columns = profiles.split([height, width], dim=3)
        return self.conv_h(rows).sigmoid().transpose(2, 3), self.conv_w(columns).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Attends to a feature map (N, C, H, W) of any height and width, and keeps its shape and dtype."""
        gate_h, gate_w = self.gates(x)
        return x * gate_h * gate_w
