"""Means and standard deviations of a network's gates over people."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..models.gates import recorded_gates


class GateStatistics(NamedTuple):
    """The mean gates of a module, and standard deviations of the product of row gate and column gate.

    Attributes:
        rows (Tensor): The mean gate of each row, (C, H, 1).
        columns (Tensor): The mean gate of each column, (C, 1, W).
        over_people (float): The deviation over people, averaged over channels and positions.
        over_positions (float): The deviation over positions, averaged over people and channels.
        over_channels (float): The deviation over channels, averaged over people and positions.
    """

    rows: Tensor
    columns: Tensor
    over_people: float
    over_positions: float
    over_channels: float

    def channel_factors(self) -> Tensor:
        """The mean factor of each channel, (C,)."""
        return (self.rows.mean(1) * self.columns.mean(2))[:, 0]


@torch.no_grad()
def gate_statistics(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, GateStatistics]:
    """Computes the statistics of each CoordAttention, by its name in the network.

    Args:
        network (nn.Module): In eval mode.
        batches (Iterable[Tensor]): Inputs of the network: for a backbone, normalised crops (N, 3, H, W).

    Raises:
        ValueError: The network has no CoordAttention.
    """
    num_people, totals = 0, {}
    with recorded_gates(network) as gates:
        for crops in batches:
            network(crops)
            num_people += len(crops)
            for name, pair in gates.items():
                rows, columns = (gate.double() for gate in pair)
                product = rows * columns
                parts = (
                    rows.sum(0),
                    columns.sum(0),
                    product.sum(0),
                    product.square().sum(0),
                    product.flatten(2).std(2, correction=0).mean(1).sum(),
                    product.std(1, correction=0).mean((1, 2)).sum(),
                )
                before = totals.get(name, [0] * len(parts))
                totals[name] = [old + new for old, new in zip(before, parts, strict=True)]
    statistics = {}
    for name, sums in totals.items():
        rows, columns, mean, mean_square, over_positions, over_channels = (total / num_people for total in sums)
        over_people = (mean_square - mean.square()).clamp(min=0).sqrt().mean()
        deviations = (float(deviation) for deviation in (over_people, over_positions, over_channels))
        statistics[name] = GateStatistics(rows, columns, *deviations)
    return statistics
