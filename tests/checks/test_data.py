import copy
import io
import json
import math
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.datasets import CocoDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS
from PIL import Image

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checks.config import check_before_runs
from ca_hrnet_plugin.checks.data import check_data, name_failing_images

TRAIN = ('train', 'val')
ANNOTATIONS = 'annotations/person_keypoints_{}2017.json'
DETECTIONS = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
NAN = math.nan


@pytest.fixture(scope='module')
def whole_config(tmp_path_factory):
    """Read once, for it takes longer than most of what is tested here."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path_factory.mktemp('data')))
        return Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))


@pytest.fixture
def config(whole_config):
    return copy.deepcopy(whole_config)


@pytest.fixture
def coco(config):
    """The config's data: two images of 64x48, two people in each, and the person boxes of val2017."""
    folder = Path(config.data_root)
    shutil.rmtree(folder, ignore_errors=True)
    person = dict(category_id=1, bbox=[5, 5, 30, 35], area=700, keypoints=joints(17, 20), num_keypoints=17, iscrowd=0)
    content = dict(
        images=[dict(id=image_id, file_name=f'{image_id}.png', width=64, height=48) for image_id in (31, 32)],
        annotations=[dict(person, id=501 + index, image_id=31 + index // 2) for index in range(4)],
        categories=[dict(id=1, name='person')],
    )
    for split in ('train', 'val'):
        (folder / f'{split}2017').mkdir(parents=True)
        for image in content['images']:
            cv2.imwrite(str(folder / f'{split}2017' / image['file_name']), np.full((48, 64, 3), 99, np.uint8))
        write(folder / ANNOTATIONS.format(split), content)
    boxes = [dict(image_id=image_id, category_id=1, bbox=[5, 5, 30, 35], score=0.9) for image_id in (31, 32)]
    write(folder / DETECTIONS, boxes)
    return folder


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))


def change(coco, changed):
    """Changes both annotation files by a function of their content."""
    for split in ('train', 'val'):
        path = coco / ANNOTATIONS.format(split)
        content = json.loads(path.read_text())
        changed(content)
        write(path, content)


def first(**values):
    return lambda content: content['annotations'][0].update(values)


def joints(number, value=1):
    return [value] * 3 * number


@pytest.mark.parametrize(
    ('changed', 'told'),
    [
        (first(bbox=[1, NAN, 2, 3]), r'annotation 501 .* bbox \[1, nan, 2, 3\]'),
        (first(bbox=[1, 2, 3]), r'annotation 501 .* bbox \[1, 2, 3\]'),
        (first(keypoints=[*joints(16), 1, NAN, 2]), 'annotation 501 .* has nan among its keypoints'),
        (first(keypoints=joints(16)), 'annotation 501 .* has 16 keypoints, for 17'),
        (first(area=NAN), 'annotation 501 .* has area nan'),
        (first(id=502), 'annotations has id 502 twice'),
        (lambda content: content['images'][1].update(id=31), 'images has id 31 twice'),
        (lambda content: content.pop('images'), 'no COCO annotations .no images'),
    ],
)
def test_what_falsifies_a_run_is_refused_with_file_and_id(config, coco, changed, told):
    change(coco, changed)
    for parts, split in ((TRAIN, 'train'), (('test',), 'val')):
        with pytest.raises(ValueError, match=told) as error:
            check_data(config, parts)
        assert str(coco / ANNOTATIONS.format(split)) in str(error.value)
        assert '\n' not in str(error.value)


def test_a_truncated_or_endlessly_nested_file_is_refused_by_name(config, coco):
    for name, parts in ((ANNOTATIONS.format('train'), TRAIN), (DETECTIONS, ('test',))):
        whole = (coco / name).read_text()
        for content in (whole[: len(whole) // 2], '[' * 100_000):
            (coco / name).write_text(content)
            with pytest.raises(ValueError, match=rf'{name} is not JSON'):
                check_data(config, parts)


@pytest.mark.parametrize(
    ('box', 'told'),
    [
        (dict(image_id=99), 'its image 99 is not in .*person_keypoints_val2017.json'),
        (dict(bbox=[NAN] * 4), 'detection 2 of .* in image 31, has bbox'),
        (dict(score=NAN), 'detection 2 of .* in image 31, has score nan'),
    ],
)
def test_a_detection_that_cannot_be_cropped_is_refused(config, coco, box, told):
    boxes = json.loads((coco / DETECTIONS).read_text())
    write(coco / DETECTIONS, [*boxes, boxes[0] | box])
    with pytest.raises(ValueError, match=told) as error:
        check_data(config, ('test',))
    assert str(coco / DETECTIONS) in str(error.value)


def test_evaluation_needs_keypoints_and_training_leaves_out_who_has_none(config, coco):
    change(coco, lambda content: content['annotations'][0].pop('keypoints'))
    with pytest.raises(ValueError, match=r'annotation 501 .*val2017\.json has 0 keypoints'):
        check_data(config, TRAIN)
    config.val_cfg = None
    (note,) = check_data(config, TRAIN)
    assert '1 without bbox or keypoints' in note


def test_what_mmpose_leaves_out_is_counted_by_reason(config, coco):
    def leave_out(content):
        kinds = [
            dict(iscrowd=1),
            dict(num_keypoints=0, keypoints=joints(17, 0)),
            dict(bbox=[5, 5, 0, 9]),
            dict(bbox=[9, 9, -5, -5]),
            dict(bbox=[90, 5, 10, 10]),
            dict(image_id=99),
            dict(keypoints=joints(17, -1)),
        ]
        person = content['annotations'][0]
        content['annotations'] += [person | kind | dict(id=600 + index) for index, kind in enumerate(kinds)]
        content['annotations'].append({key: value for key, value in person.items() if key != 'bbox'} | dict(id=700))

    change(coco, leave_out)
    config.val_cfg = None
    (note,) = check_data(config, TRAIN)

    reasons = (
        *('1 crowd regions', '2 without a labelled keypoint', '3 with an empty box', '1 of images that are not'),
        '1 without bbox or keypoints',
    )
    for reason in reasons:
        assert reason in note
    loaded = CocoDataset(ann_file=str(coco / ANNOTATIONS.format('train')), serialize_data=False)
    assert f'train_dataloader: {len(loaded)} annotations' in note


def test_the_count_is_that_of_real_data(data_root, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(data_root))
    config = Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))
    (note,) = check_data(config, TRAIN)
    loaded = CocoDataset(ann_file=str(data_root / 'coco' / ANNOTATIONS.format('train')), serialize_data=False)
    assert f' {len(loaded)} annotations of' in note


