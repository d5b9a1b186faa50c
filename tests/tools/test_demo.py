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
def start(tmp_path):
    """Starts the quick demo as a process group, which Ctrl-C on a terminal reaches as a whole."""

    def start() -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, DEMO, '--quick', '--out', tmp_path / 'demo'],
            env={**os.environ, 'PYTHONWARNINGS': 'ignore'},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def test_the_demo_goes_on_after_ctrl_c_and_ends_with_a_table_and_a_page(start, tmp_path):
    out = tmp_path / 'demo'
    interrupted = start()
    while not (out / 'start/last_checkpoint').exists():
        assert interrupted.poll() is None, interrupted.stderr.read()
        time.sleep(0.05)
    os.killpg(interrupted.pid, signal.SIGINT)
    _, stderr = interrupted.communicate()
    assert stderr.endswith('interrupted: run the same command to continue\n')
    assert interrupted.returncode
    assert not (out / 'start/epoch_2.pth').exists()

    resumed = start()
    printed, stderr = resumed.communicate()
    assert resumed.returncode == 0, stderr
    last_run = max((out / 'start').glob('*/vis_data/scalars.json'))
    records = [json.loads(line) for line in last_run.read_text().splitlines()]
    assert {record['epoch'] for record in records if 'loss' in record} <= {2}, 'the first epoch is not trained again'
    assert 'byte for byte' in printed
    assert [
        line.split('  ')[0] for line in printed.splitlines() if line.startswith(('start', 'HRNet', 'CA-HRNet'))
    ] == [
        'start',
        'HRNet + 2',
        'CA-HRNet + 2',
        'CA-HRNet + 2 - HRNet + 2',
        'CA-HRNet + 2 - HRNet + 2, 95 % over images',
    ]
    assert 'CA-HRNet, further: 100%' in stderr
    assert (out / 'report/index.html').stat().st_size < 1e6
