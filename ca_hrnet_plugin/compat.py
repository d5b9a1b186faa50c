"""The only place that knows about versions of Python, torch and mmcv.

Each function here handles one difference between versions, and changes nothing where it is not needed.
"""

import contextlib
import importlib.util
import inspect
import logging
import sys
import types
from collections.abc import Iterator

import torch
from mmengine.logging import print_log
from mmengine.utils import digit_version

# Older versions of torch.serialization.add_safe_globals do not accept (stand-in, name) pairs.
can_allow_globals_by_name = digit_version(torch.__version__) >= digit_version('2.6')


def add_note(error: Exception, note: str) -> None:
    """Adds a line below an error's traceback. Python 3.10 has no such notes, so the line is logged there."""
    if hasattr(error, 'add_note'):
        error.add_note(note)
    else:
        print_log(note, 'current', logging.ERROR)


def onnx_export_options(input_name: str, any_batch: bool) -> dict:
    """Arguments of ``torch.onnx.export`` for the exporter based on ``torch.export`` or, in older torch, on tracing."""
    if 'external_data' not in inspect.signature(torch.onnx.export).parameters:
        return dict(dynamic_axes={input_name: {0: 'batch'}} if any_batch else None)
    dynamic_shapes = {input_name: {0: torch.export.Dim('batch')}} if any_batch else None
    # The oldest opset that this exporter writes, because runtimes lag behind.
    return dict(dynamo=True, opset_version=18, external_data=False, dynamic_shapes=dynamic_shapes)


@contextlib.contextmanager
def mmcv_ops_stand_in() -> Iterator[None]:
    """Lets ``mmpose.models`` be imported beside mmcv-lite, which has no compiled ``mmcv._ext``.

    MMPose imports heads that need mmcv's compiled ops, although heatmap models do not. The stand-in exists only within
    the context, because mmcv would later mistake it for the full version. Ops made from it raise when called.
    """
    if importlib.util.find_spec('mmcv._ext') is not None:
        yield
        return

    def missing_op(name: str):
        if name.startswith('__'):  # attributes that Python itself looks up on a module
            raise AttributeError(name)
        if name in ('get_compiler_version', 'get_compiling_cuda_version'):  # for mmcv.utils.collect_env
            return lambda: 'n/a'

        def raise_missing(*args, **kwargs):
            raise NotImplementedError(f'mmcv op {name} is compiled code, and mmcv-lite has none: install the full mmcv')

        return raise_missing

    stand_in = types.ModuleType('mmcv._ext')
    stand_in.__getattr__ = missing_op
    sys.modules['mmcv._ext'] = stand_in
    try:
        yield
    finally:
        del sys.modules['mmcv._ext']
