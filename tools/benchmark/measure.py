"""Time, memory and calls of functions that are to be compared."""

import itertools
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.benchmark import Timer

MIN_SECONDS = 0.05  # of one measurement, so that the clock does not matter


def time_side_by_side(
    functions: Mapping[str, Callable[[], object]], rounds: int, on_round: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """Times functions in turns, so that whatever else the machine does falls on all of them.

    Args:
        functions (Mapping[str, Callable]): What to time.
        rounds (int): Measurements of each. The order is reversed from round to round.
        on_round (Callable): Called after each round.

    Returns:
        dict[str, list[float]]: Seconds of a call, for each function and round.
    """
    timers, repeats = {}, {}
    for name, function in functions.items():
        function()  # compiles, and fills caches
        timers[name] = Timer('function()', globals=dict(function=function), num_threads=torch.get_num_threads())
        repeats[name] = max(1, math.ceil(MIN_SECONDS / timers[name].timeit(2).median))
    seconds = {name: [] for name in functions}
    for order in itertools.islice(itertools.cycle([list(functions), list(functions)[::-1]]), rounds):
        for name in order:
            seconds[name].append(timers[name].timeit(repeats[name]).median)
        on_round()
    return seconds


def measure_saved_bytes(module: nn.Module, forward: Callable[[], object]) -> int:
    """Counts the bytes of activations that a forward pass keeps for backward, shared storages once.

    Args:
        module (nn.Module): Whose parameters and buffers are not counted.
        forward (Callable): Runs it.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in itertools.chain(module.parameters(), module.buffers())}
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = forward()  # noqa: F841, which keeps the graph, and so every storage, until it is counted
    return sum(storage.nbytes() for pointer, storage in kept.items() if pointer not in own)


class _KernelCounter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += not function.is_view
        return function(*args, **(kwargs or {}))


def count_kernels(function: Callable[[], object], device: str = 'cpu') -> int:
    """Counts the kernels that a call launches on CUDA, or on the CPU the ATen operators it calls, views left out."""
    if device == 'cuda':
        with profile(activities=[ProfilerActivity.CUDA]) as record:
            function()
            torch.cuda.synchronize()
        # The others are what the host calls to launch them.
        return sum(event.device_type == DeviceType.CUDA for event in record.events())
    with _KernelCounter() as counter:
        function()
    return counter.calls


def measure_peak_memory(function: Callable[[], object], device: str = 'cpu') -> int:
    """Measures how many bytes of tensors a call holds on a device at most, beyond those that were there before."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        function()
    changes = sorted((event.time_range.start, event.self_cpu_memory_usage) for event in record.events())
    return max(itertools.accumulate((change for _, change in changes), initial=0))
