"""The demo from end to end, on too few images to learn from."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / 'tools/demo.py'


@pytest.fixture
def start(tmp_path, working_mim):
    """Starts the quick demo as a process group, which Ctrl-C on a terminal reaches as a whole."""

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, DEMO, '--quick', '--out', tmp_path / 'the demo'],
            env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def test_the_demo_goes_on_after_ctrl_c_and_ends_with_a_verdict_and_a_page(start, tmp_path):
    out = tmp_path / 'the demo'
    runs = [out / f'{network}/seed0' for network in ('HRNet', 'CA-HRNet')]
    interrupted = start()
    while not any((run / 'last_checkpoint').exists() for run in runs):
        assert interrupted.poll() is None, interrupted.stderr.read()
        time.sleep(0.05)
    os.killpg(interrupted.pid, signal.SIGINT)
    _, stderr = interrupted.communicate()
    assert stderr.endswith('interrupted: run the same command to continue\n')
    assert interrupted.returncode
    begun = [run for run in runs if (run / 'last_checkpoint').exists()]

    resumed = start()
    printed, stderr = resumed.communicate()
    assert resumed.returncode == 0, stderr
    assert 'start of HRNet, CA-HRNet: the result on the test data is the same, byte for byte' in stderr
    for run in begun:
        epochs = [
            json.loads(line)['epoch']
            for scalars in run.glob('*/vis_data/scalars.json')
            for line in scalars.read_text().splitlines()
            if '"loss"' in line
        ]
        assert sorted(epochs) == [1, 2], 'no epoch is trained twice'
    for run in runs:
        assert json.loads((run / 'metrics.json').read_text())['coco/AP'] >= 0
    verdict, page = printed.splitlines()
    assert verdict.startswith('CA-HRNet')
    assert page.startswith('open ')
    assert (out / 'report/index.html').stat().st_size < 1.5e6
