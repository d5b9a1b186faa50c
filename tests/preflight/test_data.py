import json
import math
import os

import pytest
from mmpose.datasets import CocoDataset

from ca_hrnet_plugin.preflight import check_config


def problems(config, purpose='train', **kwargs):
    lines = check_config(config, purpose, **kwargs).problems
    assert not any('\n' in line for line in lines)
    return lines


def first(**values):
    return lambda content: content['annotations'][0].update(values)


@pytest.mark.parametrize(('file', 'purposes'), [('train', ['train']), ('val', ['train', 'test']), ('boxes', ['test'])])
def test_a_missing_file_is_reported_once(config, coco, file, purposes):
    config.val_dataloader.dataset.bbox_file = None
    path = getattr(coco, file)
    path.unlink()
    for purpose in ('train', 'test'):
        lines = problems(config, purpose)
        assert len(lines) == (purpose in purposes)
        assert all(f'{path} (' in line and 'CA_HRNET_DATA' in line for line in lines)


def test_each_missing_folder_of_images_is_one_line(config, coco):
    for split in ('train', 'val'):
        (coco.root / f'{split}2017').rename(coco.root / f'{split}_images')
    train, val = problems(config)
    assert 'train2017/ (images of train_dataloader) is missing' in train
    assert 'val2017/ (images of val_dataloader) is missing' in val
    config.train_dataloader.dataset.data_prefix.img = 'two\nlines'
    assert 'two\\nlines' in problems(config)[0]


def test_invalid_annotations_and_detections_are_problems(config, coco, change):
    change(first(area=math.nan))
    train, val = problems(config)
    assert f'annotation 501 of {coco.train} has area nan' in train
    assert f'annotation 501 of {coco.val} has area nan' in val
    change(first(area=700))
    assert problems(config) == []
    boxes = json.loads(coco.boxes.read_text())
    coco.boxes.write_text(json.dumps([*boxes, boxes[0] | dict(score=None)]))
    (line,) = problems(config, 'test')
    assert f'detection number 2 of {coco.boxes} has score None' in line


@pytest.mark.parametrize(
    ('make', 'message'),
    [(os.mkdir, ' cannot be read (Is a directory)'), (os.mkfifo, ' (annotations of train_dataloader) is not a file')],
)
def test_a_folder_or_a_pipe_in_place_of_a_file_is_a_problem(config, coco, make, message):
    coco.train.unlink()
    make(coco.train)
    assert f'{coco.train}{message}' in problems(config)[0]


def test_only_evaluation_needs_keypoints_of_everybody(config, coco, change):
    change(lambda content: content['annotations'][0].pop('keypoints'))
    (line,) = problems(config)
    assert f'annotation 501 of {coco.val} has no keypoints' in line
    config.val_cfg = None
    report = check_config(config)
    assert report.problems == []
    assert '1 without bbox or keypoints' in str(report.notes)


def test_what_mmpose_leaves_out_is_counted_by_reason(config, coco, change):
    def leave_out(content):
        kinds = [
            dict(iscrowd=1),
            dict(num_keypoints=0, keypoints=[0] * 51),
            dict(bbox=[5, 5, 0, 9]),
            dict(bbox=[9, 9, -5, -5]),
            dict(bbox=[90, 5, 10, 10]),
            dict(image_id=99),
            dict(keypoints=[-1] * 51),
        ]
        person = content['annotations'][0]
        content['annotations'] += [person | kind | dict(id=600 + index) for index, kind in enumerate(kinds)]
        content['annotations'].append({key: value for key, value in person.items() if key != 'bbox'} | dict(id=700))

    change(leave_out)
    config.val_cfg = None
    notes = str(check_config(config).notes)
    reasons = ('1 crowd regions', '2 without a labelled', '3 with an empty box', '1 of images that', '1 without bbox')
    assert [reason for reason in reasons if reason not in notes] == []
    loaded = CocoDataset(ann_file=str(coco.train), serialize_data=False)
    assert f'train_dataloader: {len(loaded)} annotations' in notes


