"""The demo from end to end, on too few images to learn from."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

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


def read(path: Path):
    return json.loads(path.read_text())


def read_scalars(run: Path) -> list[dict]:
    return [json.loads(line) for file in run.glob('*/vis_data/scalars.json') for line in file.read_text().splitlines()]


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
    scalars = {run: read_scalars(run) for run in runs}
    for run in begun:
        assert sorted(line['epoch'] for line in scalars[run] if 'loss' in line) == [1, 2], 'no epoch is trained twice'
    for network, run in zip(('HRNet', 'CA-HRNet'), runs, strict=True):
        assert sum('coco/AP' in line for line in scalars[run]) == 1, 'validated after the last epoch'
        checkpoint = torch.load(run / 'epoch_2.pth', weights_only=False)
        assert checkpoint['meta']['epoch'] == 2
        assert any('.ca.' in key for key in checkpoint['state_dict']) == (network == 'CA-HRNet')
        assert {len(person['keypoints']) for person in read(run / 'poses.keypoints.json')} == {17 * 3}
        assert read(run / 'metrics.json').keys() >= {'coco/AP', 'coco/AP .5', 'coco/AP (M)', 'coco/AR (L)'}
    verdict, page = printed.splitlines()
    assert verdict.startswith('CA-HRNet')
    assert page.startswith('open ')
    assert (out / 'report/index.html').stat().st_size < 1.5e6
