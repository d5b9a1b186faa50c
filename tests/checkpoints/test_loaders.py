import functools
import importlib
import io
import operator
import os
import pickle
import random
import re
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MMLogger
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from mmpose.registry import MODELS
from versions import since_torch

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checks.config import missing_inputs
from ca_hrnet_plugin.reporting.dump import read_dump

pytestmark = since_torch('2.6', 'before, torch.load runs anything')
RECONSTRUCT, SCALAR = np.zeros(1).__reduce__()[0], np.float64().__reduce__()[0]
SECRET = np.arange(4.0)


class Call:
    """Calls a function when it is unpickled, and sets the state of what that gave."""

    def __init__(self, function, *arguments, state=None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.reduced


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


def pointers() -> Call:
    """Type object with the flag that says so taken away: NumPy would take eight bytes of the file for a pointer."""
    return Call(np.dtype, 'O', False, True, state=(3, '|', None, None, None, 8, 8, 0))


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


@pytest.fixture
def hostile(tmp_path, request):
    return HOSTILE[request.param](f'touch {tmp_path}/ran')


def zipped(content, path) -> None:
    torch.save(content, path)


def unzipped(content, path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize('save', [zipped, unzipped])
@pytest.mark.parametrize('hostile', HOSTILE, indirect=True)
def test_a_hostile_checkpoint_is_refused_in_one_line_and_does_not_run(hostile, save, tmp_path):
    path = tmp_path / 'hostile.pth'
    save(dict(state_dict={}, meta=hostile), path)
    with pytest.raises(ValueError, match=rf'checkpoint {path} .*: give the whole file') as refused:
        CheckpointLoader.load_checkpoint(str(path))
    assert '\n' not in str(refused.value)
    assert 'weights_only' not in str(refused.value), 'that would be advice to run it'
    assert [file.name for file in tmp_path.iterdir()] == ['hostile.pth']


@pytest.mark.parametrize('hostile', HOSTILE, indirect=True)
def test_hostile_predictions_are_refused_in_one_line_and_do_not_run(hostile, tmp_path):
    path = tmp_path / 'hostile.pkl'
    path.write_bytes(pickle.dumps([hostile], 2))
    with pytest.raises(ValueError, match=rf'{path} is not read, .*: test with') as refused:
        read_dump(path, None)
    assert '\n' not in str(refused.value)
    assert [file.name for file in tmp_path.iterdir()] == ['hostile.pkl']


def test_an_array_whose_memory_others_may_share_is_not_set_again(tmp_path):
    """NumPy frees the old memory, which a tensor made of the array still reads and writes."""
    state = (1, (8,), np.dtype('i8'), False, bytes(64))
    once = pickle.dumps(array(state), 2)
    twice = once[:-1] + pickle.dumps(state, 2)[2:-1] + b'b.'
    assert len(pickle.loads(twice)) == 8, 'NumPy itself takes it'
    (tmp_path / 'twice.pkl').write_bytes(twice)
    with pytest.raises(ValueError, match='no content of its own'):
        read_dump(tmp_path / 'twice.pkl', None)


def test_a_checkpoint_does_not_change_how_logs_are_averaged(tmp_path):
    before = dict(HistoryBuffer._statistics_methods)
    hostile = history(np.array([1.0, 3.0]), _count_history=np.ones(2), mean=3, _statistics_methods=dict(mean=3))
    torch.save(dict(state_dict={}, log=hostile), tmp_path / 'log.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'log.pth'))['log']
    assert HistoryBuffer._statistics_methods == before
    assert loaded.mean() == loaded.statistics('mean') == 2


class Identity(BaseModel):
    def forward(self, inputs):
        return inputs


def test_resuming_does_not_run_a_config_that_the_checkpoint_carries(tmp_path):
    """MMEngine's Runner.resume makes a config of meta['config'], and configs are Python."""
    meta = dict(epoch=0, iter=0, config=f'open({str(tmp_path / "ran")!r}, "w")')
    hub = dict(log_scalars={}, runtime_info={}, resumed_keys={})
    torch.save(dict(state_dict={}, meta=meta, message_hub=hub), tmp_path / 'hostile.pth')
    runner = Runner(
        Identity(),
        str(tmp_path / 'work_dir'),
        train_dataloader=torch.utils.data.DataLoader([0]),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=1)),
        default_hooks=dict.fromkeys(('runtime_info', 'timer', 'sampler_seed', 'logger', 'checkpoint')),
        experiment_name='resuming',
    )
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner.resume(str(tmp_path / 'hostile.pth'), resume_optimizer=False, resume_param_scheduler=False)
    assert not (tmp_path / 'ran').exists()


def bomb(path, content: bytes) -> None:
    """A checkpoint that is a thousandth of its content, which torch would unpack."""
    torch.save(dict(state_dict=dict(weight=torch.zeros(10**6))), path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, record in records.items():
            archive.writestr(name, record)


def tensor_of_a_huge_size(path, content: bytes) -> None:
    storage = Call(torch.storage.UntypedStorage, 10**14)
    torch.save(Call(torch._utils._rebuild_tensor_v2, storage, 0, (10**14,), (1,), False, {}), path)


@pytest.mark.parametrize(
    'write',
    [
        lambda path, content: path.write_bytes(content[: len(content) // 2]),
        lambda path, content: path.write_bytes(content[:-100]),
        lambda path, content: path.write_text('weights of my best network\n'),
        lambda path, content: path.write_bytes(b''),
        lambda path, content: torch.save([1, 2], path),
        lambda path, content: torch.save(dict(state_dict=[torch.ones(1)]), path),
        lambda path, content: torch.save({1: torch.ones(1)}, path),
        lambda path, content: torch.jit.script(torch.nn.Linear(1, 1)).save(path),
        bomb,
        tensor_of_a_huge_size,
    ],
)
def test_what_is_no_whole_checkpoint_is_refused_in_one_line(write, tmp_path):
    path = tmp_path / 'broken.pth'
    torch.save(dict(state_dict=dict(weight=torch.ones(99))), path)
    with warnings.catch_warnings(action='ignore'):  # torch.jit is deprecated
        write(path, path.read_bytes())
    with pytest.raises(ValueError, match=rf'checkpoint {path} cannot be read \(.+\): give the whole file') as refused:
        CheckpointLoader.load_checkpoint(str(path))
    assert '\n' not in str(refused.value)


@pytest.mark.parametrize('save', [zipped, unzipped])
def test_bytes_gone_wrong_at_random_load_or_are_refused_in_one_line_and_never_run(save, tmp_path):
    random.seed(0)
    path = tmp_path / 'damaged.pth'
    for extra in (history(np.ones(1)), Call(os.system, f'touch {tmp_path}/ran')):
        save(dict(state_dict=OrderedDict(weight=torch.ones(3)), extra=extra), path)
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole[: random.choice([len(whole), random.randrange(len(whole))])])
            for _ in range(random.choice([1, 1, 8]) if damaged else 0):
                damaged[random.randrange(len(damaged))] = random.randrange(256)
            path.write_bytes(damaged)
            try:
                CheckpointLoader.load_checkpoint(str(path))
            except ValueError as error:
                assert re.fullmatch(rf'checkpoint {path} (names|cannot be read) .*: give the whole file.*', str(error))
    assert [file.name for file in tmp_path.iterdir()] == ['damaged.pth']


BASELINE = 'hrnet_w16_coco_128x96'


def narrow(name: str = 'ca_hrnet_w16_coco_128x96', width: int = 4, num_keypoints: int = 17) -> Config:
    """The config of a network that is built in no time."""
    config = Config.fromfile(config_path(name))
    for number in range(1, 5):
        stage = config.model.backbone.extra[f'stage{number}']
        stage.update(num_modules=1, num_blocks=[1] * number)
        if number > 1:
            stage.num_channels = [width * 2**branch for branch in range(number)]
    config.model.head.update(in_channels=width, out_channels=num_keypoints)
    return config


def saved(path, **kwargs) -> str:
    torch.save(dict(state_dict=MODELS.build(narrow(**kwargs).model).state_dict()), path)
    return str(path)


@pytest.mark.parametrize(
    ('theirs', 'ours', 'named'),
    [
        (dict(num_keypoints=16), {}, r'head\.final_layer\.weight.*16, 4, 1, 1.*17, 4, 1, 1'),
        (dict(width=8), {}, r'backbone\.transition1\.0\.0\.weight is \(8, 256, 3, 3\), and \(4, 256, 3, 3\) here'),
        (dict(width=8), dict(name=BASELINE), r'backbone\.transition1\.0\.0\.weight.*8, .*4, '),
        ({}, dict(name=BASELINE), r'unexpected key .*\.ca\.norm2\.'),
    ],
)
def test_weights_of_another_network_are_not_inferred_with(theirs, ours, named, tmp_path, monkeypatch):
    """Stock MMPose takes what fits of them, and leaves the rest at random."""
    path, config = saved(tmp_path / 'theirs.pth', **theirs), narrow(**ours)
    if config.model.backbone.type == 'HRNet':
        load_checkpoint(MODELS.build(config.model), path)  # in a program of somebody else's
        monkeypatch.setattr(sys, 'argv', ['mmpose/.mim/tools/test.py'])
    with pytest.raises(ValueError, match=rf'{named}.*give the .*that they were trained with') as refused:
        load_checkpoint(MODELS.build(config.model), path)
    assert '\n' not in str(refused.value)


def test_weights_that_the_network_has_no_place_for_are_left_out_and_named(tmp_path):
    path = saved(tmp_path / 'theirs.pth')
    checkpoint = torch.load(path)
    checkpoint['state_dict']['teacher.weight'] = torch.zeros(1)
    torch.save(checkpoint, path)
    MMLogger.get_instance(tmp_path.name, log_file=str(tmp_path / 'log'))
    load_checkpoint(MODELS.build(narrow().model), path, logger=tmp_path.name)
    assert 'unexpected key in source state_dict: teacher.weight' in (tmp_path / 'log').read_text()


@pytest.mark.parametrize('how', ['load_from', 'init_cfg'])
def test_training_goes_on_from_another_number_of_keypoints_and_the_log_names_it(how, tmp_path):
    path = saved(tmp_path / 'theirs.pth', num_keypoints=16)
    config = narrow()
    MMLogger.get_instance(tmp_path.name, log_file=str(tmp_path / 'log'))
    if how == 'init_cfg':
        config.model.init_cfg = dict(type='Pretrained', checkpoint=path)
    model = MODELS.build(config.model)
    model.init_weights()
    if how == 'load_from':
        load_checkpoint(model, path, logger=tmp_path.name)
    assert 'size mismatch for head.final_layer.weight' in (tmp_path / 'log').read_text()
    key = 'backbone.stage4.0.branches.0.0.conv1.weight'
    assert torch.equal(model.state_dict()[key], torch.load(path)['state_dict'][key])
    assert model.head.final_layer.weight.shape[0] == 17


@pytest.mark.parametrize(
    ('parts', 'named'), [(('test',), r'size mismatch for head'), (('train', 'val'), r'cannot be read \(')]
)
def test_a_run_does_not_begin_with_a_checkpoint_that_cannot_be_used(parts, named, tmp_path):
    path = tmp_path / 'given.pth'
    if 'test' in parts:
        saved(path, num_keypoints=16)
    else:
        path.write_text('weights of my best network')
    config = narrow()
    config.update(train_cfg=None, val_cfg=None, test_cfg=None, load_from=str(path))
    (line,) = missing_inputs(config, parts)
    assert re.match(rf'load_from is {path}: .*{named}', line)
