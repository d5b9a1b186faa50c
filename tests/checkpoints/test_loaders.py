import contextlib
import functools
import importlib
import itertools
import json
import os
import pickle
import re
import shutil
import struct
import sys
import threading
import urllib.error
from collections import OrderedDict, defaultdict, deque
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_loaders
from versions import since_torch

from ca_hrnet_plugin import restore_mmengine_loaders
from ca_hrnet_plugin.checkpoints import loaders, register_loaders

pytestmark = since_torch('2.6', 'before, torch.load runs anything')
RECONSTRUCT, SCALAR = np.zeros(1).__reduce__()[0], np.float64().__reduce__()[0]
SECRET = np.arange(4.0)


class Call:
    """Calls a function when it is unpickled, and sets the state of the result."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """Makes pickle call the function."""


def history(log, **state) -> HistoryBuffer:
    buffer = HistoryBuffer([1.0], [1])
    buffer.__dict__.update(_log_history=log, **state)
    return buffer


def address_of(array: np.ndarray, typestr: str) -> OrderedDict:
    """An object that NumPy mistakes for an array at a given address."""
    claims = OrderedDict(a=0)
    claims.__array_interface__ = dict(shape=(1,), typestr=typestr, data=(array.ctypes.data, True), version=3)
    return claims


def array(state: tuple) -> Call:
    return Call(RECONSTRUCT, np.ndarray, (0,), b'b', state=state)


def named_type(code: str) -> OrderedDict:
    """An object with an attribute ``dtype``, which torch lets a file set."""
    named = OrderedDict()
    named.dtype = code
    return named


def pointers() -> Call:
    """The type of objects without its flag: NumPy would mistake eight bytes of the file for a pointer."""
    return Call(np.dtype, 'O', False, True, state=(3, '|', None, None, None, 8, 8, 0))


ANNEALING = Call(getattr, OneCycleParamScheduler, '_annealing_cos')
NONE = struct.pack('P', id(None))
HOSTILE = {
    'a command': Call(os.system, 'touch ran'),
    'getattr of a module': Call(getattr, Call(__import__, 'os'), 'system'),
    'getattr of an allowed class': Call(getattr, HistoryBuffer, '__init__'),
    'getattr of a scheduler': Call(getattr, OneCycleParamScheduler, 'step'),
    'getattr of a statistic': Call(getattr, Call(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'getattr of a tensor': Call(getattr, torch.Tensor, 'numpy'),
    'getattr of a function': Call(getattr, ANNEALING, '__globals__'),
    'a call of a function': Call(ANNEALING, 0, 1, 0.5),
    'a scheduler': Call(OneCycleParamScheduler),
    'a pointer': Call(SCALAR, pointers(), NONE),
    'a set of a long range': Call(set, Call(range, 10**12)),
    'an array of objects': array((1, (1,), np.dtype('O'), False, [Call(os.system, 'touch ran')])),
    'an array of pointers': array((1, (1,), pointers(), False, NONE)),
    'a pointer by an attribute': Call(SCALAR, named_type('O'), NONE),
    'an object': Call(SCALAR, np.dtype('O'), NONE),
    'a negative shape': array((1, (-1, -8), np.dtype('u1'), False, bytes(8))),
    'more elements than bytes': array((1, (10**12,), np.dtype('u1'), False, bytes(8))),
    'an address as log': Call(HistoryBuffer, *2 * [address_of(SECRET, '<f8')]),
    'an address in a log': history(address_of(SECRET, '<f8')),
    'a call of a class': Call(np.float32, address_of(SECRET, '<f8')),
    'a default that is a function': Call(defaultdict, ANNEALING),
    'what stands in for a deque': Call(set, Call(deque)),
    'bytes of a number': Call(bytes, 10**13),
}


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


@contextlib.contextmanager
def refused(place, name: str, reason: str):
    message = f'checkpoint {re.escape(place)}/{name} .*{reason}.*: give '
    with pytest.raises(pickle.UnpicklingError, match=message) as refusal:
        yield
    assert '\n' not in str(refusal.value)
    assert 'weights_only' not in str(refusal.value), 'that would be advice to run it'
    assert refusal.value.__cause__ is not None


@pytest.mark.parametrize('hostile', HOSTILE)
def test_a_hostile_checkpoint_is_refused_and_does_not_run(hostile, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, zipped in (('zip.pth', True), ('legacy.pth', False)):
        torch.save(dict(state_dict={}, meta=HOSTILE[hostile]), tmp_path / name, _use_new_zipfile_serialization=zipped)
        with refused(str(tmp_path), name, '(names|cannot be read|is refused)'):
            load(tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == {'zip.pth', 'legacy.pth'}


def test_a_hostile_checkpoint_does_not_run_by_any_scheme(server, tmp_path, monkeypatch):
    listed = dict(hostile=f'{server}/hostile.pth', hostile_file='hostile.pth')
    (tmp_path / 'open_mmlab.json').write_text(json.dumps(listed))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    monkeypatch.setattr(mmengine_loaders, 'get_torchvision_models', lambda: listed)
    monkeypatch.setattr(mmengine_loaders, 'get_mmcls_models', lambda: listed)
    monkeypatch.chdir(tmp_path)
    addresses = {
        '': ['hostile.pth'],
        'http://': [f'{server}/hostile.pth'],
        'https://': [],  # has the loader of http
        'torchvision://': ['torchvision://hostile'],
        'modelzoo://': ['modelzoo://hostile'],
        'open-mmlab://': ['open-mmlab://hostile', 'open-mmlab://hostile_file'],
        'openmmlab://': ['openmmlab://hostile'],
        'mmcls://': ['mmcls://hostile'],
    }
    assert schemes_of(loaders) == addresses.keys() | loaders.ADDED_LOADERS.keys(), 'for these, see test_hub.py'
    assert CheckpointLoader._schemes['https://'] is CheckpointLoader._schemes['http://']
    for address in itertools.chain(*addresses.values()):
        torch.save(dict(state_dict={}, meta=Call(os.system, 'touch ran')), 'hostile.pth')
        with pytest.raises(pickle.UnpicklingError, match='system'):
            load(address)
        assert not Path('ran').exists(), address
        shutil.rmtree(torch.hub.get_dir(), ignore_errors=True)
        torch.save(dict(state_dict={'backbone.weight': torch.ones(1)}, meta=dict(config='')), 'hostile.pth')
        loaded = load(address)
        assert [float(weight) for weight in loaded['state_dict'].values()] == [1]
        assert 'config' not in loaded.get('meta', {}), address
        shutil.rmtree(torch.hub.get_dir(), ignore_errors=True)


@pytest.mark.parametrize('kept', [slice(0), slice(500), slice(-100), slice(1, None)])
def test_a_damaged_checkpoint_is_refused_in_one_line(kept, server, tmp_path):
    path = tmp_path / 'broken.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(99))), path)
    path.write_bytes(path.read_bytes()[kept])
    for place in (str(tmp_path), server):
        with refused(place, 'broken.pth', r'cannot be read \(.+\)'):
            load(f'{place}/broken.pth')


@pytest.fixture
def whole(tmp_path):
    """A checkpoint with a tensor, and after it a log, which needs stand-ins."""
    path = tmp_path / 'whole.pth'
    log = history(np.array([1.0, 3.0]), _count_history=np.ones(2))
    torch.save(dict(state_dict=dict(weight=torch.ones(2)), log=log), path)
    return path


@pytest.mark.parametrize('error', [OSError(5, 'Input/output error'), RuntimeError('no CUDA device')], ids=repr)
def test_errors_of_storage_and_device_keep_type_and_traceback(error, whole):
    def fails(storage, location):
        raise error

    allowed = set(torch.serialization.get_safe_globals())
    with pytest.raises(type(error)) as raised:
        CheckpointLoader.load_checkpoint(str(whole), map_location=fails)
    assert raised.value is error
    assert raised.traceback[-1].name == 'fails'
    assert set(torch.serialization.get_safe_globals()) == allowed


def test_errors_of_the_network_keep_their_type(server):
    with pytest.raises(urllib.error.HTTPError, match='404'):
        load(f'{server}/nowhere.pth')
    with pytest.raises(urllib.error.URLError, match='refused') as raised:
        load('http://127.0.0.1:1/nowhere.pth')
    if sys.version_info >= (3, 11):
        assert raised.value.__notes__[0].startswith('http://127.0.0.1:1/nowhere.pth was not downloaded')


# The entries with which other packages let torch.load read the same files.
RECIPE = [RECONSTRUCT, SCALAR, np.ndarray, np.dtype, type(np.dtype('f8')), type(np.dtype('i8')), HistoryBuffer, getattr]


@pytest.fixture
def allow_list():
    """Torch's, restored after the test."""
    before = torch.serialization.get_safe_globals()
    yield torch.serialization
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def test_entries_of_other_packages_change_nothing_and_stay_theirs(allow_list, whole):
    allow_list.add_safe_globals(RECIPE)
    before = set(allow_list.get_safe_globals())
    for load_it in (load, torch.load, load, torch.load):
        assert load_it(whole)['log'].mean() == 2
    assert set(allow_list.get_safe_globals()) == before
    for _ in range(5):
        # Rivals under our names, one more each time: torch's set then has another order.
        allow_list.add_safe_globals([(lambda *args: pytest.fail('not ours'), name) for name in loaders.STAND_INS])
        before = set(allow_list.get_safe_globals())
        assert load(whole)['log'].mean() == 2
        assert set(allow_list.get_safe_globals()) == before


