import copy

import numpy as np
import pytest
from mmpose.datasets import CocoDataset
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from random_people import make_annotations, make_detections

import ca_hrnet_plugin  # noqa: F401
from ca_hrnet_plugin.evaluation import evaluate_results

TEN = ['AP', 'AP .5', 'AP .75', 'AP (M)', 'AP (L)', 'AR', 'AR .5', 'AR .75', 'AR (M)', 'AR (L)']
LEVELS = ['crowd easy', 'crowd medium', 'crowd hard']
LEVELS += [f'{measure} {name}' for measure in ('hidden', 'overlap') for name in ('low', 'medium', 'high')]


@pytest.fixture
def dataset():
    return make_annotations(30, 4, np.random.default_rng(5))


@pytest.fixture
def ann_file(dataset, write_json):
    return write_json('gt.json', dataset)


@pytest.fixture
def samples(dataset):
    """Samples as a top-down model passes them to a metric."""
    samples = []
    for index, detection in enumerate(make_detections(dataset, 0.08, 1, np.random.default_rng(6))):
        joints = np.reshape(detection['keypoints'], (1, 17, 3))
        samples.append(
            dict(
                id=index,
                img_id=detection['image_id'],
                category_id=1,
                ori_shape=(480, 640),
                crowd_index=0.5,
                pred_instances=dict(keypoints=joints[..., :2], keypoint_scores=joints[..., 2]),
                gt_instances=dict(bbox_scales=np.full((1, 2), 100.0), bbox_scores=np.array([detection['score']])),
            )
        )
    return samples


def figures_of(kind, dataset, samples, **kwargs):
    metric = METRICS.build(dict(type=kind, **kwargs))
    metric.dataset_meta = dict(
        parse_pose_metainfo(CocoDataset.METAINFO), dataset_name='random people', CLASSES=dataset['categories']
    )
    metric.process({}, copy.deepcopy(samples))
    return metric.evaluate(len(samples))


@pytest.mark.parametrize(
    'arguments',
    [
        dict(),
        dict(score_mode='bbox', nms_mode='soft_oks_nms', prefix='mine'),
        dict(use_area=False, iou_type='keypoints_crowd'),
    ],
    ids=['coco', 'other arguments', 'crowdpose'],
)
def test_every_figure_of_coco_metric_stays_and_the_levels_come_after(dataset, ann_file, samples, arguments):
    stock = figures_of('CocoMetric', dataset, samples, ann_file=ann_file, **arguments)
    ours = figures_of('CrowdCocoMetric', dataset, samples, ann_file=ann_file, **arguments)
    assert list(ours)[: len(stock)] == list(stock)
    assert {name: ours[name] for name in stock} == stock
    prefix = arguments.get('prefix', 'coco')
    assert set(ours) - set(stock) == {
        f'{prefix}/{figure} ({level})' for figure in ('AP', 'AR', 'instances') for level in LEVELS
    }


def test_the_result_file_gives_the_same_figures_later(dataset, ann_file, samples, tmp_path):
    outfile_prefix = f'{tmp_path}/results'
    figures = figures_of('CrowdCocoMetric', dataset, samples, ann_file=ann_file, outfile_prefix=outfile_prefix)

    later = evaluate_results(ann_file, f'{outfile_prefix}.keypoints.json').figures()
    assert {f'coco/{name}': value for name, value in later.items()} == pytest.approx(figures, abs=1e-12)
    assert list(later)[:10] == TEN
