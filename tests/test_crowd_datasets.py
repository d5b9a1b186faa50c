"""Tests on real images of CrowdPose and OCHuman, with untrained networks."""

import json

import pytest

# Of the published networks, only few modules: the test is of the data.
OPTIONS = {
    'model.backbone.init_cfg': None,
    'model.backbone.extra.stage3.num_modules': 1,
    'model.backbone.extra.stage4.num_modules': 1,
    'model.test_cfg.flip_test': False,
}


@pytest.fixture
def run_test(runner, tmp_path):
    """Runs the test of a config and returns its metrics and its predictions as COCO results."""

    def run(name: str, data_root, **options) -> tuple[dict, list[dict]]:
        options |= OPTIONS | {'test_evaluator.outfile_prefix': str(tmp_path / 'results')}
        metrics = runner(name, data_root, **options).test()
        return metrics, json.loads((tmp_path / 'results.keypoints.json').read_text())

    return run


def test_crowdpose_is_tested_in_detected_boxes(run_test, slice_of):
    annotations = slice_of('crowdpose', 'annotations', 'test_crowdpose.json')
    detections = slice_of('crowdpose', 'annotations', 'test_crowdpose_det_AP_40.json')
    options = {
        'test_dataloader.dataset.ann_file': 'annotations/test_crowdpose.json',
        'test_dataloader.dataset.bbox_file': str(detections),
        'test_evaluator.ann_file': str(annotations),
    }
    metrics, results = run_test('ca_hrnet_w32_crowdpose_256x192', annotations.parents[2], **options)
    assert len(results) == len(json.loads(detections.read_text()))
    assert {len(result['keypoints']) for result in results} == {14 * 3}
    assert metrics.keys() >= {'crowdpose/AP', 'crowdpose/AP(H)'}
    # CrowdPose publishes crowd indices of 0.33 and 0.39 with these images.
    assert metrics['crowdpose/instances (crowd medium)'] > 0
    assert metrics['crowdpose/instances (crowd easy)'] == metrics['crowdpose/instances (crowd hard)'] == 0


def test_ochuman_is_tested_in_ground_truth_boxes(run_test, slice_of):
    annotations = slice_of('ochuman', 'test_ochuman.json')
    people = json.loads(annotations.read_text())['annotations']
    options = {'test_dataloader.dataset.ann_file': 'test_ochuman.json', 'test_evaluator.ann_file': str(annotations)}
    metrics, results = run_test('ca_hrnet_w32_ochuman_256x192', annotations.parents[1], **options)
    assert sorted(result['image_id'] for result in results) == sorted(person['image_id'] for person in people)
    assert metrics['ochuman/AP'] >= 0
