"""Damaged JSON, at random: whatever reads it gives a result, or a ValueError of one line that names the file.

``CA_HRNET_FUZZ_INPUTS`` says how many inputs each reader gets; the number of an input is its seed.
"""

import copy
import json
import os
import random
import shutil
import signal
from pathlib import Path

import mmpose
import numpy as np
import pytest
from mmengine.config import Config
from mmpose.datasets import CocoDataset
from random_people import make_annotations, make_detections
from synthetic_crowd import contact_sheet, make_synthetic_crowd
from versions import needs_opencv_5

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checks.coco import left_out, read_json
from ca_hrnet_plugin.checks.config import check_config
from ca_hrnet_plugin.evaluation import evaluate_results
from ca_hrnet_plugin.reporting.results import read_result
from ca_hrnet_plugin.reporting.table import compare, format_tables
from ca_hrnet_plugin.reporting.training_curve import plot_training_curve
from ca_hrnet_plugin.reporting.work_dir import read_metrics

NUM_INPUTS = int(os.environ.get('CA_HRNET_FUZZ_INPUTS', 12))
SECONDS = 60  # more is a hang
NAN, INFINITY = float('nan'), float('inf')
NUMBERS = (NAN, INFINITY, -INFINITY, -1, 0, 0.5, 1e308, -1e308, 2**31, 2**53 + 1, 2**70, 10**400)
VALUES = (*NUMBERS, None, True, '', 'x', '1', 'a\nb', [], {}, [[]], [None], [NAN] * 4, [0, 0, 0, 0], {'id': 1})
BYTES = (b'[' * 100_000, b'{"a":' * 100_000, b'9' * 5000, b'\xff', b'\0', b'\xef\xbb\xbf', b'\n', b'"', b',', b'NaN')


def damaged(content, number: int) -> bytes:
    """The content as JSON with one to three values changed, or some of its bytes."""
    rng = random.Random(number)
    content = json.loads(json.dumps(content))
    if rng.random() < 0.75:
        for _ in range(rng.randint(1, 3)):
            content = change(content, rng)
    data = bytearray(json.dumps(content).encode())
    if rng.random() < 0.35:
        place = rng.randrange(len(data))
        kind = rng.choice(['flip', 'cut', 'insert', 'overwrite', 'lose'])
        if kind == 'flip':
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 'cut':
            del data[place:]
        elif kind == 'lose':
            del data[place : place + rng.randint(1, 40)]
        else:
            data[place : place + (kind == 'overwrite')] = rng.choice(BYTES)
    return bytes(data)


def change(content, rng: random.Random):
    """Changes a node somewhere in it: another value, none, or one from elsewhere."""
    node, holders = content, []
    while isinstance(node, list | dict) and node and (not holders or rng.random() < 0.75):
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        holders.append((node, key))
        node = node[key]
    if not holders or rng.random() < 0.02:
        return copy.deepcopy(rng.choice(VALUES))
    holder, key = holders[-1]
    kind = rng.choice(['value', 'value', 'value', 'number', 'lose', 'twice', 'wrap'])
    if kind == 'lose':
        del holder[key]
    elif kind == 'twice' and isinstance(holder, list):
        holder.append(node)
    elif kind == 'wrap':
        holder[key] = rng.choice([[node], {'x': node}, str(node)])
    elif kind == 'number' and isinstance(node, int | float):
        holder[key] = rng.choice([-node, node + 1, node * 10**9, node // 3])
    else:
        holder[key] = copy.deepcopy(rng.choice(VALUES))
    return content


@pytest.fixture
def survives(tmp_path):
    """Feeds a reader the content of a file, damaged in many ways, and tells how many it took and refused."""

    def give_up(*_):
        raise AssertionError(f'no end after {SECONDS} s')

    def survives(path: Path, read, lines: bool = False) -> None:
        # Of scalars that hold none, the work dir is named.
        named = str(path.parents[2]) if lines else path.name
        whole = path.read_text()
        whole = [json.loads(line) for line in whole.splitlines()] if lines else json.loads(whole)
        taken = refused = 0
        handler = signal.signal(signal.SIGALRM, give_up)
        for number in range(NUM_INPUTS):
            data = damaged(whole, number)
            if lines and number % 4:
                rng = random.Random(number)
                records = [json.dumps(record).encode() for record in whole]
                records[rng.randrange(len(records))] = damaged(whole[rng.randrange(len(whole))], number)
                data = b'\n'.join(records)
            path.write_bytes(data)
            signal.alarm(SECONDS)
            try:
                read()
                taken += 1
            except ValueError as error:
                refused += 1
                assert named in str(error), f'input {number}: {error}'
                assert '\n' not in str(error), f'input {number}'
            except Exception as error:
                raise AssertionError(f'input {number} of {path.name}: {error!r}') from error
            finally:
                signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        print(f'{path.name}: {taken} taken, {refused} refused')
        assert taken
        assert refused

    return survives


@pytest.fixture
def people(tmp_path):
    """A COCO folder of four images, with detections and a keypoint result; its config."""
    rng = np.random.default_rng(0)
    dataset = make_annotations(4, 2, rng)
    for folder in ('annotations', 'person_detection_results', 'train2017', 'val2017'):
        (tmp_path / 'coco' / folder).mkdir(parents=True)
    for image in dataset['images']:
        image['file_name'] = f'{image["id"]}.jpg'
        for folder in ('train2017', 'val2017'):
            (tmp_path / 'coco' / folder / image['file_name']).write_text('not looked into')
    for split in ('train', 'val'):
        (tmp_path / f'coco/annotations/person_keypoints_{split}2017.json').write_text(json.dumps(dataset))
    detections = make_detections(dataset, 0.1, 1, rng)
    (tmp_path / 'result.json').write_text(json.dumps(detections))
    boxes = [
        {**one, 'keypoints': None, 'bbox': person['bbox']}
        for one, person in zip(detections, dataset['annotations'], strict=False)
    ]
    (tmp_path / 'coco/person_detection_results/COCO_val2017_detections_AP_H_56_person.json').write_text(
        json.dumps(boxes)
    )
    return tmp_path


@pytest.fixture
def config(people, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(people))
    # Read once, not with every data set.
    file = Path(mmpose.__file__).parent / '.mim' / CocoDataset.METAINFO['from_file']
    monkeypatch.setattr(CocoDataset, 'METAINFO', Config.fromfile(file).dataset_info.to_dict())
    return Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))


