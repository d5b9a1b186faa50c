"""Makes a virtual environment with exactly the packages of requirements/lock.txt, and this package as editable.

The Makefile runs it with the Python for the environment: python requirements/install.py .venv
An incomplete environment is rebuilt, so an interrupted run does no harm.
"""

# Runs before anything is installed: standard library only, and parsed by any Python, since it checks the version.
from __future__ import print_function

import argparse
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK = os.path.join(HERE, 'lock.txt')
# Installed first: they build the packages that have no wheel.
BUILD_TOOLS = re.compile('(pip|setuptools|wheel|cython|numpy)==')
# Compiled here: its wheels are for NumPy 1 and Python up to 3.11.
COMPILED = re.compile('xtcocotools==')
# Belongs to PyTorch, and is left out if --torch names another build.
TORCH_FAMILY = re.compile('(torch|torchvision|triton|nvidia-[^=]*|cuda-[^=]*)==')
GIGABYTES = 8  # of free disk: the environment needs 6.4
TEMPORARY_GIGABYTES = 2  # for unpacking the largest wheel
NETWORK_PROBLEMS = (
    'NewConnectionError',
    'NameResolutionError',
    'Name or service not known',
    'name resolution',
    'Network is unreachable',
    'ConnectTimeoutError',
    'ReadTimeoutError',
    'ProxyError',
    '(from versions: none)',
)


def check_machine(folder):
    """Exits with a one-line message if the environment cannot be made on this machine."""
    version = '.'.join(str(part) for part in sys.version_info[:3])
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        age = 'old' if sys.version_info < (3, 10) else 'new'
        sys.exit(
            'Python %s (%s) is too %s: use 3.10 to 3.13, as in: make test PYTHON=python3.11'
            % (version, sys.executable, age)
        )
    # Split as in setuptools: a path with a space is quoted.
    compiler = shlex.split(os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc')[0]
    if not shutil.which(compiler):
        sys.exit('C compiler %s not found: xtcocotools needs it; install one, as in: apt-get install gcc' % compiler)
    if not os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')):
        sys.exit(
            'Python %s (%s) has no headers: xtcocotools needs them; install them, as in: '
            'apt-get install python3-dev' % (version, sys.executable)
        )
    folder = os.path.abspath(folder)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    for place, needed in ((folder, GIGABYTES), (tempfile.gettempdir(), TEMPORARY_GIGABYTES)):
        free = shutil.disk_usage(place).free / 1e9
        if free < needed:
            sys.exit(
                'disk too small: %s has %.1f GB free, setting up needs %d; free some, or use another disk for the '
                'environment (VENV=/other/disk/venv) and for temporary files (TMPDIR=)' % (place, free, needed)
            )


def write_part_of_lock(path, wanted):
    """Writes the requirements of the lock for which wanted(requirement) holds, with their hashes."""
    with open(LOCK) as lock, open(path, 'w') as part:
        for requirement in re.split(r'\n(?=\S)', lock.read()):
            if wanted(requirement):
                part.write(requirement + '\n')
    return path


def pip(python, log, step, arguments, **environment):
    """Runs pip install, logs its output, and exits with the last lines of the log if it fails."""
    print('  %s ...' % step, flush=True)
    with open(log, 'a') as file:
        file.write('== %s\n' % step)
        file.flush()
        code = subprocess.call(
            [python, '-m', 'pip', '--disable-pip-version-check', '--no-input', 'install'] + arguments,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=dict(os.environ, **environment),
        )
    if code:
        with open(log) as file:
            text = file.read()
        tail = '\n'.join('    ' + line for line in text.splitlines()[-12:])
        offline = any(sign in text for sign in NETWORK_PROBLEMS)
        advice = 'no package index was reached: check the network or the proxy' if offline else 'see the log'
        sys.exit(
            '%s\nsetting up failed at "%s" (log: %s): %s, then run the same command again' % (tail, step, log, advice)
        )


def build(folder, torch, key, mark):
    """Makes the environment. The mark is empty until the environment is complete."""
    if os.path.exists(folder) and not os.path.exists(mark) and (not os.path.isdir(folder) or os.listdir(folder)):
        sys.exit('%s exists and was not made here: move it, or name another folder with VENV=' % folder)
    os.makedirs(folder, exist_ok=True)
    open(mark, 'w').close()
    for leftover in os.listdir(folder):
        path = os.path.join(folder, leftover)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif path != mark:
            os.remove(path)
    print('setting up %s with Python %d.%d, once:' % ((folder,) + sys.version_info[:2]), flush=True)
    if subprocess.call([sys.executable, '-m', 'venv', folder]):
        sys.exit('python -m venv failed: install it, as in: apt-get install python3-venv')

    python = os.path.join(folder, 'bin', 'python')
    log = os.path.join(folder, 'setup.log')
    # The lock is complete, so pip resolves nothing.
    locked = ['--no-deps', '--no-build-isolation', '-r']
    build_tools = write_part_of_lock(os.path.join(folder, 'build_tools.txt'), BUILD_TOOLS.match)
    compiled = write_part_of_lock(os.path.join(folder, 'compiled.txt'), COMPILED.match)
    packages = write_part_of_lock(
        os.path.join(folder, 'packages.txt'),
        lambda line: not (BUILD_TOOLS.match(line) or COMPILED.match(line) or (torch and TORCH_FAMILY.match(line))),
    )
    pip(python, log, 'build tools', locked + [build_tools])
    pip(
        python,
        log,
        'xtcocotools (compiled)',
        ['--no-binary', 'xtcocotools'] + locked + [compiled],
        PYTHONPATH=os.path.join(HERE, 'xtcocotools'),
    )
    if torch:
        pip(python, log, 'PyTorch: %s' % torch, torch.split())
    pip(python, log, 'packages (a few minutes; 5.5 GB with PyTorch)', locked + [packages])
    pip(python, log, 'this plugin', ['--no-deps', '--no-build-isolation', '-e', os.path.dirname(HERE)])
    with open(mark + '.new', 'w') as file:
        file.write(key)
    os.replace(mark + '.new', mark)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', help='where the environment goes')
    parser.add_argument(
        '--torch',
        default='',
        metavar='"REQUIREMENT ..."',
        help='pip arguments for another build of torch and torchvision than the lock has',
    )
    args = parser.parse_args()
    args.folder = os.path.realpath(args.folder)  # python -m venv refuses a link
    # The environment is rebuilt if any of these changes, or if the clone is moved.
    recipe = '%s %s %d.%d ' % ((args.torch, HERE) + sys.version_info[:2])
    for path in (LOCK, os.path.abspath(__file__)):
        with open(path) as file:
            recipe += file.read()
    key = hashlib.sha256(recipe.encode()).hexdigest()
    mark = os.path.join(args.folder, 'ca_hrnet_plugin.lock')
    if os.path.exists(mark):
        with open(mark) as file:
            if file.read() == key:
                return
    check_machine(args.folder)
    build(args.folder, args.torch, key, mark)


if __name__ == '__main__':
    main()
