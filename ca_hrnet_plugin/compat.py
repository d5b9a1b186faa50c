"""The only place that knows about versions of torch, mmcv and mmengine.

Each function here mends one thing, and does nothing where it is not needed.
"""

import contextlib
import importlib.util
import sys
import types
from collections.abc import Iterator

import mmengine
import numpy as np
import torch
from mmengine.logging import HistoryBuffer


@contextlib.contextmanager
def mmcv_ops_stand_in() -> Iterator[None]:
    """Lets ``mmpose.models`` be imported beside mmcv-lite, which has no compiled ``mmcv._ext``.

    MMPose imports heads that need mmcv's compiled ops, and no heatmap model does. The stand-in is there within the
    context only, or mmcv would take itself for the full one afterwards. Ops made from it raise when called.
    """
    if importlib.util.find_spec('mmcv._ext') is not None:
        yield
        return

    def missing_op(name: str):
        if name.startswith('__'):  # what Python itself asks of a module
            raise AttributeError(name)

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


def _statistic_of_history_buffer(owner: type, name: str):
    """Stands in for ``builtins.getattr`` in a checkpoint, and gives what a HistoryBuffer refers to, nothing more."""
    if owner is HistoryBuffer and name in HistoryBuffer._statistics_methods:
        return HistoryBuffer._statistics_methods[name]
    raise AttributeError(f'checkpoint refused: it asks for {name!r} of {owner!r}')


def allow_mmengine_checkpoints() -> None:
    """Lets ``torch.load(weights_only=True)`` read what MMEngine writes beside the weights, and nothing else.

    From torch 2.6 on that is how checkpoints are loaded unless a caller says otherwise, and it refuses the log history
    (HistoryBuffer, NumPy arrays and scalars) of every MMEngine checkpoint. Whatever else a checkpoint names is still
    refused, before any of it runs.
    """
    if mmengine.utils.digit_version(torch.__version__) < mmengine.utils.digit_version('2.6'):
        return
    HistoryBuffer()  # fills its table of statistics
    multiarray = np.arange(1).__reduce__()[0].__module__  # numpy.core.multiarray or, from NumPy 2 on, numpy._core's
    multiarray = sys.modules[multiarray]
    dtypes = {type(np.dtype(code)) for code in np.typecodes['AllInteger'] + np.typecodes['AllFloat'] + '?USO'}
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_statistic_of_history_buffer, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *dtypes,
            # Checkpoints name these by where they lived in the NumPy that wrote them, whichever reads them.
            *(
                (getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
                for core in ('core', '_core')
                for name in ('_reconstruct', 'scalar')
            ),
        ]
    )
