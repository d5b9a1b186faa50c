"""``python -m ca_hrnet_plugin``, for configs of this plugin and of others."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.config_files import config_names
from ca_hrnet_plugin.preflight import main

NAME = 'ca_hrnet_w16_coco_128x96'


def run(*arguments, **environment) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore', **environment}
    command = [sys.executable, *map(str, arguments)]
    # Elsewhere, where the clone does not hide an installed wheel.
    return subprocess.run(command, cwd=tempfile.gettempdir(), env=environment, capture_output=True, text=True)


@pytest.mark.parametrize('names', [[], [NAME]])
def test_a_path_is_given_without_importing_torch(names):
    command = run('-m', 'ca_hrnet_plugin', *names, PYTHONPROFILEIMPORTTIME='1')
    assert command.stdout.splitlines() == ([config_path(NAME)] if names else config_names())
    imported = {line.rpartition('|')[2].strip() for line in command.stderr.splitlines()}
    assert 'ca_hrnet_plugin.config_files' in imported
    assert not imported & {'torch', 'mmpose', 'mmengine', 'numpy'}


def test_an_unknown_name_ends_with_one_line():
    command = run('-m', 'ca_hrnet_plugin', 'nothing')
    assert command.returncode == 1
    assert "no config 'nothing': there are" in command.stderr
    assert command.stderr.count('\n') == 1


@pytest.fixture
def detection_config(tmp_path):
    """MMDetection's Faster R-CNN over two images, one with a box and no keypoint anywhere."""
    images = [dict(id=index, file_name=f'{index}.png', width=64, height=48) for index in (1, 2)]
    boxes = [dict(id=7, image_id=1, category_id=1, bbox=[4, 4, 40, 40], area=1600, iscrowd=0)]
    content = dict(images=images, annotations=boxes, categories=[dict(id=1, name='person')])
    for split in ('train', 'val'):
        (tmp_path / f'coco/{split}2017').mkdir(parents=True)
        for image in images:
            (tmp_path / f'coco/{split}2017' / image['file_name']).write_bytes(b'a picture')
        (tmp_path / 'coco/annotations').mkdir(exist_ok=True)
        (tmp_path / f'coco/annotations/instances_{split}2017.json').write_text(json.dumps(content))
    base = Path(pytest.importorskip('mmdet').__file__).with_name('.mim') / 'configs/faster_rcnn'
    config = tmp_path / 'detector.py'
    root = f'{tmp_path}/coco/'
    config.write_text(
        f'_base_ = {str(base / "faster-rcnn_r50_fpn_1x_coco.py")!r}\n'
        'model = dict(backbone=dict(init_cfg=None))\n'
        f'train_dataloader = val_dataloader = dict(dataset=dict(data_root={root!r}))\n'
        f'val_evaluator = dict(ann_file={root + "annotations/instances_val2017.json"!r})\n'
    )
    return config


def test_a_detector_is_checked(detection_config, tmp_path, capsys):
    assert main([str(detection_config)]) == 0
    output = capsys.readouterr().out
    root = f'{tmp_path}/coco'
    assert f'{root}/annotations/instances_train2017.json: 2 images, 1 annotations' in output
    assert f'train_dataloader: 1 images of {root}/train2017/ are there' in output, 'the other has no box'
    assert f'val_dataloader: 2 images of {root}/val2017/ are there' in output

    path = tmp_path / 'coco/annotations/instances_train2017.json'
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | dict(annotations=[content['annotations'][0] | dict(bbox=[1, 2])])))
    (tmp_path / 'coco/val2017/2.png').unlink()
    assert main([str(detection_config)]) == 1
    output = capsys.readouterr().out
    assert f'trouble: annotation 7 of {path} has bbox [1, 2]' in output
    assert f'trouble: image 2 of {root}/annotations/instances_val2017.json is missing' in output
    assert output.endswith('2 troubles\n')


def test_another_scopes_type_is_found_by_its_prefix(detection_config, tmp_path, capsys):
    with detection_config.open('a') as file:
        file.write("default_scope = 'mmpose'\n")
        for split in ('train', 'val'):
            file.write(f"{split}_dataloader['dataset']['type'] = 'mmdet.CocoDataset'\n")
        file.write("val_evaluator['type'] = 'mmdet.CocoMetric'\n")
    assert main([str(detection_config)]) == 0
    assert 'train_dataloader: 1 images' in capsys.readouterr().out


def test_the_command_says_what_it_looked_at_and_exits_by_what_it_found(drawn_data, tmp_path):
    command = run('-m', 'ca_hrnet_plugin', 'check', NAME, CA_HRNET_DATA=str(drawn_data))
    assert command.returncode == 0, command.stdout + command.stderr
    assert command.stdout.endswith(f'{NAME}, to train: no trouble\n')
    assert re.search(r'train_dataloader: [1-9]\d* annotations of', command.stdout)

    checkpoint = tmp_path / 'nothing.pth'
    arguments = ('--for', 'test', '--checkpoint', checkpoint, '--cfg-options', 'data_root=elsewhere', 'test_cfg=None')
    command = run('-m', 'ca_hrnet_plugin', 'check', NAME, *arguments, CA_HRNET_DATA=str(drawn_data))
    assert command.returncode == 1
    (line,) = [line for line in command.stdout.splitlines() if line.startswith('trouble: ')]
    assert f'{checkpoint} (load_from) not found' in line
    assert 'Traceback' not in command.stderr


@pytest.mark.parametrize(
    ('config', 'options', 'told'),
    [
        ('nothing', [], 'nothing is no file and no config of this plugin'),
        ('x' * 5000, [], 'is no file and no config of this plugin'),
        ('train_cfg = (', [], 'cannot be read: SyntaxError'),
        ('raise RuntimeError("a\\nb")', [], 'cannot be read: RuntimeError: a b'),
        ("_base_ = 'nowhere.py'", [], 'cannot be read: FileNotFoundError'),
        ('x = 1', ['--cfg-options', 'y'], 'give KEY=VALUE'),
        ('x = 1', ['--cfg-options', 'x.y.z=1'], 'cannot be read'),
        ('x = 1', ['--for', 'luck'], 'invalid choice'),
    ],
)
def test_a_config_or_command_that_cannot_be_read_exits_with_2(tmp_path, capsys, config, options, told):
    path = tmp_path / 'config.py'
    path.write_text(config)
    with pytest.raises(SystemExit) as stop:
        main([str(path) if ' ' in config else config, *options])
    assert stop.value.code == 2
    *usage, line = capsys.readouterr().err.splitlines()
    assert told in line
    assert not usage or (usage[0].startswith('usage: ') and options)


@pytest.mark.parametrize('settings', ['x = 1', "train_cfg = dict()\ntrain_dataloader = 'x'\ntrain_evaluator = 3"])
def test_a_config_with_little_in_it_is_no_trouble(tmp_path, settings, capsys):
    (tmp_path / 'config.py').write_text(settings)
    assert main([str(tmp_path / 'config.py')]) == 0


def test_without_pydantic_the_command_says_what_to_install_and_the_plugin_is_imported(drawn_data, tmp_path):
    (tmp_path / 'pydantic.py').write_text('raise ImportError("no pydantic here")')
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get('PYTHONPATH')])])
    command = run('-m', 'ca_hrnet_plugin', 'check', NAME, PYTHONPATH=path, CA_HRNET_DATA=str(drawn_data))
    assert command.returncode == 2
    assert "pip install 'pydantic>=2.8'" in command.stderr.splitlines()[-1]
    assert 'Traceback' not in command.stderr
