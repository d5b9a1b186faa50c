"""How the runs of a comparison are started, and what is shown meanwhile."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
import torch

from ca_hrnet_plugin.comparison import Launch, launch, run_all
from ca_hrnet_plugin.comparison.launch import Progress, Run, Step


def train_until(log: Path, epoch: int):
    log.write_text(f'mmengine - INFO - Epoch(train)   [{epoch}][50/50]  lr: 1.0e-03\n')


def test_the_time_left_counts_what_this_command_has_done(tmp_path, monkeypatch, capsys):
    clock = 1000.0
    monkeypatch.setattr(launch.time, 'monotonic', lambda: clock)
    logs = [tmp_path / 'resumed.log', tmp_path / 'new.log']
    resumed, new = (Run('HRNet', log.stem, [Step(['train'], log)], num_epochs=10) for log in logs)
    train_until(logs[0], 5)  # by an earlier command
    progress = Progress('train', 2)

    progress.started(resumed)
    clock += 600
    progress.finished(resumed)
    progress.started(new)
    train_until(logs[1], 5)  # half of this run before it is shown for the first time
    clock += 600
    progress.show([new])
    # 1.5 trainings to do in all, of which 20 minutes did 1.
    assert capsys.readouterr().err == 'train: 67%, 10 min left (HRNet, new 50%)\n'


def test_sigterm_interrupts_and_ends_all_processes(tmp_path, monkeypatch):
    (tmp_path / 'mim.py').write_text('import os, time; print(os.getpid(), flush=True); time.sleep(100)')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    log = tmp_path / 'train.log'

    def terminate_when_started():
        while not (log.exists() and log.read_text().splitlines()[1:]):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=terminate_when_started, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_all([Run('HRNet', 'seed0', [Step(['train'], log)])], Launch(), tmp_path, Progress('train', 1))
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text().splitlines()[1]), 0)


@pytest.mark.parametrize('visible', [None, '4,5,6,7'])
def test_each_job_has_gpus_of_its_own(tmp_path, monkeypatch, visible):
    (tmp_path / 'mim.py').write_text("import os, sys; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    if visible:
        monkeypatch.setenv('CUDA_VISIBLE_DEVICES', visible)
    logs = [tmp_path / f'{number}.log' for number in range(2)]
    runs = [Run('HRNet', log.stem, [Step(['train'], log)]) for log in logs]
    assert not run_all(runs, Launch(jobs=2, gpus=2), tmp_path, Progress('train', 2))
    seen = [log.read_text().splitlines()[-1] for log in logs]
    assert sorted(seen) == (['4,5', '6,7'] if visible else ['0,1', '2,3'])
    with pytest.raises(ValueError, match=r'3 jobs of 2 GPUs need 6, and 4 are visible: give fewer --jobs or --gpus'):
        run_all(runs, Launch(jobs=3, gpus=2), tmp_path, Progress('train', 2))
