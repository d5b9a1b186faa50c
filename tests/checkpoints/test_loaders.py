import contextlib
import datetime
import functools
import http.client
import importlib
import itertools
import json
import operator
import os
import pickle
import shutil
import struct
import subprocess
import sys
import threading
import types
import urllib.error
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
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
    """Calls a function when it is unpickled, and sets the state of what that gave."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """Lets pickle take it for a function to call."""


def history(log, **state) -> HistoryBuffer:
    buffer = HistoryBuffer([1.0], [1])
    buffer.__dict__.update(_log_history=log, **state)
    return buffer


def address_of(array: np.ndarray, typestr: str) -> OrderedDict:
    """An object that NumPy takes for an array at an address of its choosing."""
    claims = OrderedDict(a=0)
    claims.__array_interface__ = dict(shape=(1,), typestr=typestr, data=(array.ctypes.data, True), version=3)
    return claims


def array(state: tuple) -> Call:
    return Call(RECONSTRUCT, np.ndarray, (0,), b'b', state=state)


def named_type(code: str) -> OrderedDict:
    """An object that has a type by an attribute, which torch lets a file set."""
    named = OrderedDict()
    named.dtype = code
    return named


def pointers() -> Call:
    """Type object with the flag that says so taken away: NumPy would take eight bytes of the file for a pointer."""
    return Call(np.dtype, 'O', False, True, state=(3, '|', None, None, None, 8, 8, 0))


def annealing() -> Call:
    return Call(getattr, OneCycleParamScheduler, '_annealing_cos')


NONE = struct.pack('P', id(None))
HOSTILE = {
    'os.system': lambda command: Call(os.system, command),
    'posix': lambda command: Call(os.execl, '/bin/sh', 'sh', '-c', command),
    'Popen': lambda command: Call(subprocess.Popen, ['sh', '-c', command]),
    'eval': lambda command: Call(eval, f'__import__("os").system({command!r})'),
    'exec': lambda command: Call(exec, f'import os; os.system({command!r})'),
    'open': lambda command: Call(open, command.split()[-1], 'w'),
    'rmtree': lambda command: Call(shutil.rmtree, str(Path(command.split()[-1]).parent)),
    '__import__': lambda command: Call(__import__, 'os'),
    'import_module': lambda command: Call(importlib.import_module, 'os'),
    'getattr of a module': lambda command: Call(getattr, Call(__import__, 'os'), 'system'),
    'getattr of an allowed class': lambda command: Call(getattr, HistoryBuffer, '__init__'),
    'getattr of its statistic': lambda command: Call(getattr, Call(getattr, HistoryBuffer, 'mean'), '__globals__'),
    'getattr of a scheduler': lambda command: Call(getattr, OneCycleParamScheduler, 'step'),
    'getattr of its function': lambda command: Call(getattr, annealing(), '__globals__'),
    'a call of its function': lambda command: Call(annealing(), 0, 1, 0.5),
    'a scheduler': lambda command: Call(OneCycleParamScheduler),
    'getattr of a tensor': lambda command: Call(getattr, torch.Tensor, 'numpy'),
    'attrgetter': lambda command: Call(operator.attrgetter('__class__.__base__'), torch.ones(1)),
    'methodcaller': lambda command: Call(operator.methodcaller('system', command), Call(__import__, 'os')),
    'partial': lambda command: Call(functools.partial(os.system, command)),
    'pickle in pickle': lambda command: Call(pickle.loads, pickle.dumps(Call(os.system, command))),
    'torch.load': lambda command: Call(torch.load, command.split()[-1]),
    'torch.storage': lambda command: Call(torch.storage._load_from_bytes, pickle.dumps(Call(os.system, command))),
    'torch.hub': lambda command: Call(torch.hub.load, str(Path(command.split()[-1]).parent), 'x', 'local'),
    'torch.jit': lambda command: Call(torch.jit.load, command.split()[-1]),
    'a config that runs': lambda command: Call(Config.fromstring, f'__import__("os").system({command!r})', '.py'),
    'an array of objects': lambda command: array((1, (1,), np.dtype('O'), False, [Call(os.system, command)])),
    'an array of pointers': lambda command: array((1, (1,), pointers(), False, NONE)),
    'a pointer': lambda command: Call(SCALAR, pointers(), NONE),
    'a pointer by an attribute': lambda command: Call(SCALAR, named_type('O'), NONE),
    'an object': lambda command: Call(SCALAR, np.dtype('O'), NONE),
    'an array over another': lambda command: Call(np.ndarray, (1,), 'O', bytearray(NONE)),
    'an array of a huge shape': lambda command: Call(np.ndarray, (10**13,), 'u1'),
    'a negative shape': lambda command: array((1, (-1, -8), np.dtype('u1'), False, bytes(8))),
    'more elements than bytes': lambda command: array((1, (10**12,), np.dtype('u1'), False, bytes(8))),
    'an address as log': lambda command: Call(HistoryBuffer, *2 * [address_of(SECRET, '<f8')]),
    'an address in a log': lambda command: history(address_of(SECRET, '<f8')),
    'a log that is a list': lambda command: history([1.0]),
    'bytes of a number': lambda command: Call(bytes, 10**13),
}


@pytest.fixture(params=HOSTILE)
def hostile(tmp_path, request):
    return HOSTILE[request.param](f'touch {tmp_path}/ran')


@pytest.fixture(params=['disk', 'http'])
def place(request, tmp_path):
    """Where the files in tmp_path are loaded from."""
    return str(tmp_path) if request.param == 'disk' else request.getfixturevalue('server')


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), map_location='cpu')


@contextlib.contextmanager
def refused(place, name: str, why: str):
    with pytest.raises(pickle.UnpicklingError, match=f'checkpoint {place}/{name} .*{why}.*: give ') as refusal:
        yield
    assert '\n' not in str(refusal.value)
    assert 'weights_only' not in str(refusal.value), 'that would be advice to run it'
    assert refusal.value.__cause__ is not None


@pytest.mark.parametrize('zipped', [True, False])
def test_a_hostile_checkpoint_is_refused_and_does_not_run(hostile, zipped, place, tmp_path):
    content = dict(state_dict={}, meta=hostile)
    torch.save(content, tmp_path / 'hostile.pth', _use_new_zipfile_serialization=zipped)
    with refused(place, 'hostile.pth', '(names|cannot be read)'):
        load(f'{place}/hostile.pth')
    assert [file.name for file in tmp_path.iterdir()] == ['hostile.pth']


@pytest.fixture
def addresses(tmp_path, server, monkeypatch):
    """By each scheme that MMEngine has, where hostile.pth is."""
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path))
    listed = dict(hostile=f'{server}/hostile.pth', hostile_file='hostile.pth')
    (tmp_path / 'open_mmlab.json').write_text(json.dumps(listed))
    monkeypatch.setattr(mmengine_loaders, 'get_torchvision_models', lambda: listed)
    monkeypatch.setattr(mmengine_loaders, 'get_mmcls_models', lambda: listed)
    path = tmp_path / 'hostile.pth'
    bucket = types.SimpleNamespace(Get=lambda name: path.read_bytes())
    model = types.SimpleNamespace(name='hostile.pth', download=lambda target: shutil.copy(path, target))
    for name, module in dict(
        petrel_client=dict(client=types.SimpleNamespace(Client=lambda **kwargs: bucket)),
        pavi=dict(modelcloud=types.SimpleNamespace(get=lambda name: model)),
    ).items():
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(**module))
    return {
        '': [str(path)],
        'http://': [f'{server}/hostile.pth'],
        'https://': [],  # shown by its loader, the one of http
        'torchvision://': ['torchvision://hostile'],
        'modelzoo://': ['modelzoo://hostile'],
        'open-mmlab://': ['open-mmlab://hostile', 'open-mmlab://hostile_file'],
        'openmmlab://': ['openmmlab://hostile'],
        'mmcls://': ['mmcls://hostile'],
        'pavi://': ['pavi://hostile'],
        r'(\S+\:)?s3://': ['s3://bucket/hostile.pth', 'cluster:s3://bucket/hostile.pth'],
        r'(\S+\:)?petrel://': ['petrel://bucket/hostile.pth'],
    }


def test_a_hostile_checkpoint_does_not_run_whichever_scheme_it_comes_by(addresses, tmp_path):
    assert addresses.keys() == CheckpointLoader._schemes.keys()
    assert CheckpointLoader._schemes['https://'] is CheckpointLoader._schemes['http://']
    path = tmp_path / 'hostile.pth'
    for address in itertools.chain(*addresses.values()):
        torch.save(dict(state_dict={}, meta=Call(os.system, f'touch {tmp_path}/ran')), path)
        with pytest.raises(pickle.UnpicklingError, match='system'):
            load(address)
        assert not (tmp_path / 'ran').exists(), address
        shutil.rmtree(torch.hub.get_dir(), ignore_errors=True)
        torch.save(dict(state_dict={'backbone.weight': torch.ones(1)}, meta=dict(config='')), path)
        loaded = load(address)
        assert [float(weight) for weight in loaded['state_dict'].values()] == [1]
        assert 'config' not in loaded.get('meta', {}), address
        shutil.rmtree(torch.hub.get_dir(), ignore_errors=True)


@pytest.mark.parametrize('kept', [slice(0), slice(500), slice(-100), slice(1, None)])
def test_a_damaged_checkpoint_is_refused_in_one_line(kept, place, tmp_path):
    path = tmp_path / 'broken.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(99))), path)
    path.write_bytes(path.read_bytes()[kept])
    with refused(place, 'broken.pth', r'cannot be read \(.+\)'):
        load(f'{place}/broken.pth')


@pytest.fixture
def whole(tmp_path):
    """A checkpoint with a tensor, and after it what a stand-in is needed for."""
    path = tmp_path / 'whole.pth'
    log = history(np.array([1.0, 3.0]), _count_history=np.ones(2))
    torch.save(dict(state_dict=dict(weight=torch.ones(2)), log=log), path)
    return path


@pytest.mark.parametrize(
    'error',
    [
        OSError(5, 'Input/output error'),
        MemoryError(),
        torch.cuda.OutOfMemoryError('CUDA out of memory'),
        RuntimeError('Attempting to deserialize object on a CUDA device'),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_errors_of_storage_memory_and_device_keep_type_and_traceback(error, whole):
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
    with pytest.raises(urllib.error.URLError, match='refused'):
        load('http://127.0.0.1:1/nowhere.pth')
    with pytest.raises(http.client.InvalidURL):
        load('http://a b/nowhere.pth')


def load_from_nowhere(rank, folder):
    torch.distributed.init_process_group(
        'gloo', f'file://{folder}/rendezvous', rank=rank, world_size=2, timeout=datetime.timedelta(seconds=30)
    )
    with pytest.raises(urllib.error.URLError):
        load('http://127.0.0.1:1/nowhere.pth')
    arrived = torch.ones(1)
    torch.distributed.all_reduce(arrived)
    assert arrived == 2
    torch.distributed.destroy_process_group()


def test_a_download_that_fails_does_not_leave_the_other_processes_waiting(tmp_path):
    torch.multiprocessing.spawn(load_from_nowhere, (tmp_path,), nprocs=2)


# What other packages allow, to read the same files with torch.load.
RECIPE = [RECONSTRUCT, SCALAR, np.ndarray, np.dtype, type(np.dtype('f8')), type(np.dtype('i8')), HistoryBuffer, getattr]


@pytest.fixture
def allow_list():
    """Of torch, put back after the test."""
    before = torch.serialization.get_safe_globals()
    yield torch.serialization
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


def test_what_others_allow_does_not_change_what_is_read_and_stays_theirs(allow_list, whole):
    allow_list.add_safe_globals(RECIPE)
    for load_it in (load, torch.load, load, torch.load):
        assert load_it(whole)['log'].mean() == 2
    for _ in range(10):
        # Under each name, one more at an address of its own: torch's set has another order each time.
        rivals = [(lambda *args: pytest.fail('not ours'), name) for name in loaders.STAND_INS]
        allow_list.add_safe_globals(rivals)
        before = set(allow_list.get_safe_globals())
        assert load(whole)['log'].mean() == 2
        assert set(allow_list.get_safe_globals()) == before


def test_threads_that_load_or_allow_at_once_lose_nothing(allow_list, whole):
    before = set(allow_list.get_safe_globals())
    second_began, first_ended = threading.Event(), threading.Event()
    logs = []

    def load_log(while_loading):
        logs.append(CheckpointLoader.load_checkpoint(str(whole), map_location=while_loading)['log'])

    def while_first_loads(storage, location):
        allow_list.add_safe_globals([Call])
        second.start()
        second_began.wait(0.5)  # in vain: it waits for its turn
        return storage

    def while_second_loads(storage, location):
        second_began.set()
        first_ended.wait(5)
        return storage

    second = threading.Thread(target=load_log, args=(while_second_loads,))
    load_log(while_first_loads)
    first_ended.set()
    second.join()
    assert [log.mean() for log in logs] == [2, 2]
    assert set(allow_list.get_safe_globals()) == before | {Call}


@pytest.fixture
def schemes():
    """MMEngine's loaders by scheme, put back after the test."""
    before = dict(CheckpointLoader._schemes)
    yield lambda: CheckpointLoader._schemes
    for prefix, loader in before.items():
        CheckpointLoader.register_scheme(prefix, loader, force=True)


def test_mmengines_own_loaders_can_be_put_back_and_another_packages_stays(schemes):
    @functools.wraps(mmengine_loaders.load_from_http)
    def theirs(filename, map_location=None):
        return {}

    register_loaders()
    importlib.reload(loaders)
    register_loaders()
    assert {loader.__module__ for loader in schemes().values()} == {loaders.__name__}
    restore_mmengine_loaders()
    assert {loader.__module__ for loader in schemes().values()} == {mmengine_loaders.__name__}
    CheckpointLoader.register_scheme('https://', theirs, force=True)
    register_loaders()
    assert schemes()['https://'] is theirs
    assert schemes()['http://'] is loaders.load_from_http
    restore_mmengine_loaders()
    assert schemes()['https://'] is theirs
