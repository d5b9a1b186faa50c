"""Measures the memory and kernels of functions to compare them."""

import itertools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode


def measure_saved_bytes(module: nn.Module, forward: Callable[[], object]) -> int:
    """Counts the bytes of a forward pass's saved activations, shared storages once.

    Args:
        module (nn.Module): The module that runs. Its parameters and buffers are not counted.
        forward (Callable): Runs the forward pass.
    """
    own = {tensor.untyped_storage().data_ptr() for tensor in itertools.chain(module.parameters(), module.buffers())}
    saved = {}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        result = forward()  # noqa: F841  keeps the graph, and thus every storage, until it is counted
    return sum(storage.nbytes() for pointer, storage in saved.items() if pointer not in own)


class _KernelCounter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls += not function.is_view
        return function(*args, **(kwargs or {}))


def count_kernels(function: Callable[[], object], device: str = 'cpu') -> int:
    """Counts the kernels that a call launches on CUDA or, on the CPU, its ATen operators other than views."""
    if device == 'cuda':
        with profile(activities=[ProfilerActivity.CUDA]) as record:
            function()
            torch.cuda.synchronize()
        # The other events are the host's calls that launch them.
        return sum(event.device_type == DeviceType.CUDA for event in record.events())
    with _KernelCounter() as counter:
        function()
    return counter.calls


def measure_peak_memory(function: Callable[[], object], device: str = 'cpu') -> int:
    """Measures the peak memory of a call on a device: bytes of tensors beyond those that existed before."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        function()
    # events() has only the sum of each operator, which hides the memory that it held temporarily.
    with tempfile.TemporaryDirectory() as folder:
        record.export_chrome_trace(f'{folder}/trace.json')
        trace = json.loads(Path(folder, 'trace.json').read_text())['traceEvents']
    changes = sorted((event['ts'], event['args']['Bytes']) for event in trace if event.get('name') == '[memory]')
    return max(itertools.accumulate((change for _, change in changes), initial=0))
