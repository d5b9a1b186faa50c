"""The attention modules of a network, and the gates of its coordinate attention: recorded, replaced, averaged."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .c_basic_block import CBasicBlock
from .coord_attention import CoordAttention


class GateStatistics(NamedTuple):
    """The gates of one module over people, and the standard deviations of their product.

    ``rows`` (C, H, 1) and ``columns`` (C, 1, W) are the means over people. ``over_people`` is how the product of both
    varies from person to person at one position of one channel, on average; the other two likewise.
    """

    rows: Tensor
    columns: Tensor
    over_people: float
    over_positions: float
    over_channels: float


def attention_places(network: nn.Module) -> dict[str, tuple[CBasicBlock, str]]:
    """Block and place of each attention module, by the module's name in the network."""
    return {
        f'{name}.ca.{place}': (block, place)
        for name, block in network.named_modules()
        if isinstance(block, CBasicBlock)
        for place in block.ca
    }


def coord_attention_modules(network: nn.Module) -> dict[str, CoordAttention]:
    """The CoordAttention modules by their names in the network.

    Raises:
        ValueError: The network has no CoordAttention.
    """
    modules = {name: block.ca[place] for name, (block, place) in attention_places(network).items()}
    modules = {name: module for name, module in modules.items() if isinstance(module, CoordAttention)}
    if not modules:
        raise ValueError('this network has no CoordAttention: give a config of CA-HRNet')
    return modules


@contextlib.contextmanager
def recorded_gates(network: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Yields a dict that holds the gates of each module in the last forward pass: (N, C, H, 1) and (N, C, 1, W)."""
    gates = {}

    def hook_of(name: str) -> Callable:
        def record(module: CoordAttention, arguments: tuple[Tensor]) -> None:
            gates[name] = module.gates(*arguments)

        return record

    modules = coord_attention_modules(network)
    hooks = [module.register_forward_pre_hook(hook_of(name)) for name, module in modules.items()]
    try:
        yield gates
    finally:
        for hook in hooks:
            hook.remove()


@contextlib.contextmanager
def replaced_gates(network: nn.Module, gates: dict[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Puts these gates, of any shape that broadcasts, in place of each module's own."""

    def hook_of(name: str) -> Callable:
        def replace(module: CoordAttention, arguments: tuple[Tensor], output: Tensor) -> Tensor:
            rows, columns = gates[name]
            return arguments[0] * rows * columns

        return replace

    modules = coord_attention_modules(network)
    hooks = [modules[name].register_forward_hook(hook_of(name)) for name in gates]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def gate_statistics(network: nn.Module, batches: Iterable[Tensor]) -> dict[str, GateStatistics]:
    """The statistics of each CoordAttention over people, given as batches of normalised crops (N, 3, H, W)."""
    sums, num_people = {}, 0
    was_training = network.training
    network.eval()
    with recorded_gates(network) as gates:
        for batch in batches:
            network(batch)
            num_people += len(batch)
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
                sums[name] = [old + new for old, new in zip(sums.get(name, [0] * len(parts)), parts, strict=True)]
    network.train(was_training)
    statistics = {}
    for name, parts in sums.items():
        rows, columns, products, squares, over_positions, over_channels = (part / num_people for part in parts)
        over_people = (squares - products.square()).clamp(min=0).sqrt().mean()
        statistics[name] = GateStatistics(
            rows, columns, float(over_people), float(over_positions), float(over_channels)
        )
    return statistics
