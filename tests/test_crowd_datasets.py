"""Tests on real images of CrowdPose and OCHuman, with untrained networks."""

import json

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from ca_hrnet_plugin import config_path


@pytest.fixture
def run_test(tmp_path, monkeypatch):
    """Runs the test of a config and returns its metrics and its predictions as COCO results."""

    def run(name: str, data_root, options: dict) -> tuple[dict, list[dict]]:
        monkeypatch.setenv('CA_HRNET_DATA', str(data_root))
        config = Config.fromfile(config_path(name))
        config.merge_from_dict({f'test_{key}': value for key, value in options.items()})
        config.test_evaluator.outfile_prefix = str(tmp_path / 'results')
        config.test_dataloader.update(num_workers=0, persistent_workers=False)
        config.model.backbone.init_cfg = None
        config.work_dir = str(tmp_path)
        metrics = Runner.from_cfg(config).test()
        return metrics, json.loads((tmp_path / 'results.keypoints.json').read_text())

    return run


def test_crowdpose_is_tested_in_detected_boxes(run_test, slice_of):
    annotations = slice_of('crowdpose', 'annotations', 'test_crowdpose.json')
    detections = slice_of('crowdpose', 'annotations', 'test_crowdpose_det_AP_40.json')
    options = {
        'dataloader.dataset.ann_file': 'annotations/test_crowdpose.json',
        'dataloader.dataset.bbox_file': str(detections),
        'evaluator.ann_file': str(annotations),
    }
    metrics, results = run_test('ca_hrnet_w32_crowdpose_256x192', annotations.parents[2], options)
    assert len(results) == len(json.loads(detections.read_text()))
    assert {len(result['keypoints']) for result in results} == {14 * 3}
    assert metrics.keys() >= {'crowdpose/AP', 'crowdpose/AP(H)'}
    # CrowdPose publishes crowd indices of 0.33 and 0.39 with these images.
    assert metrics['crowdpose/instances (crowd medium)'] > 0
    for level in ('easy', 'hard'):
        assert metrics[f'crowdpose/instances (crowd {level})'] == 0
        assert metrics[f'crowdpose/AP (crowd {level})'] == -1


def test_ochuman_is_tested_in_ground_truth_boxes(run_test, slice_of):
    annotations = slice_of('ochuman', 'test_ochuman.json')
    people = json.loads(annotations.read_text())['annotations']
    options = {'dataloader.dataset.ann_file': 'test_ochuman.json', 'evaluator.ann_file': str(annotations)}
    metrics, results = run_test('ca_hrnet_w32_ochuman_256x192', annotations.parents[1], options)
    assert sorted(result['image_id'] for result in results) == sorted(person['image_id'] for person in people)
    assert {len(result['keypoints']) for result in results} == {17 * 3}
    assert metrics['ochuman/AP'] >= 0
    assert sum(metrics[f'ochuman/instances (overlap {level})'] for level in ('low', 'medium', 'high')) == len(people)
