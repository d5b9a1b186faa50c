from pathlib import Path

from ca_hrnet_plugin.comparison import launch
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
