import json
import math
import re
from pathlib import Path

import pytest
from mmpose.datasets import CocoDataset
from PIL import Image

from ca_hrnet_plugin.preflight import check_config


def problems(config, purpose='train', **kwargs):
    lines = check_config(config, purpose, **kwargs).problems
    assert not any('\n' in line for line in lines)
    return lines


@pytest.mark.parametrize('name', ['train', 'photos', 'val', 'boxes'])
def test_a_missing_file_or_folder_is_reported_once(config, coco, name):
    assert problems(config) == problems(config, 'test') == []
    path = getattr(coco, name)
    path.rename(path.with_name('elsewhere'))
    for purpose in ('train', 'test'):
        lines = problems(config, purpose)
        assert len(lines) == (purpose == 'train' or name in ('val', 'boxes'))
        assert all(re.match(f'{path}/? .* is missing', line) and 'CA_HRNET_DATA' in line for line in lines)


def test_invalid_annotations_and_detections_are_problems(config, coco, change):
    change(lambda content: content['annotations'][0].pop('keypoints'))
    (line,) = problems(config)
    assert f'annotation 501 of {coco.val} has no keypoints' in line, 'training leaves the person out'
    change(lambda content: content['annotations'][0].update(area=math.nan, keypoints=[1] * 51))
    train, val = problems(config)
    assert f'annotation 501 of {coco.train} has area nan' in train
    assert f'annotation 501 of {coco.val} has area nan' in val
    change(lambda content: content['annotations'][0].update(area=700))
    boxes = json.loads(coco.boxes.read_text())
    coco.boxes.write_text(json.dumps([*boxes, boxes[0] | dict(category_id=2)]))
    assert f'2 detections of {coco.boxes} are used; left out: 1 of other' in str(check_config(config, 'test').notes)
    coco.boxes.write_text(json.dumps([*boxes, boxes[0] | dict(score=None)]))
    (line,) = problems(config, 'test')
    assert f'detection number 2 of {coco.boxes} has score None' in line


@pytest.mark.parametrize(
    ('category', 'listed', 'problem'), [(0, 1, 'leaves nothing to evaluate'), (7, 7, 'category 7')]
)
def test_categories_that_do_not_meet_are_a_problem(config, coco, change, category, listed, problem):
    """COCOeval would give AP -1, or 0 to perfect poses: MMPose's people in detected boxes are of category 1."""

    def set_category(content):
        content['categories'][0]['id'] = listed
        for person in content['annotations']:
            person['category_id'] = category

    change(set_category)
    (line,) = problems(config, 'test')
    assert problem in line
    if listed == category:
        config.test_dataloader.dataset.bbox_file = None
        assert problems(config, 'test') == []


def test_boxes_of_one_category_beside_people_of_two_are_a_problem(config, coco, change):
    """COCOeval averages over categories, and nobody is found of the second."""
    change(lambda content: content['categories'].append(dict(id=2, name='rider')))
    assert problems(config, 'test') == []
    change(lambda content: content['annotations'][0].update(category_id=2))
    (line,) = problems(config, 'test')
    assert f'{coco.val} has people of categories [1, 2]' in line
    config.test_dataloader.dataset.bbox_file = None
    assert problems(config, 'test') == []


def test_crowd_pose_s_evaluation_needs_its_crowd_index(config, coco):
    config.test_evaluator.iou_type = 'keypoints_crowd'
    (line,) = problems(config, 'test')
    assert f'image 31 of {coco.val} has no crowdIndex' in line


def test_what_mmpose_leaves_out_is_counted_by_reason(config, coco, change):
    boxes = [dict(bbox=[5, 5, 0, 9]), dict(bbox=[9, 9, -5, -5]), dict(bbox=[90, 5, 10, 10])]
    unlabelled = [dict(keypoints=[-1] * 51), dict(num_keypoints=0, keypoints=[0] * 51)]

    def leave_out(content):
        person = content['annotations'][0]
        people = [person | kind for kind in (*boxes, *unlabelled, dict(iscrowd=1), dict(image_id=99))]
        people.append({key: value for key, value in person.items() if key != 'bbox'})
        content['annotations'] += [dict(person, id=600 + index) for index, person in enumerate(people)]

    change(leave_out)
    config.val_cfg = None
    report = check_config(config)
    assert report.problems == []
    notes = str(report.notes)
    reasons = ('1 crowd regions', '2 without a labelled', '3 with an empty box', '1 of images that', '1 without bbox')
    assert [reason for reason in reasons if reason not in notes] == []
    loaded = CocoDataset(ann_file=str(coco.train), serialize_data=False)
    assert f'train_dataloader: {len(loaded)} annotations' in notes


