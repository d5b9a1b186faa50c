"""``python -m ca_hrnet_plugin``, for configs of this plugin and of other packages."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.config_files import config_names
from ca_hrnet_plugin.preflight import main

NAME = 'ca_hrnet_w16_coco_128x96'


@pytest.mark.parametrize('arguments', [[], [NAME], ['nothing']])
def test_a_path_is_printed_without_importing_torch(arguments):
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore', 'PYTHONPROFILEIMPORTTIME': '1'}
    # Elsewhere, where the clone does not hide an installed wheel.
    command = [sys.executable, '-m', 'ca_hrnet_plugin', *arguments]
    run = subprocess.run(command, cwd=tempfile.gettempdir(), env=environment, capture_output=True, text=True)
    imported = {line.rpartition('|')[2].strip() for line in run.stderr.splitlines()}
    assert 'ca_hrnet_plugin.config_files' in imported
    assert not imported & {'torch', 'mmpose', 'mmengine', 'numpy'}
    if arguments == ['nothing']:
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1].startswith("no config 'nothing': ")
    else:
        assert run.stdout.splitlines() == ([config_path(NAME)] if arguments else config_names())


def test_a_detector_is_checked(tmp_path, capsys):
    root = tmp_path / 'coco'
    boxes = [dict(id=7, image_id=1, category_id=1, bbox=[4, 4, 40, 40], area=1600, iscrowd=0)]
    images = [dict(id=index, file_name=f'{index}.png', width=64, height=48) for index in (1, 2)]
    content = dict(images=images, annotations=boxes, categories=[dict(id=1, name='person')])
    for split in ('train', 'val'):
        (root / f'{split}2017').mkdir(parents=True)
        (root / f'{split}.json').write_text(json.dumps(content))
        for image in images:
            (root / f'{split}2017' / image['file_name']).write_bytes(b'a picture')
    mmdet = Path(pytest.importorskip('mmdet').__file__).parent
    config = str(mmdet / '.mim/configs/faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    options = ['model.backbone.init_cfg=None', f'val_evaluator.ann_file={root}/val.json']
    for split in ('train', 'val'):
        dataset = f'{split}_dataloader.dataset'
        options += [f'{dataset}.data_root={root}/', f'{dataset}.ann_file={split}.json']
    assert main([config, '--cfg-options', *options]) == 0
    output = capsys.readouterr().out
    assert f'train_dataloader: 1 images of {root}/train2017/ exist' in output, 'the other has no box'
    assert f'val_dataloader: 2 images of {root}/val2017/ exist' in output

    del boxes[0]['area']
    (root / 'train.json').write_text(json.dumps(content))
    (root / 'val2017/2.png').unlink()
    assert main([config, '--cfg-options', *options]) == 1
    output = capsys.readouterr().out
    assert f'problem: annotation 7 of {root}/train.json has no area' in output
    assert f'problem: image 2 of {root}/val.json is missing' in output
    assert output.endswith('2 problems\n')


def test_a_config_of_this_plugin_is_checked_by_name(drawn_data, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))
    assert main([NAME]) == 0
    assert capsys.readouterr().out.endswith(f'{NAME}, to train: no problems\n')

    checkpoint = f'{tmp_path}/nothing.pth'
    options = ('--for', 'test', '--checkpoint', checkpoint, '--cfg-options', 'data_root=elsewhere', 'test_cfg=None')
    assert main([NAME, *options]) == 1
    output = capsys.readouterr().out
    assert f'problem: checkpoint {checkpoint} (load_from) not found' in output
    assert output.endswith(f'{NAME}, to test: 1 problem\n')


@pytest.mark.parametrize(
    ('settings', 'options', 'message'),
    [
        ('train_cfg = (', [], 'cannot be read: SyntaxError'),
        ('x = 1', ['--cfg-options', 'y'], 'give KEY=VALUE'),
        (None, [], 'is neither a file nor a name'),
    ],
)
def test_a_config_or_option_that_cannot_be_read_exits_with_2(tmp_path, capsys, settings, options, message):
    config = tmp_path / 'config.py'
    if settings:
        config.write_text(settings)
    with pytest.raises(SystemExit) as stop:
        main([str(config), *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
