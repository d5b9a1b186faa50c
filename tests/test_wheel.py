"""The plugin as a wheel, beside an MMPose that is already there."""

import email
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent


def run_python(*arguments, path='', **options) -> subprocess.CompletedProcess:
    """Runs Python with another PYTHONPATH than this process, whose may name the clone."""
    environment = {**os.environ, 'PYTHONPATH': str(path), 'PYTHONWARNINGS': 'ignore'}
    command = [sys.executable, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, **options)
    assert run.returncode == 0, run.stdout + run.stderr
    return run


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
        run_python('-m', 'pip', 'wheel', *options, source, cwd=folder)

    (wheel,) = (once('wheel', build) / 'wheels').iterdir()
    return wheel


@pytest.fixture(scope='module')
def site(wheel, once):
    """A folder of packages that has the wheel alone."""
    return once('site of the wheel', lambda folder: zipfile.ZipFile(wheel).extractall(folder))


def test_it_has_the_package_and_the_files_for_mim_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if '.dist-info/' not in name}
    package = {path.relative_to(REPOSITORY) for path in (REPOSITORY / 'ca_hrnet_plugin').rglob('*.py')}
    patterns = ('configs/**/*.py', 'configs/metafile.yml', 'model-index.yml', 'tools/**/*.py')
    for_mim = {path.relative_to(REPOSITORY) for pattern in patterns for path in REPOSITORY.glob(pattern)}
    package |= {Path('ca_hrnet_plugin/small_hrnet.pth'), Path('ca_hrnet_plugin/py.typed')}
    assert names == {path.as_posix() for path in package | {'ca_hrnet_plugin/.mim' / path for path in for_mim}}


def test_the_repository_has_no_links_which_windows_clones_as_text():
    """With ``core.symlinks=false``, a link is a text file, and what it leads to would not reach the wheel."""
    if not (REPOSITORY / '.git').exists():
        pytest.skip('needs the git repository')
    files = subprocess.check_output(['git', 'ls-files', '--stage'], cwd=REPOSITORY, text=True).splitlines()
    assert len(files) > 100
    assert not [line for line in files if line.startswith('120000')]


def test_it_requires_no_package_so_a_deployment_keeps_its_versions(site):
    (metadata,) = site.glob('*.dist-info/METADATA')
    requirements = email.message_from_bytes(metadata.read_bytes()).get_all('Requires-Dist')
    assert requirements
    assert all('extra ==' in requirement for requirement in requirements)


def test_mim_run_prints_the_table_of_two_networks(working_mim, site, tmp_path):
    for name, ap in dict(HRNet=0.5, ours=0.75).items():
        (tmp_path / f'{name}.json').write_text(json.dumps({'coco/AP': ap}))
    command = ('run', 'ca_hrnet_plugin', 'benchmark_table', 'HRNet=HRNet.json', 'CA-HRNet=ours.json', '--format', 'csv')
    output = run_python('-m', 'mim', *command, path=site, cwd=tmp_path).stdout
    assert str(site) in output.splitlines()[0], "mim prints the script's path: the wheel's"
    assert 'HRNet,50.0\n' in output and 'CA-HRNet,75.0\n' in output


def test_it_is_imported_quietly_and_gives_poses_from_an_empty_folder(site, tmp_path):
    config = run_python('-m', 'ca_hrnet_plugin', 'ca_hrnet_w16_coco_128x96', path=site, cwd=tmp_path).stdout.strip()
    assert Path(config).is_relative_to(site)
    program = (
        'import ca_hrnet_plugin, sys\n'
        'print("imported", flush=True); print("imported", file=sys.stderr)\n'
        'import numpy; from mmpose.apis import inference_topdown, init_model\n'
        'model = init_model(sys.argv[1], device="cpu")\n'
        '(sample,) = inference_topdown(model, numpy.zeros((64, 48, 3), numpy.uint8))\n'
        'print(sample.pred_instances.keypoints.shape)'
    )
    run = run_python('-c', program, config, path=site, cwd=tmp_path)
    assert run.stdout.splitlines()[-1:] == ['(1, 17, 2)'], run.stderr
    assert run.stdout.startswith('imported\n') and run.stderr.startswith('imported\n')
