"""Rebuilds the objects that MMEngine pickles beside weights, from plain values only.

NumPy's own unpickling trusts the file: with an array whose type was changed to pointers, or an object that claims to be
an array at some address, its author chooses which memory is read. Unpicklers get these stand-ins instead.
"""

import datetime
import itertools
import pickle
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler

# Booleans and numbers, the only types for which every bit pattern is a value.
_PLAIN_TYPE = re.compile(r'[biufc]\d{1,2}')
LONGEST_RANGE = 10**6


class PlainType:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str, align: bool = False, copy: bool = False):
        if not (isinstance(code, str) and _PLAIN_TYPE.fullmatch(code)):
            raise pickle.UnpicklingError(f'it has values of type {code!r}')
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
        self.__init__(np.asarray(log), np.asarray(counts), int(state['max_length']))


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


def _plain_dict(content: dict) -> dict:
    """Stands in for MMEngine's ``ConfigDict``, as in the metainfo of a config."""
    return dict(content)


def _frozen_set(items: list) -> frozenset:
    if type(items) is not list:
        raise pickle.UnpicklingError('it has a frozenset that is not made of a list')
    return frozenset(items)


def _range(*numbers: int) -> range:
    value = range(*numbers)
    if len(value) > LONGEST_RANGE:  # a file could make a set of it
        raise pickle.UnpicklingError(f'it has a range of {len(value)} numbers')
    return value


def _maker(kind: type) -> Callable:
    """Stands in for a type whose values run nothing and hold little, in a form that no file can change."""

    def make(*parts):
        return kind(*parts)

    return make


class PlainClass:
    """Stands in for a class that is itself a value. No file can call it."""

    def __init__(self, kind: type):
        self.kind = kind


class _Mark:
    """The first entry of what stands in for a container that torch cannot fill. No file can name it."""

    def __init__(self, empty: deque | defaultdict):
        self.empty = empty


def _default_dict(factory=None) -> OrderedDict:
    kind = factory.kind if type(factory) is PlainClass else factory
    if not any(kind is allowed for allowed in FACTORIES):
        raise pickle.UnpicklingError(f'it has a defaultdict of {kind!r}')
    return OrderedDict({_Mark(defaultdict(kind)): None})


def _deque(items: tuple = (), maxlen: int | None = None) -> list:
    if items != ():
        raise pickle.UnpicklingError('it has a deque that is not filled one by one')
    return [_Mark(deque(maxlen=maxlen))]


def with_values(value, done: dict | None = None):
    """What a checkpoint holds, with the values of the stand-ins in their places.

    Args:
        value: What the unpickler returned; its containers are changed in place.
        done (dict, optional): The value that replaces each object already seen, by the id of the object.

    Raises:
        pickle.UnpicklingError: A stand-in is itself a value: the checkpoint holds a class or a function.
    """
    done = {} if done is None else done
    if type(value) is PlainClass:
        return value.kind
    if id(value) in done:
        return done[id(value)]
    done[id(value)] = value
    if type(value) is _Mark or any(value is stand_in for stand_in in STAND_INS.values()):
        raise pickle.UnpicklingError('it holds a class or a function as a value')
    if isinstance(value, OrderedDict | torch.Tensor):
        for name, attribute in vars(value).items():
            vars(value)[name] = with_values(attribute, done)
    if type(value) is PlainType:
        done[id(value)] = value.dtype
    elif type(value) is PlainArray:
        done[id(value)] = np.asarray(value)
    elif type(value) in (list, OrderedDict) and type(first := next(iter(value), None)) is _Mark:
        done[id(value)] = filled = first.empty
        for entry in itertools.islice(value, 1, None):
            if type(value) is list:
                filled.append(with_values(entry, done))
            else:
                filled[with_values(entry, done)] = with_values(value[entry], done)
    elif type(value) in (dict, OrderedDict, Counter):
        items = [(with_values(key, done), with_values(item, done)) for key, item in value.items()]
        value.clear()
        for key, item in items:
            value[key] = item
    elif type(value) is list:
        value[:] = [with_values(item, done) for item in value]
    elif type(value) in (tuple, set, frozenset):
        done[id(value)] = type(value)(with_values(item, done) for item in value)
    return done[id(value)]


PLAIN_CLASSES = (bool, int, float, str, list, tuple, dict)
FACTORIES = (None, *PLAIN_CLASSES, set, OrderedDict, Counter)
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
    f'{ConfigDict.__module__}.{ConfigDict.__qualname__}': _plain_dict,
    **{f'builtins.{kind.__name__}': PlainClass(kind) for kind in PLAIN_CLASSES},
    **{
        f'numpy.{kind.__name__}': PlainClass(kind)
        for kind in set(np.sctypeDict.values())
        if issubclass(kind, np.number | np.bool_)
    },
    **{f'numpy.{name}': PlainClass(np.bool_) for name in ('bool', 'bool_')},  # of NumPy 2 and 1
    'collections.defaultdict': _default_dict,
    'collections.deque': _deque,
    'builtins.frozenset': _frozen_set,
    'builtins.range': _range,
    'builtins.slice': _maker(slice),
    **{f'{module}.PosixPath': _maker(Path) for module in ('pathlib', 'pathlib._local')},
    **{f'{module}.PurePosixPath': _maker(PurePosixPath) for module in ('pathlib', 'pathlib._local')},
    'datetime.date': _maker(datetime.date),
    'datetime.datetime': _maker(datetime.datetime),
    'datetime.time': _maker(datetime.time),
    'datetime.timedelta': _maker(datetime.timedelta),
    'datetime.timezone': _maker(datetime.timezone),
}
