import functools
import gc
import http.server
import importlib
import itertools
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import mmengine.config
import pytest
import torch
from filelock import FileLock
from hub_server import Hub
from mim.utils import get_installed_path
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from synthetic_crowd import make_synthetic_crowd

from ca_hrnet_plugin import (
    config_path,
)  # before any test module: beside mmcv-lite, only then mmpose.models is importable

REAL_DATA = os.environ.get('CA_HRNET_TEST_DATA')
os.environ.pop('CA_HRNET_DATA', None)  # the user's own data sets: no test reads them, let alone trains on them
run_numbers = itertools.count()
# A shell lets its background processes ignore SIGINT, and those that they start. A test sends it to one of these.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish():
    """Takes what was imported out of the garbage collector's searches, which take longer the more there is."""
    gc.freeze()


@pytest.fixture(scope='session')
def once(tmp_path_factory):
    """Makes expensive files once for all test processes: ``once(name, make)``.

    ``make(folder)`` fills an empty folder, which is returned. Other tests that need the folder wait.
    """
    shared = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ:
        shared = shared.parent

    def folder_of(name: str, make: Callable[[Path], object]) -> Path:
        folder, made = shared / name, shared / f'{name}.made'
        with FileLock(shared / f'{name}.lock'):
            if not made.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                make(folder)
                made.touch()
        return folder

    return folder_of


@pytest.fixture(scope='session')
def drawn_data(once) -> Path:
    """A folder whose ``coco/`` holds a few drawn images."""
    few = dict(num_train=16, num_val=4, people=(3, 4), crowd_index=0.2)
    return once('drawn', lambda folder: make_synthetic_crowd(folder / 'coco', **few, progress=False))


@pytest.fixture
def slice_of():
    """Finds a file of the small real data sets: slices of COCO, CrowdPose and OCHuman."""

    def find(*parts: str) -> Path:
        path = Path(REAL_DATA or 'nowhere', *parts).resolve()
        if not path.is_file():
            pytest.skip(f'needs a slice of {parts[0]}: CA_HRNET_TEST_DATA names a folder that holds {"/".join(parts)}')
        return path

    return find


@pytest.fixture
def real_data(slice_of) -> Path:
    """The folder whose ``coco/`` holds a few photographs."""
    return slice_of('coco', 'annotations', 'person_keypoints_train2017.json').parents[2]


@pytest.fixture(scope='session')
def working_mim() -> None:
    """Skips with onedl-mim 0.5.1, whose ``mim train``, ``test``, ``run`` and ``search`` do not find pip's MMPose."""
    folder = Path(get_installed_path('mmpose'))
    if not (folder / '.mim').is_dir():
        pytest.skip(f'mim looks for MMPose in {folder.name}')


@pytest.fixture
def runner(tmp_path, monkeypatch):
    """Makes MMEngine's Runner of a config, as ``mim train`` and ``mim test`` do, in this process and in tmp_path."""

    def make(config: str, data_root: Path, **options) -> Runner:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv('CA_HRNET_DATA', str(data_root))
        config = Config.fromfile(config if Path(config).is_file() else config_path(config))
        few_processes = {
            f'{split}_dataloader.{key}': value
            for split in ('train', 'val', 'test')
            for key, value in dict(num_workers=0, persistent_workers=False).items()
        }
        config.merge_from_dict(few_processes | options)
        config.work_dir = f'work_dirs/{Path(config.filename).stem}'
        config.experiment_name = f'{tmp_path}{next(run_numbers)}'  # two runs in the same second would share their logs
        return Runner.from_cfg(config)

    return make


@pytest.fixture(scope='session', autouse=True)
def quick_configs():
    """Reads each metafile of a package once, and leaves the text of configs unstyled: a minute less."""

    def unstyled(code: str, **_) -> tuple[str, bool]:
        return code, True

    config = mmengine.config.config
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine.config.utils, 'load', functools.cache(mmengine.config.utils.load))
        patch.setattr(config, 'is_installed', functools.cache(config.is_installed))
        patch.setattr(config, 'FormatCode', unstyled, raising=False)
        patch.setattr('yapf.yapflib.yapf_api.FormatCode', unstyled)  # which OneDL's fork imports when it is needed
        yield


@pytest.fixture(scope='session', autouse=True)
def logger():
    """Created before any test, because a logger keeps the output stream of its creation."""
    return MMLogger.get_current_instance()


@pytest.fixture(autouse=True)
def default_scope():
    """Restores the default scope, which a runner sets for the whole process."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture(autouse=True)
def same_weights():
    """Networks without a checkpoint have the same random weights in each run of the tests."""
    torch.manual_seed(0)


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs a command of tools/ and returns its exit code or message, its output, and its error output."""

    def run(name: str, *arguments) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        try:
            importlib.import_module(name).main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def torch_home(tmp_path_factory, monkeypatch) -> Path:
    """An empty folder for torch.hub's cache."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path_factory.mktemp('torch_home')))
    return Path(os.environ['TORCH_HOME'])


@pytest.fixture
def server(tmp_path, torch_home):
    """The address of a server of the files in tmp_path, with an empty cache."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


@pytest.fixture
def hub(tmp_path_factory, monkeypatch):
    """A Hugging Face Hub on the loopback that holds nothing yet, and its client with an empty cache."""
    pytest.importorskip('huggingface_hub')
    pytest.importorskip('safetensors')
    with Hub(monkeypatch) as running:
        running.reconnect(HF_ENDPOINT=running.address, HF_HOME=str(tmp_path_factory.mktemp('hf_home')))
        yield running
        running.shutdown()
    running.forget_client()


@pytest.fixture
def write_json(tmp_path):
    def write(name: str, content) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return write
