"""Convolutional block attention, Woo et al., ECCV 2018 (https://arxiv.org/abs/1807.06521)."""

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn


class CBAM(BaseModule):
    """Gates the channels of a feature map, and then its pixels, for a comparison with :class:`CoordAttention`.

    The channel gate is the sigmoid of one two-layer perceptron of the average and of the maximum over all pixels,
    summed (equation 2 of Woo et al.); the spatial gate that of one convolution of the average and of the maximum over
    all channels (equation 3). As in the equations there are no biases, and no norm, which the authors' own code has
    after the convolution.

    Args:
        channels (int): Channels of the input and of the output.
        reduction (int): The perceptron has ``channels // reduction`` hidden channels, but 1 at least.
        kernel_size (int): Of the spatial gate's convolution, odd.
        init_cfg (dict | list[dict], optional): Overrides torch's own initial weights when ``init_weights`` is called.

    Raises:
        ValueError: ``reduction`` is not a positive integer.
    """

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7, init_cfg=None):
        super().__init__(init_cfg)
        if not isinstance(reduction, int) or reduction < 1:
            raise ValueError(f'reduction={reduction!r} of CBAM: give a positive integer')
        mid_channels = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, mid_channels, kernel_size=1, bias=False)
        self.fc2 = nn.Conv2d(mid_channels, channels, kernel_size=1, bias=False)
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Attends to a feature map (N, C, H, W), and keeps its shape."""
        average, maximum = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
        x = x * (self.fc2(self.fc1(average).relu()) + self.fc2(self.fc1(maximum).relu())).sigmoid()
        profiles = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return x * self.conv(profiles).sigmoid()
