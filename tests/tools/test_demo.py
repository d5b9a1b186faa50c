"""The demo from end to end, on too few images to learn from."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

DEMO = Path(__file__).parents[2] / 'tools/demo.py'


def read(path: Path):
    return json.loads(path.read_text())


def test_the_quick_demo_draws_trains_compares_and_ends_with_a_verdict_and_a_page(working_mim, tmp_path):
    out = tmp_path / 'the demo'
    command = [sys.executable, DEMO, '--quick', '--out', out]
    run = subprocess.run(command, env={**os.environ, 'PYTHONWARNINGS': 'ignore'}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert 'start of HRNet, CA-HRNet: the result on the test data is the same, byte for byte' in run.stderr
    for network in ('HRNet', 'CA-HRNet'):
        work_dir = out / network / 'seed0'
        (file,) = work_dir.glob('*_*/vis_data/scalars.json')
        scalars = [json.loads(line) for line in file.read_text().splitlines()]
        assert [line['epoch'] for line in scalars if 'loss' in line] == [1, 2]
        assert sum('coco/AP' in line for line in scalars) == 1, 'validated after the last epoch'
        checkpoint = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
        assert any('.ca.' in key for key in checkpoint['state_dict']) == (network == 'CA-HRNet')
        assert {len(person['keypoints']) for person in read(work_dir / 'poses.keypoints.json')} == {17 * 3}
        assert read(work_dir / 'metrics.json').keys() >= {'coco/AP', 'coco/AP .5', 'coco/AP (M)', 'coco/AR (L)'}
    verdict, page = run.stdout.splitlines()
    assert verdict.startswith('CA-HRNet')
    assert page.startswith('open ')
    assert (out / 'report/index.html').stat().st_size < 1.5e6
