import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import mmpose
import pytest
from mmengine.config import Config

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checks.config import missing_inputs

TRAIN = ('train', 'val')


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The paper's config over a complete, if hollow, data folder, from scratch."""
    monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path))
    for name in (
        'annotations/person_keypoints_train2017.json',
        'annotations/person_keypoints_val2017.json',
        'person_detection_results/COCO_val2017_detections_AP_H_56_person.json',
        'train2017/1.jpg',
        'val2017/1.jpg',
    ):
        path = tmp_path / 'coco' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    config = Config.fromfile(config_path('ca_hrnet_w32_coco_256x192'))
    config.model.backbone.init_cfg = None
    return config


def test_nothing_is_missing_where_everything_is_there(config):
    assert list(missing_inputs(config, TRAIN)) == []
    assert list(missing_inputs(config, ('test',))) == []


@pytest.mark.parametrize(
    ('name', 'parts'),
    [
        ('annotations/person_keypoints_train2017.json', TRAIN),
        ('annotations/person_keypoints_val2017.json', TRAIN),
        ('annotations/person_keypoints_val2017.json', ('test',)),
        ('person_detection_results/COCO_val2017_detections_AP_H_56_person.json', TRAIN),
        ('person_detection_results/COCO_val2017_detections_AP_H_56_person.json', ('test',)),
    ],
)
def test_a_missing_file_is_named_with_the_way_out(config, tmp_path, name, parts):
    (tmp_path / 'coco' / name).unlink()
    (line,) = missing_inputs(config, parts)
    assert str(tmp_path / 'coco' / name) in line
    assert 'CA_HRNET_DATA' in line
    assert '\n' not in line


def test_a_missing_image_folder_is_named(config, tmp_path):
    (tmp_path / 'coco/train2017/1.jpg').unlink()
    (tmp_path / 'coco/train2017').rmdir()
    assert 'train2017 (images of train_dataloader)' in next(missing_inputs(config, TRAIN))


def test_testing_needs_no_training_data(config, tmp_path):
    (tmp_path / 'coco/annotations/person_keypoints_train2017.json').unlink()
    assert list(missing_inputs(config, ('test',))) == []


def test_no_validation_needs_no_validation_data(config, tmp_path):
    (tmp_path / 'coco/annotations/person_keypoints_val2017.json').unlink()
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    assert list(missing_inputs(config, TRAIN)) == []


def test_wrapped_datasets_are_looked_into(config, tmp_path):
    config.train_dataloader.dataset = dict(
        type='CombinedDataset', datasets=[dict(type='CocoDataset', data_root=str(tmp_path), ann_file='other.json')]
    )
    assert str(tmp_path / 'other.json') in next(missing_inputs(config, TRAIN))


@pytest.fixture
def server():
    """A web server on this machine that has /there.pth and nothing else."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200 if self.path == '/there.pth' else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()


def test_a_pretrained_checkpoint_is_asked_for(config, server, monkeypatch, tmp_path):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch_home'))

    def lines(checkpoint):
        config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
        return list(missing_inputs(config, TRAIN))

    assert lines(f'{server}/there.pth') == []
    for checkpoint, trouble in (
        (f'{server}/gone.pth', 'is not there'),
        ('http://127.0.0.1:1/unreachable.pth', 'cannot be reached'),
        (str(tmp_path / 'nowhere.pth'), 'not found'),
    ):
        (line,) = lines(checkpoint)
        assert checkpoint in line
        assert trouble in line
        assert '--cfg-options model.backbone.init_cfg.checkpoint=' in line

    cached = tmp_path / 'torch_home/hub/checkpoints/unreachable.pth'
    cached.parent.mkdir(parents=True)
    cached.touch()
    assert lines('http://127.0.0.1:1/unreachable.pth') == [], 'what was fetched before needs no server'


def test_a_missing_checkpoint_to_load_is_named(config):
    config.load_from = 'work_dirs/nothing.pth'
    assert 'work_dirs/nothing.pth (load_from) not found' in next(missing_inputs(config, ('test',)))


@pytest.mark.parametrize('script', ['train.py', 'test.py'])
def test_the_scripts_of_mmpose_end_with_one_line_and_write_nothing(script, tmp_path):

    script = Path(mmpose.__file__).parent / '.mim/tools' / script
    arguments = [config_path('ca_hrnet_w32_coco_256x192')] + (['nothing.pth'] if script.name == 'test.py' else [])
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore'}
    environment.pop('CA_HRNET_DATA', None)
    run = subprocess.run(
        [sys.executable, script, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 1
    (line,) = [line for line in run.stderr.splitlines() if line and 'mmengine - INFO' not in line]
    assert line.startswith('cannot start: ')
    assert 'data/coco/annotations/person_keypoints_val2017.json' in line
    assert list(tmp_path.iterdir()) == []
