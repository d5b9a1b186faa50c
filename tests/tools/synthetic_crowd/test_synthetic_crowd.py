import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from synthetic_crowd import make_synthetic_crowd

BOXES = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
SMALL = dict(num_train=20, num_val=12, image_size=(160, 128), progress=False)


@pytest.fixture(scope='module')
def crowd(tmp_path_factory):
    out_dir = tmp_path_factory.mktemp('data') / 'coco'
    make_synthetic_crowd(out_dir, num_workers=2, **SMALL)
    return out_dir


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob('*') if file.is_file()}


def test_one_worker_or_two_write_the_same_bytes(crowd, tmp_path):
    make_synthetic_crowd(tmp_path / 'coco', num_workers=1, **SMALL)
    assert contents(tmp_path / 'coco') == contents(crowd)


def test_mmpose_reads_people_in_the_order_of_its_keypoints(crowd):
    file = crowd / 'annotations/person_keypoints_val2017.json'
    content = json.loads(file.read_text())
    labelled = [annotation for annotation in content['annotations'] if annotation['num_keypoints']]
    dataset = CocoDataset(ann_file=str(file), serialize_data=False)
    assert len(dataset) == len(labelled) > 0
    assert content['categories'][0]['keypoints'] == list(dataset.metainfo['keypoint_name2id'])


def test_detections_are_those_of_a_good_but_imperfect_detector(tmp_path):
    make_synthetic_crowd(tmp_path / 'coco', **SMALL | dict(num_train=1, num_val=60))
    coco = COCO(tmp_path / 'coco/annotations/person_keypoints_val2017.json')
    boxes = json.loads((tmp_path / 'coco' / BOXES).read_text())
    assert {box['image_id'] for box in boxes} <= set(coco.imgs)
    evaluator = COCOeval(coco, coco.loadRes(boxes), 'bbox')
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    assert 0.4 < evaluator.stats[0] < 0.8, 'AP'
    assert 0.75 < evaluator.stats[1] < 0.99, 'AP50'


def test_a_complete_crowd_is_reused_and_counted(crowd):
    before = {file: file.stat().st_mtime_ns for file in crowd.rglob('*')}
    summary = make_synthetic_crowd(crowd, **SMALL)['train2017']
    assert {file: file.stat().st_mtime_ns for file in crowd.rglob('*')} == before
    content = json.loads((crowd / 'annotations/person_keypoints_train2017.json').read_text())
    visibility = np.array([person['keypoints'][2::3] for person in content['annotations']])
    assert summary['images'] == 20
    assert summary['people'] == len(content['annotations'])
    assert summary['keypoints'] == (visibility > 0).sum()
    assert summary['hidden'] == pytest.approx((visibility == 1).sum() / (visibility > 0).sum())


def test_the_next_run_finishes_an_interrupted_one(crowd, tmp_path, monkeypatch):
    def interrupt(results, *args, **kwargs):
        for done, result in enumerate(results):
            if done == 8:
                raise KeyboardInterrupt
            yield result

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr('synthetic_crowd.synthetic_crowd.tqdm', interrupt)
        make_synthetic_crowd(tmp_path / 'coco', num_workers=1, **SMALL)
    assert list((tmp_path / 'coco/train2017').iterdir())
    assert not list((tmp_path / 'coco/annotations').iterdir())
    make_synthetic_crowd(tmp_path / 'coco', num_workers=1, **SMALL)
    assert contents(tmp_path / 'coco') == contents(crowd)


def test_a_folder_of_other_files_is_left_alone(crowd, tmp_path):
    (tmp_path / 'thesis.txt').write_text('precious')
    for folder, message in ((tmp_path, 'not a synthetic crowd'), (crowd, r'people=\[1, 12\], not \[1, 3\]')):
        before = contents(folder)
        with pytest.raises(FileExistsError, match=message):
            make_synthetic_crowd(folder, people=(1, 3), **SMALL)
        assert contents(folder) == before


@pytest.mark.parametrize(
    ('invalid', 'message'),
    [
        (dict(num_train=-1), '-1 images'),
        (dict(people=(5, 3)), 'people'),
        (dict(crowd_index=0.1, people=(1, 1)), 'out of reach'),
        (dict(truncation=float('nan')), 'truncation'),
    ],
)
def test_an_invalid_argument_is_named_and_nothing_is_written(tmp_path, invalid, message):
    with pytest.raises(ValueError, match=message):
        make_synthetic_crowd(tmp_path / 'coco', **SMALL | invalid)
    assert not (tmp_path / 'coco').exists()


def test_the_command_draws_images_and_a_contact_sheet(tool, tmp_path):
    files = '--out', tmp_path / 'coco', '--contact-sheet', tmp_path / 'sheet.png'
    code, *_ = tool('make_synthetic_crowd', *files, '--people', 0, 4)
    assert code.startswith('error: people=0')
    assert '\n' not in code
    options = '--train 2 --val 3 --people 2 2 --crowd-index 0.2 --image-size 96 64 --workers 1'
    _, out, _ = tool('make_synthetic_crowd', *files, *options.split())
    assert 'val2017: 3 images' in out
    assert cv2.imread(str(next((tmp_path / 'coco/val2017').iterdir()))).shape == (64, 96, 3)
    sheet = cv2.imread(str(tmp_path / 'sheet.png'))
    plain, annotated = sheet[:128], sheet[128:]
    assert 0 < (plain != annotated).any(axis=-1).mean() < 0.3
