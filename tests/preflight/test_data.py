import json
import math
import os

import pytest
from mmpose.datasets import CocoDataset
from small_coco import ANNOTATIONS, DETECTIONS, write

from ca_hrnet_plugin.preflight import check_config

NAN = math.nan


def troubles(config, purpose='train', **kwargs):
    lines = check_config(config, purpose, **kwargs).troubles
    assert not any('\n' in line for line in lines)
    return lines


def first(**values):
    return lambda content: content['annotations'][0].update(values)


def rename(name):
    return lambda content: content['images'][0].update(file_name=name)


def test_nothing_is_wrong_where_everything_is_there(config, coco):
    assert troubles(config) == troubles(config, 'test') == []


@pytest.mark.parametrize(
    ('name', 'purposes'),
    [
        (ANNOTATIONS.format('train'), ['train']),
        (ANNOTATIONS.format('val'), ['train', 'test']),
        (DETECTIONS, ['train', 'test']),
    ],
)
def test_a_missing_file_is_named_once_with_the_way_out(config, coco, name, purposes):
    (coco / name).unlink()
    for purpose in ('train', 'test'):
        lines = troubles(config, purpose)
        assert len(lines) == (purpose in purposes)
        assert all(f'{coco / name} (' in line and 'CA_HRNET_DATA' in line for line in lines)


def test_each_missing_folder_of_images_is_told_in_one_line(config, coco):
    for split in ('train', 'val'):
        (coco / f'{split}2017').rename(coco / f'{split}_images')
    train, val = troubles(config)
    assert 'train2017/ (images of train_dataloader) is missing' in train
    assert 'val2017/ (images of val_dataloader) is missing' in val
    config.train_dataloader.dataset.data_prefix.img = 'two\nlines'
    assert 'two\\nlines' in troubles(config)[0]


@pytest.mark.parametrize(
    ('changed', 'told'),
    [
        (first(bbox=[1, NAN, 2, 3]), 'annotation 501 of {} has nan in bbox'),
        (first(bbox=[1, 2, 3]), 'annotation 501 of {} has bbox [1, 2, 3]'),
        (first(keypoints=[1] * 50 + [-math.inf]), 'annotation 501 of {} has -inf in keypoints'),
        (first(keypoints=[1] * 48), 'annotation 501 of {} has keypoints of 16 keypoints'),
        (first(area=1e300), 'annotation 501 of {} has area 1e+300'),
        (first(iscrowd='1'), "annotation 501 of {} has iscrowd '1'"),
        (first(image_id=None), 'annotation 501 of {} has image_id None'),
        (first(id=502), '{}: annotations has id 502 twice'),
        (lambda content: content['images'][1].update(id=31), '{}: images has id 31 twice'),
        (lambda content: content['images'][1].update(width=0), 'image 32 of {} has width 0'),
        (rename('a\nb.png'), r"image 31 of {} has file_name 'a\nb.png'"),
        (lambda content: content.pop('images'), '{} has no images'),
        (lambda content: content.update(annotations=[3]), 'annotation number 0 of {} is 3'),
    ],
)
def test_what_falsifies_a_run_is_told_with_file_and_id(config, coco, change, changed, told):
    change(changed)
    for purpose, split in (('train', 'train'), ('test', 'val')):
        line = troubles(config, purpose)[0]
        assert told.format(coco / ANNOTATIONS.format(split)) in line
        assert 'give' in line


def test_each_kind_of_trouble_has_a_line_that_counts_the_rest(config, coco, change):
    change(lambda content: [person.update(area=NAN) for person in content['annotations']])
    change(first(bbox=None))
    (coco / DETECTIONS).unlink()
    lines = troubles(config)
    for told, times in (('(and 3 more like it)', 2), ('has area nan', 2), ('has bbox None', 2), (DETECTIONS, 1)):
        assert sum(told in line for line in lines) == times
    assert len(lines) == 5


@pytest.mark.parametrize(
    'content', [b'{"images": [', b'[' * 100_000, b'\xff\xfe{}', b'', b'\0' * 100, b'{"images": ' + b'9' * 5000 + b'}']
)
def test_what_is_not_json_is_told_by_name(config, coco, content):
    for name, purpose in ((ANNOTATIONS.format('train'), 'train'), (DETECTIONS, 'test')):
        (coco / name).write_bytes(content)
        (line,) = troubles(config, purpose)
        assert f'{coco / name} is not JSON' in line


def test_a_folder_or_a_pipe_in_the_place_of_a_file_is_told_by_name(config, coco):
    path = coco / ANNOTATIONS.format('train')
    path.unlink()
    path.mkdir()
    assert f'{path} cannot be read (Is a directory)' in troubles(config)[0]
    path.rmdir()
    os.mkfifo(path)
    assert f'{path} (annotations of train_dataloader) is no file' in troubles(config)[0]


@pytest.mark.parametrize(
    ('box', 'told'),
    [
        (dict(image_id=99), 'its image 99 is not in {}'),
        (dict(bbox=[NAN] * 4), 'detection number 2 of {} has nan in bbox'),
        (dict(score=NAN), 'detection number 2 of {} has score nan'),
    ],
)
def test_a_detection_that_cannot_be_cropped_is_told(config, coco, box, told):
    boxes = json.loads((coco / DETECTIONS).read_text())
    write(coco / DETECTIONS, [*boxes, boxes[0] | box])
    (line,) = troubles(config, 'test')
    assert told.format(coco / (ANNOTATIONS.format('val') if 'image_id' in box else DETECTIONS)) in line
    assert str(coco / DETECTIONS) in line


