"""Training that is killed and goes on with ``--resume``."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from ca_hrnet_plugin import config_path

REPEATABLE = (
    'randomness.seed=0',
    'randomness.deterministic=True',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.batch_size=16',
)


@pytest.fixture
def train(working_mim, drawn_data, tmp_path):
    """Starts a training of three epochs in a work dir, in a process group of its own."""

    def start(work_dir, *arguments):
        command = [sys.executable, '-m', 'mim', 'train', 'mmpose', config_path('demo/ca_hrnet_w16_128x96')]
        options = ('train_cfg.max_epochs=3', 'train_cfg.val_interval=1', 'default_hooks.logger.interval=1')
        return subprocess.Popen(
            [*command, '--work-dir', work_dir, *arguments, '--cfg-options', *options, *REPEATABLE],
            env={**os.environ, 'CA_HRNET_DATA': str(drawn_data), 'PYTHONWARNINGS': 'ignore', 'OMP_NUM_THREADS': '1'},
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    return start


def num_iterations(work_dir):
    lines = [line for path in work_dir.glob('*/vis_data/scalars.json') for line in path.read_text().splitlines()]
    return sum('loss' in json.loads(line) for line in lines if line.endswith('}'))


def kill_at(process, moment):
    while not moment():
        assert process.poll() is None, 'ended before'
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def weights(work_dir):
    return torch.load(work_dir / 'epoch_3.pth', weights_only=False)['state_dict']


def test_a_training_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(train, tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    assert train(whole).wait() == 0
    per_epoch = num_iterations(whole) // 3
    assert per_epoch > 2

    kill_at(
        train(killed), lambda: any(path.read_text() for path in killed.glob('last_checkpoint'))
    )  # in the validation after the first epoch
    assert 'AP' not in ''.join(path.read_text() for path in killed.glob('*/vis_data/scalars.json'))
    iterations = random.randint(per_epoch + 1, 3 * per_epoch - 2)
    kill_at(train(killed, '--resume'), lambda: num_iterations(killed) >= iterations)
    assert not (killed / 'epoch_3.pth').exists()
    (killed / 'epoch_3.pth').write_bytes((killed / 'epoch_1.pth').read_bytes()[:10000])  # as if killed while writing it
    assert train(killed, '--resume').wait() == 0

    torch.testing.assert_close(weights(killed), weights(whole), rtol=0, atol=0)