def test_data_without_anybody_is_refused_before_training_and_in_given_boxes(config, coco):
    change(coco, lambda content: content.update(annotations=[]))
    for parts in (TRAIN, ('test',)):
        config.test_dataloader.dataset.bbox_file = None
        with pytest.raises(ValueError, match=r'2017\.json .* holds no instance to work on'):
            check_data(config, parts)


@pytest.mark.parametrize('fault', ['missing', 'empty'])
def test_images_that_are_missing_or_empty_are_refused_with_id_and_number(config, coco, fault):
    for name in ('31.png', '32.png'):
        (coco / 'train2017' / name).write_bytes(b'')
        if fault == 'missing':
            (coco / 'train2017' / name).unlink()
    with pytest.raises(ValueError, match=f'image 31 of .* is {fault}, and so are 1 more: .*train2017/31.png'):
        check_data(config, TRAIN)


def test_an_image_that_nothing_is_loaded_from_may_be_missing(config, coco):
    (coco / 'train2017/32.png').unlink()
    change(coco, lambda content: content['annotations'].__delitem__(slice(2, None)))
    assert check_data(config, TRAIN) == []


@pytest.fixture
def load_image(config, coco, monkeypatch):
    """Loads the first sample of a part, with a file put in the place of its image."""
    monkeypatch.setattr(BaseCocoStyleDataset, 'prepare_data', BaseCocoStyleDataset.prepare_data)
    name_failing_images()
    init_default_scope('mmpose')
    datasets = {
        part: DATASETS.build(dict(config[f'{part}_dataloader'].dataset, serialize_data=False)) for part in TRAIN
    }

    def load_image(part: str, content: bytes) -> np.ndarray:
        (coco / f'{part}2017/31.png').write_bytes(content)
        return datasets[part][0]['inputs'].numpy()

    return load_image


def encoded(image, suffix='.png') -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def test_an_image_that_cannot_be_read_ends_with_its_id_and_file(load_image):
    for part in TRAIN:
        for content in (b'<html>not found</html>', encoded(np.zeros((48, 64, 3), np.uint8))[:60], b''):
            told = rf'image 31 of .*{part}2017\.json, file .*{part}2017/31\.png, cannot be used'
            with pytest.raises(RuntimeError, match=told) as error:
                load_image(part, content)
            assert '\n' not in str(error.value)


def test_grey_transparent_deep_and_cmyk_images_are_seen_as_colour_images(load_image):
    grey = np.add.outer(2 * np.arange(48), np.arange(64)).astype(np.uint8)
    colour = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    expected = load_image('val', encoded(colour))
    cmyk = io.BytesIO()
    Image.fromarray(grey).convert('RGB').convert('CMYK').save(cmyk, 'JPEG', quality=95)
    for content in (
        encoded(grey),
        encoded(cv2.cvtColor(colour, cv2.COLOR_BGR2BGRA)),
        encoded(colour.astype(np.uint16) * 257),
        cmyk.getvalue(),
    ):
        np.testing.assert_allclose(load_image('val', content).astype(int), expected.astype(int), atol=4)


def test_an_image_of_any_size_is_cropped_to_the_size_of_the_input(load_image):
    for width, height in ((1, 1), (20000, 20)):
        for part in TRAIN:
            assert load_image(part, encoded(np.full((height, width, 3), 99, np.uint8))).shape == (3, 128, 96)


class QuickRunner(Runner):
    def _log_env(self, env_cfg: dict) -> None:
        """Asks no compiler for its version."""


def test_the_scripts_of_mmpose_check_and_log_the_counts_once(config, coco, tmp_path, monkeypatch):
    from_cfg = Runner.from_cfg.__func__
    monkeypatch.setattr(Runner, 'from_cfg', classmethod(getattr(from_cfg, '__wrapped__', from_cfg)))
    monkeypatch.setattr(BaseCocoStyleDataset, 'prepare_data', BaseCocoStyleDataset.prepare_data)
    monkeypatch.setattr(sys, 'argv', ['train.py'])
    check_before_runs()
    config.work_dir = str(tmp_path / 'work')

    change(coco, first(area=NAN))
    with pytest.raises(SystemExit, match=r'^cannot start: annotation 501 of .*train2017\.json has area nan$'):
        QuickRunner.from_cfg(config)
    assert not Path(config.work_dir).exists()

    change(coco, first(area=700, iscrowd=1))
    QuickRunner.from_cfg(config)
    (log,) = Path(config.work_dir).glob('*/*.log')
    assert log.read_text().count('train_dataloader: 3 annotations of') == 1
    assert log.read_text().count('1 crowd regions') == 1
