"""Damaged JSON, at random: whatever reads it takes it, or refuses it in one line that names the file.

``CA_HRNET_FUZZ_INPUTS`` says how many inputs each reader gets; the number of an input is its seed.
"""

import copy
import json
import os
import random
import shutil
from pathlib import Path

import pytest
from mmpose.datasets import CocoDataset
from small_coco import ANNOTATIONS, DETECTIONS
from synthetic_crowd import contact_sheet, make_synthetic_crowd
from versions import needs_opencv_5

from ca_hrnet_plugin.checks.coco import left_out, read_json
from ca_hrnet_plugin.checks.config import check_config
from ca_hrnet_plugin.evaluation import evaluate_results
from ca_hrnet_plugin.reporting.results import read_result
from ca_hrnet_plugin.reporting.table import compare, format_tables
from ca_hrnet_plugin.reporting.training_curve import plot_training_curve

NUM_INPUTS = int(os.environ.get('CA_HRNET_FUZZ_INPUTS', 12))
NAN, INFINITY = float('nan'), float('inf')
NUMBERS = (NAN, INFINITY, -INFINITY, -1, 0, 0.5, 1e308, 2**31, 2**53 + 1, 2**70, 10**400)
VALUES = (*NUMBERS, None, True, '', 'x', '1', 'a\nb', [], {}, [[]], [None], [NAN] * 4, [0, 0, 0, 0], {'id': 1})
BYTES = (b'', b'[' * 100_000, b'{"a":' * 100_000, b'9' * 5000, b'\xff', b'\0', b'\xef\xbb\xbf', b'\n', b'"', b',')


def change(content: list | dict, rng: random.Random) -> None:
    """Gives a place somewhere in it another value, or none, or doubles or wraps what is there."""
    holder = content
    while True:
        key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        if not isinstance(holder[key], list | dict) or not holder[key] or rng.random() < 0.25:
            break
        holder = holder[key]
    kind = rng.choice(['value', 'value', 'value', 'lose', 'double', 'wrap'])
    if kind == 'lose':
        del holder[key]
    elif kind == 'double' and isinstance(holder, list):
        holder.append(holder[key])
    elif kind == 'wrap':
        holder[key] = [holder[key]]
    else:
        holder[key] = copy.deepcopy(rng.choice(VALUES))