def turn_by_exif(path):
    """Turns a picture by a quarter, as a phone does: OpenCV and MMPose decode it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new('RGB', (64, 48)).save(path, exif=exif)


@pytest.mark.parametrize(
    ('options', 'num_used'),
    [
        (dict(indices=3), 3),
        (dict(indices=-1), 1),
        (dict(indices=[0, 2]), 2),
        (dict(sample_interval=2), 2),
        (dict(filter_cfg=dict(bbox_score_thr=0.95)), 4),
    ],
)
def test_people_are_counted_as_mmpose_loads_them(config, coco, options, num_used):
    config.train_dataloader.dataset.update(options)
    loaded = CocoDataset(ann_file=str(coco.train), serialize_data=False, **options)
    assert len(loaded) == num_used
    report = check_config(config)
    assert f'train_dataloader: {num_used} annotations of' in str(report.notes)
    config.train_dataloader.dataset.update(indices=[], sample_interval=1)
    (line,) = problems(config)
    assert 'holds no instance; left out: 4 by' in line
    config.train_dataloader.dataset.indices = 0.5
    (line,) = problems(config)
    assert line.startswith('indices=0.5 of a data set: give')


@pytest.mark.parametrize(
    ('options', 'message'), [(dict(indices=1), 'indices of test'), (dict(sample_interval=2), 'sample_interval of test')]
)
def test_people_who_are_not_loaded_but_evaluated_are_a_problem(config, coco, options, message):
    """COCOeval would count them as missed: perfect poses would have an AP of 0.5."""
    config.test_dataloader.dataset.update(options, bbox_file=None)
    (line,) = problems(config, 'test')
    assert f'{message}_dataloader leaves out 1 images, and test_evaluator evaluates all of {coco.val}' in line
    config.test_evaluator.ann_file = None
    assert problems(config, 'test') == [], 'the metric takes the people from the data set'
    config.test_evaluator.ann_file = str(coco.val)
    config.test_dataloader.dataset.update(indices=4, sample_interval=1)
    assert problems(config, 'test') == [], 'nobody is left out'


@pytest.mark.parametrize('options', [dict(indices=1), dict(indices=[1]), dict(sample_interval=2), dict(test_mode=True)])
def test_images_of_bottom_up_data_are_counted_as_mmpose_loads_them(config, coco, change, options):
    change(lambda content: content['images'].append(dict(content['images'][1], id=33)))
    options = dict(options, data_mode='bottomup')
    config.train_dataloader.dataset.update(options)
    loaded = CocoDataset(ann_file=str(coco.train), serialize_data=False, **options)
    report = check_config(config)
    assert f'train_dataloader: {len(loaded)} images of {coco.train} are used' in str(report.notes)
    (coco.photos / '32.png').unlink()
    paths = {item['img_path'] for item in loaded.data_list}
    assert bool(problems(config)) == ('32.png' in paths)


@pytest.mark.parametrize(
    ('wrapper', 'problem'),
    [
        (dict(type='RepeatDataset', times=0), 'times=0 of a data set of train_dataloader'),
        (dict(type='CombinedDataset', sample_ratio_factor=[0]), 'sample_ratio_factor=[0] of train_dataloader'),
        (dict(type='CombinedDataset', sample_ratio_factor=[1, 1]), 'for each of 1 data sets'),
        (dict(type='CombinedDataset', sample_ratio_factor=[0.5]), None),
    ],
)
def test_wrappers_that_leave_nothing_to_load_are_a_problem(config, coco, wrapper, problem):
    inner = config.train_dataloader.dataset
    name = 'dataset' if wrapper['type'] == 'RepeatDataset' else 'datasets'
    config.train_dataloader.dataset = wrapper | {name: inner if name == 'dataset' else [inner]}
    lines = problems(config)
    assert len(lines) == (problem is not None)
    assert problem is None or problem in lines[0]


def test_a_batch_that_is_never_full_and_dropped_is_a_problem(config, coco):
    """MMEngine would train on nothing, epoch after epoch."""
    config.train_dataloader.update(batch_size=5, drop_last=True)
    (line,) = problems(config)
    assert 'train_dataloader has batch_size=5 and drop_last=True, and 4 instances' in line
    config.train_dataloader.batch_size = 4
    assert problems(config) == []


def test_detections_below_the_threshold_are_left_out(config, coco):
    config.test_dataloader.dataset.filter_cfg = dict(bbox_score_thr=0.95)
    (line,) = problems(config, 'test')
    assert f'{coco.boxes} (test_dataloader) holds no instance; left out: 2 by bbox_score_thr' in line


def test_data_without_people_is_a_problem(config, coco, change):
    change(lambda content: content.update(annotations=[]))
    config.test_dataloader.dataset.bbox_file = None
    training, validation = problems(config)
    assert f'{coco.train} (train_dataloader) holds no instance' in training
    assert problems(config, 'test') == [validation]
    assert f'{coco.val} leaves nothing to evaluate' in validation


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (Path.touch, 'is empty'),
        (Path.mkdir, 'is not a file'),
        (lambda path: path.symlink_to(path), 'cannot be read (Too many levels'),
        (lambda path: path.write_text('<html>not found</html>'), 'cannot be decoded'),
        (turn_by_exif, 'has another size than its file'),
    ],
)
def test_unusable_images_are_one_line_with_the_first_id(config, coco, damage, message):
    config.train_dataloader.dataset.pipeline[0].backend_args = dict(backend='local')  # which is not remote
    for path in coco.photos.iterdir():
        path.unlink()
        damage(path)
    assert bool(problems(config)) == ('decoded' not in message and 'size' not in message)
    (line,) = problems(config, decode=True)
    assert line.startswith(f'image 31 of {coco.train} {message}')
    assert '(and 1 more like it): ' in line and f'{coco.photos}/31.png' in line


def test_images_are_decoded_as_they_are_loaded(config, coco):
    for path in coco.photos.iterdir():
        turn_by_exif(path)
    assert len(problems(config, decode=True)) == 1
    config.train_dataloader.dataset.pipeline[0].color_type = 'color_ignore_orientation'
    assert problems(config, decode=True) == []


def test_an_image_is_looked_for_where_mmpose_does(config, coco, change):
    for name in ('../../elsewhere.png', '/dev/zero', 'x' * 5000):
        change(lambda content, name=name: content['images'][0].update(file_name=name))
        (line,) = problems(config, 'test')
        assert f'image 31 of {coco.val}' in line
    change(lambda content: content['images'][0].update(file_name='../val2017/31.png'))
    change(lambda content: content['images'][1].update(file_name=str(coco.photos / '32.png')))
    assert problems(config, 'test') == []
    (coco.photos / '32.png').unlink()
    change(lambda content: content.update(annotations=content['annotations'][:2]))
    config.val_cfg = None
    assert problems(config) == [], 'nothing is loaded from the missing image'


@pytest.mark.parametrize('changed', [dict(data_root='s3://bucket/coco'), dict(backend_args=dict(backend='petrel'))])
def test_data_behind_a_remote_backend_is_skipped(config, coco, changed):
    config.val_cfg = None
    coco.photos.rename(coco.photos.with_name('elsewhere'))
    config.train_dataloader.dataset.update(changed)
    report = check_config(config)
    assert report.problems == []
    assert sum(note.endswith('remote backend: skipped') for note in report.notes) == 2, 'annotations and images'


@pytest.mark.parametrize(
    ('changed', 'reason'),
    [
        (dict(type='NoSuchDataset'), 'ValueError: NoSuchDataset is not in the registry'),
        (dict(metainfo=dict(from_file='nowhere.py')), 'FileNotFoundError'),
        (dict(metainfo=dict(dataset_name='mine')), "AssertionError: assert 'keypoint_info' in metainfo"),
    ],
)
def test_a_data_set_that_cannot_be_built_is_a_problem(config, coco, changed, reason):
    config.train_dataloader.dataset.update(changed)
    assert f'Dataset of train_dataloader cannot be built: {reason}' in problems(config)[0]


def test_crowd_regions_alone_are_nothing_to_evaluate(config, coco, change):
    change(lambda content: [person.update(iscrowd=1) for person in content['annotations']])
    config.test_evaluator.ann_file = str(coco.val)
    (line,) = problems(config, 'test')
    assert 'no person has labelled keypoints and iscrowd 0): give annotations of people' in line