def test_a_load_in_another_thread_waits_for_its_turn(whole):
    second = threading.Thread(target=load, args=(whole,))

    def while_first_loads(storage, location):
        second.start()
        second.join(0.2)
        assert second.is_alive()
        return storage

    assert CheckpointLoader.load_checkpoint(str(whole), map_location=while_first_loads)['log'].mean() == 2
    second.join()


def schemes_of(module) -> set[str]:
    return {prefix for prefix, loader in CheckpointLoader._schemes.items() if loader.__module__ == module.__name__}


def test_mmengines_own_loaders_can_be_restored_and_another_packages_stay(monkeypatch):
    @functools.wraps(mmengine_loaders.load_from_http)
    def theirs(filename, map_location=None):
        return {}

    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    register_loaders()
    importlib.reload(loaders)
    register_loaders()
    assert schemes_of(mmengine_loaders) == {'pavi://', r'(\S+\:)?s3://', r'(\S+\:)?petrel://'}
    restore_mmengine_loaders()
    assert schemes_of(loaders) == set()
    CheckpointLoader.register_scheme(['https://', 'hf://'], theirs, force=True)
    register_loaders()
    assert CheckpointLoader._schemes['https://'] is CheckpointLoader._schemes['hf://'] is theirs
    assert 'http://' in schemes_of(loaders)
    restore_mmengine_loaders()
    assert CheckpointLoader._schemes['https://'] is CheckpointLoader._schemes['hf://'] is theirs