def test_data_without_people_is_a_problem(config, coco, change):
    change(lambda content: content.update(annotations=[]))
    config.test_dataloader.dataset.bbox_file = None
    for purpose, path in (('train', coco.train), ('test', coco.val)):
        (line,) = problems(config, purpose)
        assert f'{path} ({purpose}_dataloader) holds no instance' in line


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda file: None, 'is missing'),
        (lambda file: file.touch(), 'is empty'),
        (lambda file: os.mkfifo(file), 'is not a file'),
        (lambda file: file.symlink_to(file), 'cannot be read (Too many levels'),
        (lambda file: file.write_text('<html>not found</html>'), 'cannot be decoded'),
    ],
)
def test_unusable_images_are_one_line_with_the_first_id(config, coco, damage, message):
    config.train_dataloader.dataset.pipeline[0].backend_args = dict(backend='local')  # which is not remote
    for name in ('31.png', '32.png'):
        (coco.root / 'train2017' / name).unlink()
        damage(coco.root / 'train2017' / name)
    assert bool(problems(config)) == ('decoded' not in message)
    (line,) = problems(config, decode=True)
    assert f'image 31 of {coco.train} {message}' in line
    assert '(and 1 more like it)' in line
    assert str(coco.root / 'train2017/31.png') in line


@pytest.mark.parametrize('name', ['../../elsewhere.png', '/dev/zero', 'x' * 5000])
def test_an_image_is_looked_for_where_mmpose_does(config, coco, change, name):
    change(lambda content: content['images'][0].update(file_name=name))
    (line,) = problems(config, 'test')
    assert f'image 31 of {coco.val}' in line
    change(lambda content: content['images'][0].update(file_name='../val2017/31.png'))
    change(lambda content: content['images'][1].update(file_name=str(coco.root / 'val2017/32.png')))
    assert problems(config, 'test') == []


def test_an_image_that_nothing_is_loaded_from_may_be_missing(config, coco, change):
    (coco.root / 'train2017/32.png').unlink()
    change(lambda content: content['annotations'].__delitem__(slice(2, None)))
    assert problems(config) == []


@pytest.mark.parametrize('wrapper', ['CombinedDataset', 'RepeatDataset'])
def test_wrapped_data_sets_are_checked(config, coco, change, wrapper):
    change(first(area=math.nan))
    inner = config.train_dataloader.dataset
    inner = dict(dataset=inner) if wrapper == 'RepeatDataset' else dict(datasets=[inner])
    config.train_dataloader.dataset = dict(type=wrapper, **inner)
    config.val_cfg = None
    (line,) = problems(config)
    assert 'annotation 501' in line


@pytest.mark.parametrize('where', ['data_root', 'data set', 'transform', 'transform of a wrapper'])
def test_data_behind_a_remote_backend_is_skipped(config, coco, where):
    config.val_cfg = None
    dataset = config.train_dataloader.dataset
    (coco.root / 'train2017').rename(coco.root / 'gone')
    backend = dict(backend='petrel')
    if where == 'data_root':
        dataset.data_root = 's3://bucket/coco'
    elif where == 'data set':
        dataset.backend_args = backend
    elif where == 'transform':
        dataset.pipeline[0].backend_args = backend
    else:
        pipeline = [dict(type='mmpose.LoadImage', file_client_args=backend)]
        config.train_dataloader.dataset = dict(type='CombinedDataset', datasets=[dataset], pipeline=pipeline)
        dataset.pipeline = []
    report = check_config(config)
    assert report.problems == []
    skipped = [note.partition(' (')[0] for note in report.notes if note.endswith('remote backend: skipped')]
    assert f'{dataset.data_root.rstrip("/")}/train2017/' in skipped
    assert len(skipped) == (1 if 'transform' in where else 2)


def test_files_of_other_kinds_of_data_must_exist(config, coco):
    config.train_dataloader.dataset = dict(
        type='MpiiDataset', data_root=str(coco.root), ann_file='mpii.json', data_prefix=dict(img='train2017/')
    )
    config.val_cfg = None
    assert 'mpii.json (annotations of train_dataloader) is missing' in problems(config)[0]
    (coco.root / 'mpii.json').write_text('[]')
    report = check_config(config)
    assert report.problems == []
    assert 'MpiiDataset does not read COCO' in str(report.notes)
    # As in data sets of other packages.
    config.train_dataloader.dataset.update(ann_file=['a.txt', 'b.txt'], data_prefix='train2017/')
    assert problems(config) == []


@pytest.mark.parametrize('changed', [dict(type='NoSuchDataset'), dict(metainfo=dict(from_file='nowhere.py'))])
def test_a_data_set_that_cannot_be_built_is_a_problem(config, coco, changed):
    config.train_dataloader.dataset.update(changed)
    assert 'Dataset of train_dataloader cannot be built' in problems(config)[0]
