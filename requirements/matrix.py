"""Runs the tests in each supported environment, and prints a table of the results.

make matrix runs all environments. To run only some: python3 requirements/matrix.py openmmlab newest
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / '.matrix'
# The last stack that OpenMMLab supports, in order of installation: chumpy and mmcv build against installed packages.
OPENMMLAB = (
    'numpy==1.26.4 torch==2.1.2 torchvision==0.16.2 setuptools<81 wheel ninja psutil',
    '--no-build-isolation mmcv==2.1.0 mmdet==3.3.0 mmengine==0.10.7 mmpose==1.3.2 openmim==0.3.9 numpy<2 torch==2.1.2',
    # OpenDataLab pins a setuptools that is too old to build this package, and some tests build it.
    'hypothesis onnx onnxruntime openvino pytest pytest-xdist setuptools>=64,<81 timm numpy<2 torch==2.1.2',
)
# The maintained fork. In pip's default build isolation, onedl-mmcv does not see torch and is built without ops.
ONEDL = (
    'torch==2.14.1 torchvision==0.29.1 numpy<2.4 setuptools wheel cython',
    'onedl-mmengine==0.10.12 onedl-mmcv==2.3.6 onedl-mmdetection==3.5.1 onedl-mim==0.5.1',
    # The fork has no MMPose. Stock MMPose requires chumpy, which does not build and is never imported.
    '--no-build-isolation --no-binary xtcocotools xtcocotools json-tricks munkres',
    '--no-deps mmpose==1.3.2',
    'hypothesis onnx onnxruntime onnxscript openvino pytest pytest-xdist timm',
)
VERSIONS = """
import platform, numpy, torch, mmcv, importlib.util
ops = 'with' if importlib.util.find_spec('mmcv._ext') else 'without'
print(platform.python_version(), torch.__version__, numpy.__version__, f'{mmcv.__version__}, {ops} ops', sep='|')
"""


def locked(python: str, venv: Path, torch: str = '') -> None:
    """Makes the environment of make test."""
    subprocess.run([python, REPOSITORY / 'requirements/install.py', venv, '--torch', torch], check=True)


def newest(python: str, venv: Path) -> None:
    """Makes the environment of make test with the newest PyTorch."""
    locked(python, venv, '--upgrade torch torchvision')


def deployment(packages: tuple[str, ...], python: str, venv: Path) -> None:
    """Makes an environment without the plugin, then installs the plugin into it as a deployment would."""
    subprocess.run([python, '-m', 'venv', venv], check=True)
    pip = [venv / 'bin/pip', '--disable-pip-version-check', 'install', '-q']
    for requirements in packages:
        subprocess.run([*pip, *requirements.split()], check=True)
    leftover = REPOSITORY / 'build'  # files left over from an earlier wheel would go into this wheel
    shutil.rmtree(leftover, ignore_errors=True)
    subprocess.run([*pip, '--force-reinstall', '--no-deps', REPOSITORY], check=True)
    shutil.rmtree(leftover, ignore_errors=True)


ENVIRONMENTS = {
    'default': (locked, 'python3'),
    'openmmlab': (partial(deployment, OPENMMLAB), 'python3.10'),
    'onedl': (partial(deployment, ONEDL), 'python3.11'),
    'newest': (newest, 'python3.13'),
}


def minutes_since(start: float) -> str:
    return f'{(time.monotonic() - start) / 60:.0f}'


def row_of(name: str) -> tuple[bool, list[str]]:
    """Makes an environment and runs the tests in it.

    Returns:
        tuple[bool, list[str]]: Whether all tests passed, and the cells of the table.
    """
    make, python = ENVIRONMENTS[name]
    venv = FOLDER / name
    start = time.monotonic()
    try:
        make(python, venv)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f'{name}: {error}', file=sys.stderr)
        return False, [name, 'not made']
    set_up = minutes_since(start)
    versions = subprocess.run([venv / 'bin/python', '-c', VERSIONS], capture_output=True, text=True, check=True).stdout
    start = time.monotonic()
    log = venv / 'tests.log'
    # Not python -m pytest, with which the current folder would hide the installed plugin.
    command = [venv / 'bin/pytest', '-rs', '--numprocesses', 'auto', '--maxprocesses', '4', '--dist', 'worksteal']
    with log.open('w') as file:
        code = subprocess.run(command, cwd=REPOSITORY, stdout=file, stderr=file).returncode
    last_line = log.read_text().splitlines()[-1]
    print(f'{name}: {last_line} ({log})', file=sys.stderr)
    counts = {word: number for number, word in re.findall(r'(\d+) (passed|failed|skipped|error)', last_line)}
    counts = ' / '.join(counts.get(word, '0') for word in ('passed', 'failed', 'skipped', 'error'))
    if code not in (0, 1):
        counts = f'stopped with exit code {code}'
    return code == 0, [name, *versions.strip().split('|'), counts, set_up, minutes_since(start)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', metavar='NAME', help=f'of {", ".join(ENVIRONMENTS)}; all by default')
    names = parser.parse_args().names or list(ENVIRONMENTS)
    unknown = set(names) - set(ENVIRONMENTS)
    if unknown:
        parser.error(f'{", ".join(sorted(unknown))}: give some of {", ".join(ENVIRONMENTS)}')
    os.environ.update(PYTHONWARNINGS='ignore', OMP_NUM_THREADS='1')
    rows = [row_of(name) for name in names]
    head = ['', 'Python', 'torch', 'NumPy', 'mmcv', 'passed / failed / skipped / errors', 'min. to set up', 'to test']
    for cells in (head, ['---'] * len(head), *(cells for _, cells in rows)):
        print(f'| {" | ".join(cells)} |')
    sys.exit(not all(passed for passed, _ in rows))


if __name__ == '__main__':
    main()