def test_evaluation_needs_keypoints_and_training_leaves_out_who_has_none(config, coco, change):
    change(lambda content: content['annotations'][0].pop('keypoints'))
    (line,) = troubles(config)
    assert f'annotation 501 of {coco / ANNOTATIONS.format("val")} has no keypoints' in line
    config.val_cfg = None
    report = check_config(config)
    assert report.troubles == []
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
    loaded = CocoDataset(ann_file=str(coco / ANNOTATIONS.format('train')), serialize_data=False)
    assert f'train_dataloader: {len(loaded)} annotations' in notes


def test_data_without_anybody_is_told_before_training_and_in_given_boxes(config, coco, change):
    change(lambda content: content.update(annotations=[]))
    config.test_dataloader.dataset.bbox_file = None
    for purpose, split in (('train', 'train'), ('test', 'val')):
        (line,) = troubles(config, purpose)
        assert f'{coco / ANNOTATIONS.format(split)} ({purpose}_dataloader) holds no instance' in line


@pytest.mark.parametrize(
    ('fault', 'told'),
    [
        (lambda file: None, 'is missing'),
        (lambda file: file.touch(), 'is empty'),
        (lambda file: file.mkdir(), 'is no file'),
        (lambda file: os.mkfifo(file), 'is no file'),
        (lambda file: file.symlink_to(file), 'cannot be read (Too many levels'),
        (lambda file: file.write_text('<html>not found</html>'), 'cannot be decoded'),
    ],
)
def test_images_that_cannot_be_used_are_told_with_id_and_number(config, coco, fault, told):
    config.train_dataloader.dataset.pipeline[0].backend_args = dict(backend='local')  # which is not remote
    for name in ('31.png', '32.png'):
        (coco / 'train2017' / name).unlink()
        fault(coco / 'train2017' / name)
    assert bool(troubles(config)) == ('decoded' not in told)
    (line,) = troubles(config, decode=True)
    assert f'image 31 of {coco / ANNOTATIONS.format("train")} {told}' in line
    assert '(and 1 more like it)' in line
    assert str(coco / 'train2017/31.png') in line


@pytest.mark.parametrize('name', ['../../elsewhere.png', '/elsewhere.png', '/dev/zero', 'x' * 5000])
def test_an_image_is_looked_for_where_mmpose_looks_for_it(config, coco, change, name):
    change(rename(name))
    (line,) = troubles(config, 'test')
    assert 'image 31 of' in line
    change(rename('../val2017/31.png'))
    assert troubles(config, 'test') == []
    change(rename(str(coco / 'val2017/31.png')))
    assert troubles(config, 'test') == []


def test_an_image_that_nothing_is_loaded_from_may_be_missing(config, coco, change):
    (coco / 'train2017/32.png').unlink()
    change(lambda content: content['annotations'].__delitem__(slice(2, None)))
    assert troubles(config) == []


@pytest.mark.parametrize('wrapper', ['CombinedDataset', 'ConcatDataset', 'RepeatDataset'])
def test_wrapped_data_sets_are_looked_into(config, coco, change, wrapper):
    change(first(area=NAN))
    inner = config.train_dataloader.dataset
    inner = dict(dataset=inner) if wrapper == 'RepeatDataset' else dict(datasets=[inner])
    config.train_dataloader.dataset = dict(type=wrapper, **inner)
    config.val_cfg = None
    (line,) = troubles(config)
    assert 'annotation 501' in line


@pytest.mark.parametrize('where', ['data_root', 'data set', 'transform', 'transform of a wrapper'])
def test_data_behind_a_remote_backend_is_skipped_by_name(config, coco, where):
    config.val_cfg = None
    dataset = config.train_dataloader.dataset
    (coco / 'train2017').rename(coco / 'gone')
    backend = dict(backend='petrel')
    if where == 'data_root':
        dataset.data_root = 's3://bucket/coco'
    elif where == 'data set':
        dataset.backend_args = backend
    elif where == 'transform':
        dataset.pipeline[0].backend_args = backend
    else:
        config.train_dataloader.dataset = dict(
            type='CombinedDataset',
            datasets=[dataset],
            pipeline=[dict(type='mmpose.LoadImage', file_client_args=backend)],
        )
        dataset.pipeline = []
    report = check_config(config)
    assert report.troubles == []
    root = 's3://bucket/coco' if where == 'data_root' else str(coco)
    for path in ('train2017/', ANNOTATIONS.format('train')):
        skipped = any(f'{root}/{path}' in note and note.endswith('remote backend: skipped') for note in report.notes)
        assert skipped == (path == 'train2017/' or 'transform' not in where)


def test_data_that_is_not_read_as_coco_is_has_its_files_looked_for(config, coco):
    config.train_dataloader.dataset = dict(
        type='MpiiDataset', data_root=str(coco), ann_file='mpii.json', data_prefix=dict(img='train2017/')
    )
    config.val_cfg = None
    assert 'mpii.json (annotations of train_dataloader) is missing' in troubles(config)[0]
    (coco / 'mpii.json').write_text('[]')
    report = check_config(config)
    assert report.troubles == []
    assert 'MpiiDataset is not read as COCO is' in str(report.notes)
    # As other packages' data sets have them.
    config.train_dataloader.dataset.update(ann_file=['a.txt', 'b.txt'], data_prefix='train2017/')
    assert check_config(config).troubles == []


@pytest.mark.parametrize(
    ('changed', 'told'),
    [
        (dict(type='NoSuchDataset'), 'data set NoSuchDataset of train_dataloader cannot be built'),
        (dict(metainfo=dict(from_file='nowhere.py')), 'data set CocoDataset of train_dataloader cannot be built'),
    ],
)
def test_a_data_set_that_cannot_be_built_is_told(config, coco, changed, told):
    config.train_dataloader.dataset.update(changed)
    assert told in troubles(config)[0]
