"""Coordinate attention, Hou et al., CVPR 2021 (https://arxiv.org/abs/2103.02907)."""

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule, constant_init, normal_init
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..compat import is_exporting
from .axis_means import axis_means
from .gated_product import gated_product

MIN_MID_CHANNELS = 8  # the floor of the official implementation


class _PointwiseConv(nn.Conv2d):
    """A 1x1 convolution of profiles, (N, C, L), as the matrix product that it is: much faster on so little."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        # A product would fix the batch size of an exported graph, and MMEngine's FLOP counter, which traces, misses it.
        if torch.jit.is_tracing() or is_exporting():
            return super().forward(x.unsqueeze(3)).squeeze(3)
        weight = self.weight.view(self.out_channels, self.in_channels)
        if x.stride(2) == 1:
            return torch.baddbmm(self.bias.unsqueeze(1), weight.expand(len(x), -1, -1), x)
        return torch.baddbmm(self.bias, x.mT, weight.mT.expand(len(x), -1, -1)).mT


@MODELS.register_module()
class CoordAttention(BaseModule):
    """Gates a feature map by what it holds along each of its two axes.

    The map is averaged over its width and over its height; both profiles pass one shared 1x1 convolution, a norm and
    hard-swish; then each has a 1x1 convolution and a sigmoid of its own. The two gates, one per row and one per
    column, multiply the input (section 3.1 and figure 2 of the CA-HRNet paper, equations 4 to 9 of Hou et al.).

    Computes the same function as the official ``CoordAtt`` (https://github.com/houqb/CoordAttention), and has the
    same parameter names under batch norm. ``timm.layers.CoordAttn`` is the same again at equal width and ``bias=True``.

    Args:
        channels (int): Channels of the input and of the output.
        reduction (int): The two profiles are squeezed to ``channels // reduction`` channels, but to 8 at least.
        norm_cfg (dict): Norm layer after the shared convolution.
        init_cfg (dict | list[dict], optional): Overrides the initial weights when ``init_weights`` is called. Without
            it they are those of HRNet's own layers (normal with std 0.001, biases 0, norm weights 1), set on
            construction, so that they hold under any ``init_cfg`` of the backbone; every gate then starts near 0.5.

    Raises:
        ValueError: ``channels`` or ``reduction`` is not a positive integer, or the squeezed channels do not divide into
            the groups of ``norm_cfg``.
    """

    def __init__(self, channels: int, reduction: int = 32, norm_cfg: dict = dict(type='BN'), init_cfg=None):
        super().__init__(init_cfg)
        for name, value in dict(channels=channels, reduction=reduction).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f'{name}={value!r} of CoordAttention: give a positive integer')
        mid_channels = max(MIN_MID_CHANNELS, channels // reduction)
        self.conv1 = _PointwiseConv(channels, mid_channels)
        try:
            self.norm1_name, norm1 = build_norm_layer(norm_cfg, mid_channels, postfix=1)
        except ValueError as error:
            raise ValueError(
                f'norm_cfg={dict(norm_cfg)} of CoordAttention, which norms {mid_channels} channels: {error}; give '
                "ca_cfg=dict(attention=dict(type='CoordAttention', norm_cfg=...)), a norm of its own"
            ) from error
        self.add_module(self.norm1_name, norm1)
        self.act = nn.Hardswish(inplace=True)
        self.conv_h = _PointwiseConv(mid_channels, channels)
        self.conv_w = _PointwiseConv(mid_channels, channels)

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
            tuple[Tensor, Tensor]: The gate of each row, (N, C, H, 1), and of each column, (N, C, 1, W), in (0, 1).
        """
        _, rows, columns = axis_means(x)
        return self._gates(rows, columns)

    def _gates(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        height = rows.shape[2]
        if rows.is_contiguous():
            profiles = torch.cat([rows, columns], dim=2)
        else:
            profiles = torch.cat([rows.mT, columns.mT], dim=1).mT
        # As a map of one row: of one column, batch norm's backward on the CPU would take one memory format for another.
        profiles = self.act(self.norm1(self.conv1(profiles).unsqueeze(2))).squeeze(2)
        gate_h = self.conv_h(profiles[..., :height]).sigmoid()
        gate_w = self.conv_w(profiles[..., height:]).sigmoid()
        return gate_h.unsqueeze(3), gate_w.unsqueeze(2)

    def forward(self, x: Tensor, norm: nn.Module | None = None, norm_input: Tensor | None = None) -> Tensor:
        """Attends to a feature map of any height and width.

        Args:
            x (Tensor): Feature map, (N, C, H, W).
            norm (nn.Module, optional): The norm layer whose output ``x`` is, if it is one's and nobody else needs it:
                saves memory in training, and in inference ``x`` is overwritten.
            norm_input (Tensor, optional): Its input.

        Returns:
            Tensor: The gated map, of the shape and dtype of ``x``.
        """
        x, rows, columns = axis_means(x)
        gates = self._gates(rows, columns)
        # A hook is to find the module's input as it was.
        overwrite = norm is not None and not (self._forward_hooks or self._forward_pre_hooks)
        return gated_product(x, *gates, norm, norm_input, overwrite)
