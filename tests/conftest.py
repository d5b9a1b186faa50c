import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mim.utils import get_installed_path
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

import ca_hrnet_plugin  # noqa: F401  before any test module: beside mmcv-lite, mmpose.models is importable after it alone

TOOLS = Path(__file__).parents[1] / 'tools'


@pytest.fixture(scope='session')
def data_root() -> Path:
    """The folder of real data sets that ``CA_HRNET_DATA`` names."""
    root = os.environ.get('CA_HRNET_DATA')
    if not root or not Path(root, 'coco/annotations').is_dir():
        pytest.skip('needs real COCO images: set CA_HRNET_DATA to the folder that holds coco/')
    return Path(root).resolve()


@pytest.fixture(scope='session')
def working_mim() -> None:
    """Skips beside onedl-mim 0.5.1, whose ``mim train``, ``test``, ``run`` and ``search`` miss what pip installed."""
    folder = Path(get_installed_path('mmpose'))
    if not (folder / '.mim').is_dir():
        pytest.skip(f'mim looks for MMPose in {folder.name}')


@pytest.fixture
def mim(working_mim, tmp_path):
    """Runs ``mim`` in an empty folder, as a user does, and returns the finished process."""

    def run(*arguments, **environment) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, '-m', 'mim', *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, 'PYTHONWARNINGS': 'ignore', **environment},
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope='session', autouse=True)
def logger():
    """Made before any test: a logger keeps the output stream that was there when it was made."""
    return MMLogger.get_current_instance()


@pytest.fixture(autouse=True)
def default_scope():
    """Lets no test's runner leave its scope to the tests after it."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs a command of tools/ and returns its exit code or message, what it printed, and what it said beside."""

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
def write_json(tmp_path):
    def write(name: str, content) -> str:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return write
