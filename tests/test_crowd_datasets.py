"""``mim test`` on real images of CrowdPose and OCHuman, with weights that have not learnt."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from ca_hrnet_plugin import config_path


@pytest.fixture
def run_test(mim, tmp_path):
    """Runs ``mim test`` and returns its metrics and the predictions, as COCO results."""

    def run(name: str, data_root: Path, *options: str) -> tuple[dict, list[dict]]:
        config = Config.fromfile(config_path(name))
        torch.save(dict(state_dict=MODELS.build(config.model).state_dict()), tmp_path / 'random.pth')
        run = mim(
            *('test', 'mmpose', config_path(name), '--checkpoint', tmp_path / 'random.pth'),
            *('--out', tmp_path / 'metrics.json', '--cfg-options', *options),
            f'test_evaluator.outfile_prefix={tmp_path}/results',
            CA_HRNET_DATA=str(data_root),
        )
        assert run.returncode == 0, run.stderr[-3000:]
        return tuple(json.loads((tmp_path / file).read_text()) for file in ('metrics.json', 'results.keypoints.json'))

    return run


def test_mim_tests_on_crowdpose_in_the_boxes_of_a_detector(run_test, slice_of):
    annotations = slice_of('crowdpose', 'annotations', 'test_crowdpose.json')
    detections = slice_of('crowdpose', 'annotations', 'test_crowdpose_det_AP_40.json')
    metrics, results = run_test(
        'ca_hrnet_w32_crowdpose_256x192',
        annotations.parents[2],
        'test_dataloader.dataset.ann_file=annotations/test_crowdpose.json',
        f'test_dataloader.dataset.bbox_file={detections}',
        f'test_evaluator.ann_file={annotations}',
    )
    assert len(results) == len(json.loads(detections.read_text()))
    assert {len(result['keypoints']) for result in results} == {14 * 3}
    assert metrics.keys() >= {'crowdpose/AP', 'crowdpose/AP(H)'}
    # CrowdPose publishes 0.33 and 0.39 with these images.
    assert metrics['crowdpose/instances (crowd medium)'] > 0
    for level in ('easy', 'hard'):
        assert metrics[f'crowdpose/instances (crowd {level})'] == 0
        assert metrics[f'crowdpose/AP (crowd {level})'] == -1


def test_mim_tests_on_ochuman_in_the_boxes_of_its_people(run_test, slice_of):
    annotations = slice_of('ochuman', 'test_ochuman.json')
    people = json.loads(annotations.read_text())['annotations']
    metrics, results = run_test(
        'ca_hrnet_w32_ochuman_256x192',
        annotations.parents[1],
        'test_dataloader.dataset.ann_file=test_ochuman.json',
        f'test_evaluator.ann_file={annotations}',
    )
    assert sorted(result['image_id'] for result in results) == sorted(person['image_id'] for person in people)
    assert {len(result['keypoints']) for result in results} == {17 * 3}
    assert metrics['ochuman/AP'] >= 0
    assert sum(metrics[f'ochuman/instances (overlap {level})'] for level in ('low', 'medium', 'high')) == len(people)
