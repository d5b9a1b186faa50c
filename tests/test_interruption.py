"""Training that is killed and goes on with ``--resume``."""

import json
import os
import random
import signal
import time

import torch


def num_iterations(work_dir):
    lines = [line for path in work_dir.glob('*/vis_data/scalars.json') for line in path.read_text().splitlines()]
    return sum('loss' in json.loads(line) for line in lines if line.endswith('}'))


def weights(work_dir):
    return torch.load(work_dir / 'epoch_3.pth', weights_only=False)['state_dict']


def test_a_killed_training_ends_with_the_weights_of_an_uninterrupted_one(start_training, trained_work_dir, tmp_path):
    per_epoch = num_iterations(trained_work_dir) // 3
    moment = random.randint(per_epoch + 1, 3 * per_epoch - 2)  # in the second or third epoch
    work_dir = tmp_path / 'killed'
    process = start_training(work_dir)
    while num_iterations(work_dir) < moment:
        assert process.poll() is None, (tmp_path / 'killed.log').read_text()[-3000:]
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    assert not (work_dir / 'epoch_3.pth').exists()
    (work_dir / 'epoch_3.pth').write_bytes((work_dir / 'epoch_1.pth').read_bytes()[:10000])  # as if killed in writing
    assert start_training(work_dir, '--resume').wait() == 0, (tmp_path / 'killed.log').read_text()[-3000:]
    logs = [path.read_text().splitlines() for path in sorted(work_dir.glob('*/vis_data/scalars.json'))]
    assert json.loads(logs[1][0])['epoch'] > 1, 'the first epoch is not trained again'
    torch.testing.assert_close(weights(work_dir), weights(trained_work_dir), rtol=0, atol=0)
