"""The attention of a network: where it is, what gates it gives, and other gates in their place."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from torch import Tensor, nn

from .c_basic_block import CBasicBlock
from .coord_attention import CoordAttention

Gates = tuple[Tensor, Tensor]  # of rows, (N, C, H, 1), and of columns, (N, C, 1, W)


def attention_blocks(network: nn.Module) -> dict[str, CBasicBlock]:
    """The blocks that attend, by name; ``block.ca`` has their attention modules by place."""
    return {name: block for name, block in network.named_modules() if isinstance(block, CBasicBlock)}


def coord_attention_modules(network: nn.Module) -> dict[str, CoordAttention]:
    """The :class:`CoordAttention` modules of a network, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, CoordAttention)}


@contextmanager
def recorded_gates(network: nn.Module) -> Iterator[dict[str, Gates]]:
    """Keeps the gates of each :class:`CoordAttention` by name, those of the last forward pass.

    Raises:
        ValueError: The network has no CoordAttention.
    """
    gates = {}

    def hook_of(name: str) -> Callable:
        def keep(module: CoordAttention, arguments: tuple[Tensor]) -> None:
            gates[name] = module.gates(*arguments)

        return keep

    with _hooks(network, 'register_forward_pre_hook', hook_of):
        yield gates


@contextmanager
def replaced_gates(network: nn.Module, gates: Mapping[str, Gates]) -> Iterator[None]:
    """Multiplies by other gates in the place of each module's own.

    Args:
        network (nn.Module): It has :class:`CoordAttention`.
        gates (Mapping[str, Gates]): For each module, by its name, the gates of rows (N, C, H, 1) and of columns
            (N, C, 1, W), or what broadcasts to them.

    Raises:
        ValueError: The network has no CoordAttention.
    """

    def hook_of(name: str) -> Callable:
        rows, columns = gates[name]
        return lambda module, arguments, output: arguments[0] * rows * columns

    with _hooks(network, 'register_forward_hook', hook_of):
        yield


@contextmanager
def _hooks(network: nn.Module, register: str, hook_of: Callable[[str], Callable]) -> Iterator[None]:
    modules = coord_attention_modules(network)
    if not modules:
        raise ValueError('this network has no CoordAttention: give a config of CA-HRNet')
    hooks = [getattr(module, register)(hook_of(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
