"""Rebuilds the objects that MMEngine pickles beside weights, from plain values only.

NumPy's own unpickling trusts the file: with an array whose type was changed to pointers, or an object that claims to be
an array at some address, its author chooses which memory is read. Unpicklers get these stand-ins instead.
"""

import pickle
import re
from collections.abc import Callable

import numpy as np
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler

# Booleans and numbers, the only types for which every bit pattern is a value.
_PLAIN_TYPE = re.compile(r'[biufc]\d{1,2}')


class PlainType:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        if not (isinstance(code, str) and _PLAIN_TYPE.fullmatch(code)):
            raise pickle.UnpicklingError(f'it has an array of type {code!r}')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple):
        self.dtype = self.dtype.newbyteorder(state[1])  # NumPy derives the rest from the code


class PlainArray(np.ndarray):
    """Stands in for ``numpy.ndarray``. Its content is set only once, because a tensor may share it afterwards."""

    def __new__(cls):
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple):
        version, shape, plain_type, is_fortran, data = state
        if self.size or type(data) is not bytes or type(plain_type) is not PlainType:
            raise pickle.UnpicklingError('it has an array without content of its own')
        super().__setstate__((version, shape, plain_type.dtype, is_fortran, data))

    def __reduce__(self):
        return np.asarray(self).__reduce__()


class PlainHistory(HistoryBuffer):
    """Stands in for MMEngine's ``HistoryBuffer``, and becomes a ``HistoryBuffer`` when its arrays are set.

    MMEngine's own would also load the statistics functions of all buffers from the pickle.
    """

    def __init__(self):
        pass

    def __setstate__(self, state: dict):
        log, counts = state['_log_history'], state['_count_history']
        if type(log) is not PlainArray or type(counts) is not PlainArray:
            raise pickle.UnpicklingError('it has a log history that is not an array')
        self.__class__ = HistoryBuffer
        self.__init__(log, counts, int(state['max_length']))


def _empty_array(*args) -> PlainArray:
    return PlainArray()


def _scalar(plain_type: PlainType, data: bytes) -> np.generic:
    if type(plain_type) is not PlainType or type(data) is not bytes:  # a file can set dtype on other objects
        raise pickle.UnpicklingError('it has a scalar that is not a number or boolean')
    return np.ndarray((), plain_type.dtype, data)[()]


def _no_bytes() -> bytes:
    return b''


class PlainOneCycle:
    """Stands in for MMEngine's ``OneCycleParamScheduler``, whose annealing function a checkpoint names."""

    def __new__(cls):
        raise pickle.UnpicklingError('it makes a scheduler')


def _function_of(owner: type, name: str) -> Callable:
    """Stands in for ``builtins.getattr``, with which a pickle names methods of a class."""
    if owner is PlainHistory and name in HistoryBuffer._statistics_methods:
        return HistoryBuffer._statistics_methods[name]
    if owner is PlainOneCycle and name in ('_annealing_cos', '_annealing_linear'):
        return getattr(OneCycleParamScheduler, name)
    raise pickle.UnpicklingError(f'it asks for {name!r} of {owner!r}')


HistoryBuffer()  # fills its table of statistics
# By the name in the pickle. NumPy 2 moved its core, and pickles have the module name of the NumPy that wrote them.
STAND_INS = {
    'numpy.dtype': PlainType,
    'numpy.ndarray': PlainArray,
    'builtins.bytes': _no_bytes,  # the content of an empty array
    **{f'numpy.{core}.multiarray._reconstruct': _empty_array for core in ('core', '_core')},
    **{f'numpy.{core}.multiarray.scalar': _scalar for core in ('core', '_core')},
    f'{HistoryBuffer.__module__}.{HistoryBuffer.__qualname__}': PlainHistory,
    f'{OneCycleParamScheduler.__module__}.{OneCycleParamScheduler.__qualname__}': PlainOneCycle,
    'builtins.getattr': _function_of,
}