def check(config, purpose='train'):
    if troubles := check_config(config, purpose).troubles:
        raise ValueError(max(troubles, key=lambda line: '\n' in line))


@pytest.mark.parametrize('name', ['coco/annotations/person_keypoints_val2017.json', 'result.json'])
def test_evaluation_takes_or_refuses_what_is_damaged(survives, people, name):
    ann_file = people / 'coco/annotations/person_keypoints_val2017.json'
    for arguments in (dict(), dict(iou_type='keypoints_crowd', use_area=False)):
        whole = (people / name).read_text()

        def evaluate(arguments=arguments):
            figures = evaluate_results(ann_file, people / 'result.json', **arguments).figures()
            assert all(figure == -1 or figure >= 0 for figure in figures.values()), 'no NaN'

        survives(people / name, evaluate)
        (people / name).write_text(whole)


def test_what_passes_before_training_is_loaded_by_mmpose_as_counted(survives, people, config):
    ann_file = people / 'coco/annotations/person_keypoints_train2017.json'
    config.val_cfg = None

    def load():
        check(config)
        num_used = len(left_out(read_json(ann_file, 'annotations'))[1])
        assert len(CocoDataset(ann_file=str(ann_file), serialize_data=False)) == num_used > 0

    survives(ann_file, load)


@pytest.mark.parametrize(
    'name',
    [
        'coco/annotations/person_keypoints_val2017.json',
        'coco/person_detection_results/COCO_val2017_detections_AP_H_56_person.json',
    ],
)
def test_what_passes_before_a_test_is_loaded_by_mmpose(survives, people, config, name):
    def load():
        check(config, 'test')
        dataset = config.test_dataloader.dataset
        files = dict(ann_file=str(Path(dataset.data_root, dataset.ann_file)), bbox_file=dataset.bbox_file)
        assert len(CocoDataset(**files, test_mode=True, serialize_data=False)) > 0

    survives(people / name, load)


def test_the_table_takes_or_refuses_damaged_metrics(survives, tmp_path):
    path = tmp_path / 'metrics.json'
    names = ('AP', 'AP .5', 'AP (M)', 'AR', 'AP (crowd easy)', 'instances (crowd easy)')
    path.write_text(json.dumps({f'coco/{name}': 0.5 for name in names} | {'data_time': 0.1}))
    shutil.copy(path, tmp_path / 'other.json')

    def tabulate():
        rows = compare([read_result(name, str(tmp_path / name)) for name in ('other.json', 'metrics.json')])
        for output_format in ('text', 'json'):
            assert 'metrics.json' in format_tables(rows, output_format)

    survives(path, tabulate)


def test_a_work_dir_takes_or_refuses_damaged_scalars(survives, tmp_path):
    path = tmp_path / 'run/20260101_000000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    records = []
    for epoch in (1, 2, 3):
        records += [
            dict(lr=1e-3 / epoch, loss=1.0, acc_pose=0.5, epoch=epoch, iter=8 * epoch - 4 + i, step=8 * epoch - 4 + i)
            for i in (0, 4)
        ]
        records.append({'coco/AP': 0.1 * epoch, 'coco/AR': 0.2, 'time': 0.1, 'step': epoch})
    path.write_text('\n'.join(map(json.dumps, records)))
    draws = iter(range(10**9))

    def read():
        metrics, _, _ = read_metrics(tmp_path / 'run')
        assert metrics
        if next(draws) % 10 == 0:
            plot_training_curve({'A': tmp_path / 'run'}).canvas.draw()

    survives(path, read, lines=True)


def test_the_test_of_a_work_dir_is_taken_or_refused(survives, tmp_path):
    path = tmp_path / '20260101_000000/20260101_000000.json'
    path.parent.mkdir()
    path.write_text(json.dumps({'coco/AP': 0.5, 'coco/AR': 0.6, 'data_time': 0.1}))

    def tabulate():
        assert format_tables(compare([read_result('A', str(tmp_path))]), 'csv')

    survives(path, tabulate)


@needs_opencv_5
@pytest.mark.parametrize('name', ['synthetic_crowd.json', 'annotations/person_keypoints_val2017.json'])
def test_a_damaged_synthetic_crowd_is_taken_or_refused(survives, tmp_path_factory, tmp_path, name):
    crowd = tmp_path_factory.getbasetemp() / 'fuzzed crowd'
    small = dict(num_train=1, num_val=2, image_size=(160, 128), num_workers=1, progress=False)
    make_synthetic_crowd(crowd, **small)
    whole = (crowd / name).read_text()

    def make_again():
        try:
            make_synthetic_crowd(crowd, **small)
            contact_sheet(crowd, tmp_path / 'sheet.png', columns=2, rows=2)
        except FileExistsError as error:  # the folder's answer to other arguments
            raise ValueError(f'{Path(name).name}: {error}') from error

    try:
        survives(crowd / name, make_again)
    finally:
        (crowd / name).write_text(whole)
