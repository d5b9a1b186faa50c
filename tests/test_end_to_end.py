"""Trainings in this process. tests/tools/test_demo.py has one by mim, from the data to the report."""

import json
from pathlib import Path

from mmengine.config import Config

from ca_hrnet_plugin import config_path

NARROW = 'demo/ca_hrnet_w16_128x96_finetune'


def read(path):
    return json.loads(Path(path).read_text())


def test_a_narrow_network_trains_on_photographs_and_uses_detected_boxes(runner, real_data):
    options = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1, 'train_dataloader.dataset.indices': 16}
    options['model.test_cfg.flip_test'] = False
    run = runner('ca_hrnet_w16_coco_128x96', real_data, **options)
    run.train()
    assert run.message_hub.get_scalar('val/coco/AP').current() >= 0


def test_a_narrow_network_learns_a_handful_of_people_by_heart(runner, drawn_data, tmp_path):
    content = read(drawn_data / 'coco/annotations/person_keypoints_train2017.json')
    content['annotations'].sort(key=lambda person: (person['num_keypoints'], person['area']))
    handful = str(tmp_path / 'handful.json')
    Path(handful).write_text(json.dumps(content | dict(annotations=content['annotations'][-4:])))
    pipeline = Config.fromfile(config_path(NARROW)).train_pipeline
    pipeline = [transform for transform in pipeline if not transform['type'].startswith(('Random', 'Photo'))]
    data = dict(ann_file=handful, data_prefix=dict(img='train2017/'))
    options = {
        'train_cfg': dict(max_epochs=25, val_interval=25),
        'param_scheduler': [dict(type='MultiStepLR', milestones=[18, 22], gamma=0.1)],
        'optim_wrapper.optimizer.lr': 2e-3,
        'custom_hooks': [],
        'default_hooks': dict(logger=dict(interval=1000), checkpoint=dict(interval=1000, save_best=None)),
        'model.test_cfg.flip_test': False,  # nothing is flipped in training
        'train_dataloader.dataset': data | dict(pipeline=pipeline),
        'val_dataloader.dataset': data | dict(pipeline=[part for part in pipeline if part['type'] != 'GenerateTarget']),
        'val_evaluator.ann_file': handful,
    }
    run = runner(NARROW, drawn_data, **options)
    run.train()
    assert run.message_hub.get_scalar('val/coco/AP').current() > 0.5
