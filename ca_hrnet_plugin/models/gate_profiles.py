"""Gates that look at nothing: what of coordinate attention is a position prior."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class GateProfiles(nn.Module):
    """Multiplies each row and each column of a feature map by a weight per channel, which is learned and has no input.

    It is :class:`CoordAttention` whose gates are the same for every person: a control for what its gates see, and what
    :func:`ca_hrnet_plugin.deploy.freeze_gates` leaves of it. All weights start at 1, so that it starts as identity; a
    :class:`CBasicBlock` that holds it needs ``warm_start='none'``.

    Args:
        channels (int): Channels of the input and of the output.
        map_size (Sequence[int]): Height and width of the feature map of HRNet's finest branch, for one input size.
        base_channels (int): Channels of that branch. Those that are coarser have as many times more.
    """

    def __init__(self, channels: int, map_size: Sequence[int], base_channels: int):
        super().__init__()
        height, width = (side * base_channels // channels for side in map_size)
        self.rows = nn.Parameter(torch.ones(channels, height, 1))
        self.columns = nn.Parameter(torch.ones(channels, 1, width))

    @classmethod
    def of(cls, rows: Tensor, columns: Tensor) -> 'GateProfiles':
        """The gates (C, H, 1) of rows and (C, 1, W) of columns."""
        profiles = cls(len(rows), (rows.shape[1], columns.shape[2]), len(rows))
        profiles.rows, profiles.columns = nn.Parameter(rows.clone()), nn.Parameter(columns.clone())
        return profiles

    def forward(self, x: Tensor) -> Tensor:
        """Gates a feature map (N, C, H, W), and keeps its shape."""
        return x * (self.rows * self.columns)
