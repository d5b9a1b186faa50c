"""The plugin as a wheel, installed beside an MMPose that is already there."""

import email
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def check_output(*command, **kwargs) -> str:
    # Not through PYTHONPATH, which may name the clone.
    environment = {**os.environ, 'PYTHONPATH': '', 'PYTHONWARNINGS': 'ignore'}
    run = subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, **kwargs)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope='module')
def wheel(once):
    def build(folder):
        source = folder / 'clone'
        source.mkdir()
        for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'LICENSE', 'model-index.yml'):
            shutil.copy(REPOSITORY / name, source)
        for name in ('ca_hrnet_plugin', 'configs', 'requirements', 'tests', 'tools'):
            shutil.copytree(REPOSITORY / name, source / name, symlinks=True)
        options = ('-q', '--no-deps', '--no-build-isolation', '-w', folder / 'wheels')
        check_output(sys.executable, '-m', 'pip', 'wheel', *options, source, cwd=folder)

    (wheel,) = (once('wheel', build) / 'wheels').iterdir()
    return wheel


def test_it_has_the_package_and_the_files_for_mim_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if '.dist-info/' not in name}
    package = {path.relative_to(REPOSITORY) for path in (REPOSITORY / 'ca_hrnet_plugin').rglob('*.py')}
    patterns = ('configs/**/*.py', 'configs/metafile.yml', 'model-index.yml', 'tools/**/*.py')
    for_mim = {path.relative_to(REPOSITORY) for pattern in patterns for path in REPOSITORY.glob(pattern)}
    assert names == {path.as_posix() for path in package | {'ca_hrnet_plugin/.mim' / path for path in for_mim}}


def test_it_requires_no_package_so_a_deployment_keeps_its_versions(wheel):
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith('/METADATA')]
    requirements = email.message_from_bytes(archive.read(metadata)).get_all('Requires-Dist')
    assert requirements
    assert all('extra ==' in requirement for requirement in requirements)


@pytest.fixture(scope='module')
def python(wheel, once):
    """The Python of an environment that has the wheel."""

    def install(venv):
        check_output(sys.executable, '-m', 'venv', '--without-pip', venv)
        python = venv / 'bin/python'
        check_output(sys.executable, '-m', 'pip', '-q', '--python', python, 'install', '--no-deps', wheel)
        # The other packages are those of this test's environment. Its editable install of the plugin is not seen.
        site = Path(check_output(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))').strip())
        (site / 'stack.pth').write_text(sysconfig.get_path('purelib'))

    return once('environment of the wheel', install) / 'bin/python'


def test_mim_search_finds_its_models(working_mim, python, tmp_path):
    command = ('search', 'ca_hrnet_plugin', '--model', 'CA-HRNet', '--field', 'parameters', '--json', 'found.json')
    check_output(python, '-m', 'mim', *command, cwd=tmp_path)
    parameters = json.loads((tmp_path / 'found.json').read_text())['parameters']
    assert parameters['ca_hrnet_w32_coco_256x192'] > 28e6


def test_mim_run_prints_the_table_of_two_networks(working_mim, python, tmp_path):
    for name, ap in dict(HRNet=0.5, ours=0.75).items():
        (tmp_path / f'{name}.json').write_text(json.dumps({'coco/AP': ap}))
    command = ('run', 'ca_hrnet_plugin', 'benchmark_table', 'HRNet=HRNet.json', 'CA-HRNet=ours.json', '--format', 'csv')
    output = check_output(python, '-m', 'mim', *command, cwd=tmp_path)
    assert f'{python.parent.parent}/lib' in output.splitlines()[0], "mim prints the script's path: the wheel's"
    assert 'HRNet,50.0\n' in output and 'CA-HRNet,75.0\n' in output


def test_it_is_imported_quietly_and_gives_poses_from_an_empty_folder(python, tmp_path):
    empty = tmp_path / 'empty'
    empty.mkdir()
    config = check_output(python, '-m', 'ca_hrnet_plugin', 'ca_hrnet_w16_coco_128x96', cwd=empty).strip()
    assert Path(config).is_relative_to(python.parent.parent)
    program = (
        'import ca_hrnet_plugin, sys\n'
        'print("imported", flush=True); print("imported", file=sys.stderr)\n'
        'import numpy; from mmpose.apis import inference_topdown, init_model\n'
        'model = init_model(sys.argv[1], device="cpu")\n'
        '(sample,) = inference_topdown(model, numpy.zeros((64, 48, 3), numpy.uint8))\n'
        'print(sample.pred_instances.keypoints.shape)'
    )
    environment = {**os.environ, 'PYTHONPATH': ''}
    command = [python, '-c', program, config]
    run = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1:] == ['(1, 17, 2)'], run.stderr
    assert run.stdout.startswith('imported\n') and run.stderr.startswith('imported\n')
