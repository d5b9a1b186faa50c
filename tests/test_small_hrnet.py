"""The trained network that comes with the package, by what docs/small_hrnet.md says of it."""

import json
from pathlib import Path

import torch

from ca_hrnet_plugin import SMALL_HRNET


def test_it_is_a_small_file_in_half_precision():
    assert Path(SMALL_HRNET).stat().st_size <= 2.8e6
    weights = torch.load(SMALL_HRNET)['state_dict'].values()
    assert {tensor.dtype for tensor in weights if tensor.is_floating_point()} == {torch.float16}


def average_precision(runner, data_root, **options) -> float:
    return runner('demo/hrnet_w16_128x96', data_root, load_from=SMALL_HRNET, **options).test()['coco/AP']


def test_it_finds_the_joints_of_drawn_people(runner, drawn_data):
    assert average_precision(runner, drawn_data) > 0.1


def test_it_finds_the_joints_of_people_in_photographs(runner, slice_of, write_json):
    ann_file = slice_of('coco_people', 'annotations', 'person_keypoints_val2017.json')
    content = json.loads(ann_file.read_text())
    few = {image['id'] for image in content['images'][:40]}
    content['images'] = content['images'][:40]
    content['annotations'] = [person for person in content['annotations'] if person['image_id'] in few]
    assert sum(person['num_keypoints'] > 0 for person in content['annotations']) > 60
    options = {
        'test_dataloader.dataset.ann_file': write_json('few.json', content),
        'test_dataloader.dataset.data_prefix.img': str(ann_file.parents[1] / 'val2017'),
        'test_evaluator.ann_file': write_json('few.json', content),
    }
    assert average_precision(runner, ann_file.parents[2], **options) > 0.2