def damaged(content: list | dict, by_line: bool, rng: random.Random) -> bytes:
    """The content as JSON, with some values changed, or bytes replaced, lost or put in."""
    content = copy.deepcopy(content)
    for _ in range(rng.choice([0, 1, 1, 2])):
        if content:
            change(content, rng)
    data = ('\n'.join(map(json.dumps, content)) if by_line else json.dumps(content)).encode()
    if rng.random() < 0.35:
        start = max(0, rng.randrange(-len(data) // 8, len(data)))
        data = data[:start] + rng.choice(BYTES) + data[rng.choice([start, start + 1, start + 40, len(data)]) :]
    return data


def survives(path: Path, read, by_line: bool = False) -> None:
    """Feeds a reader the content of a file, damaged in many ways."""
    whole = path.read_text()
    content = [json.loads(line) for line in whole.splitlines()] if by_line else json.loads(whole)
    outcomes = set()
    for number in range(NUM_INPUTS):
        path.write_bytes(damaged(content, by_line, random.Random(number)))
        try:
            read()
            outcomes.add('taken')
        except ValueError as error:
            outcomes.add('refused')
            # Of scalars that hold none, the work dir is named.
            assert (str(path.parents[2]) if by_line else path.name) in str(error), f'input {number}'
            assert '\n' not in str(error), f'input {number}'
        except Exception as error:
            raise AssertionError(f'input {number} of {path.name}: {error!r}') from error
    path.write_text(whole)
    assert outcomes == {'taken', 'refused'}


def test_evaluation(coco, write_json):
    ann_file = coco / ANNOTATIONS.format('val')
    people = json.loads(ann_file.read_text())['annotations']
    keys = ('image_id', 'category_id', 'keypoints')
    results = write_json('result.json', [{key: one[key] for key in keys} | dict(score=0.9) for one in people])
    for arguments in (dict(), dict(iou_type='keypoints_crowd', use_area=False)):

        def evaluate(arguments=arguments):
            figures = evaluate_results(ann_file, results, **arguments).figures()
            assert all(figure == -1 or figure >= 0 for figure in figures.values()), 'no NaN'

        for path in (ann_file, Path(results)):
            survives(path, evaluate)


@pytest.mark.parametrize('purpose, name', [('train', ANNOTATIONS), ('test', ANNOTATIONS), ('test', DETECTIONS)])
def test_what_passes_the_check_is_loaded_by_mmpose_as_counted(coco, config, purpose, name):
    ann_file = coco / ANNOTATIONS.format('val' if purpose == 'test' else 'train')
    config.val_cfg = None
    bbox_file = str(coco / DETECTIONS) if purpose == 'test' else None

    def load():
        if troubles := check_config(config, purpose).troubles:
            raise ValueError(max(troubles, key=lambda line: '\n' in line))
        loaded = CocoDataset(ann_file=str(ann_file), bbox_file=bbox_file, test_mode=bool(bbox_file))
        assert len(loaded) > 0
        assert bbox_file or len(loaded) == len(left_out(read_json(ann_file, 'annotations'))[1])

    survives(ann_file if name == ANNOTATIONS else coco / DETECTIONS, load)


@pytest.mark.parametrize('name', ['metrics.json', '20260101_000000/20260101_000000.json'])
def test_the_table(write_json, tmp_path, name):
    names = ('AP', 'AP .5', 'AP (M)', 'AR', 'AP (crowd easy)', 'instances (crowd easy)')
    path = Path(write_json(name, {f'coco/{name}': 0.5 for name in names} | {'data_time': 0.1}))
    shutil.copy(path, tmp_path / 'other.json')

    def tabulate():
        source = path if name == 'metrics.json' else tmp_path  # a work dir
        rows = compare([read_result(str(one), str(one)) for one in (tmp_path / 'other.json', source)])
        for output_format in ('text', 'json'):
            assert str(source) in format_tables(rows, output_format)

    survives(path, tabulate)


def test_scalars_of_a_work_dir(tmp_path):
    path = tmp_path / 'run/20260101_000000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    iterations = [dict(lr=1e-3 / i, loss=1.0, acc_pose=0.5, epoch=i, iter=4 * i, step=4 * i) for i in (1, 2, 3)]
    validations = [{'coco/AP': 0.1 * epoch, 'coco/AR': 0.2, 'time': 0.1, 'step': epoch} for epoch in (1, 2, 3)]
    path.write_text('\n'.join(map(json.dumps, iterations + validations)))

    def tabulate_and_plot():
        assert format_tables(compare([read_result('A', str(tmp_path / 'run'))]), 'csv')
        plot_training_curve({'A': tmp_path / 'run'}).canvas.draw()

    survives(path, tabulate_and_plot, by_line=True)


@needs_opencv_5
@pytest.mark.parametrize('name', ['synthetic_crowd.json', 'annotations/person_keypoints_val2017.json'])
def test_a_synthetic_crowd(tmp_path, name):
    small = dict(num_train=1, num_val=2, image_size=(160, 128), num_workers=1, progress=False)
    make_synthetic_crowd(tmp_path / 'crowd', **small)

    def make_again():
        try:
            make_synthetic_crowd(tmp_path / 'crowd', **small)
            contact_sheet(tmp_path / 'crowd', tmp_path / 'sheet.png', columns=2, rows=2)
        except FileExistsError as error:  # the folder's answer to other arguments
            raise ValueError(f'{Path(name).name}: {error}') from error

    survives(tmp_path / 'crowd' / name, make_again)
