"""The decisions of requirements/install.py, without a download."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).parents[1] / 'requirements'


@pytest.fixture
def install():
    spec = importlib.util.spec_from_file_location('install', REQUIREMENTS / 'install.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def make_venv(install, monkeypatch, tmp_path):
    """Runs the command and returns pip's steps by name, with the requirements of each."""

    def run(*arguments) -> dict[str, str]:
        steps = {}

        def pip(python, log, step, arguments, **environment):
            steps[step] = Path(arguments[-1]).read_text() if '-r' in arguments else ' '.join(arguments)

        with monkeypatch.context() as patch:
            patch.setattr(install.subprocess, 'call', lambda command: 0)  # python -m venv
            patch.setattr(install, 'check_machine', lambda folder: None)
            patch.setattr(install, 'pip', pip)
            patch.setattr(sys, 'argv', ['install.py', str(tmp_path / 'venv'), *arguments])
            install.main()
        return steps

    return run


def names(requirements: str) -> list[str]:
    return re.findall(r'^([\w-]+)==', requirements, re.MULTILINE)


def test_every_package_of_the_lock_is_installed_once_with_its_hashes(make_venv):
    build_tools, compiled, packages, plugin = make_venv().values()
    lock = (REQUIREMENTS / 'lock.txt').read_text()
    assert sorted(names(build_tools) + names(compiled) + names(packages)) == sorted(names(lock))
    assert (build_tools + compiled + packages).count('--hash=') == lock.count('--hash=')
    assert names(compiled) == ['xtcocotools']
    assert {'numpy', 'cython', 'setuptools'} <= set(names(build_tools)), 'they compile it'
    assert plugin.endswith(f'-e {REQUIREMENTS.parent}')


def test_another_build_of_torch_replaces_everything_that_belongs_to_torch(make_venv):
    locked = make_venv()
    steps = make_venv('--torch', 'torch==2.1.2 --index-url URL')
    assert 'torch==2.1.2 --index-url URL' in steps.values()
    *_, packages, _ = steps.values()
    left_out = set(names(''.join(locked.values()))) - set(names(packages)) - {'xtcocotools'}
    assert {'torch', 'torchvision', 'triton'} <= left_out
    assert all(re.match('torch|triton|nvidia|cuda|pip$|setuptools|wheel|cython|numpy', name) for name in left_out)


def test_an_environment_is_made_again_only_if_its_recipe_changes(install, make_venv, monkeypatch, tmp_path):
    assert make_venv()
    assert not make_venv()
    assert make_venv('--torch', 'torch==2.1.2')
    assert not make_venv('--torch', 'torch==2.1.2')
    (tmp_path / 'lock.txt').write_text('numpy==1.0\n')
    monkeypatch.setattr(install, 'LOCK', str(tmp_path / 'lock.txt'))
    assert make_venv('--torch', 'torch==2.1.2')


def test_an_interrupted_environment_is_made_again(install, make_venv, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(install.os, 'replace', lambda *paths: sys.exit('interrupted'))
        with pytest.raises(SystemExit, match='interrupted'):
            make_venv()
    (tmp_path / 'venv/lib').mkdir()
    assert make_venv()
    assert not (tmp_path / 'venv/lib').exists()


def test_the_environment_may_be_a_link_to_another_disk(make_venv, install, monkeypatch, tmp_path):
    (tmp_path / 'other disk').mkdir()
    (tmp_path / 'venv').symlink_to('other disk')
    made = []
    monkeypatch.setattr(install, 'build', lambda folder, *_: made.append(folder))
    make_venv()
    assert made == [str(tmp_path / 'other disk')], 'python -m venv refuses a link'


def test_an_existing_folder_of_other_files_is_left_alone(make_venv, tmp_path):
    (tmp_path / 'venv').mkdir()
    (tmp_path / 'venv/thesis.tex').write_text('mine')
    with pytest.raises(SystemExit, match='was not made here'):
        make_venv()
    assert [path.name for path in (tmp_path / 'venv').iterdir()] == ['thesis.tex']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda patch, module: patch.setattr(module.sys, 'version_info', (3, 9, 1)), 'Python 3.9.1 .* too old: use'),
        (lambda patch, module: patch.setenv('CC', '"no such/compiler" -O2'), 'C compiler no such/compiler not found'),
        (lambda patch, module: patch.setattr(module.sysconfig, 'get_path', lambda name: '/nowhere'), 'has no headers'),
        (lambda patch, module: patch.setattr(module, 'GIGABYTES', 10**9), 'disk too small: .*VENV='),
    ],
)
def test_an_unsuitable_machine_is_reported_in_one_line(install, monkeypatch, tmp_path, change, message):
    (tmp_path / 'my compiler').touch(mode=0o755)
    monkeypatch.setenv('CC', f'"{tmp_path}/my compiler" -O2')
    monkeypatch.setattr(install.os.path, 'exists', lambda path: not path.startswith('/nowhere'))
    monkeypatch.setattr(install, 'GIGABYTES', 0)
    monkeypatch.setattr(install, 'TEMPORARY_GIGABYTES', 0)
    install.check_machine(str(tmp_path))
    change(monkeypatch, install)
    with pytest.raises(SystemExit, match=message) as stop:
        install.check_machine(str(tmp_path))
    assert '\n' not in str(stop.value)
