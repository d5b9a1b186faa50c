import pytest
from mmengine.config import Config
from mmpose.evaluation.metrics import CocoMetric

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.evaluation.evaluators import build_evaluator, coco_figures
from ca_hrnet_plugin.reporting import read_protocol

PARTS = {'face/coco/AP': 0.0, 'all/coco/AP': 0.7, 'all/coco/AR': 0.8}


OF_A_SET = {f'val/{name}': figure for name, figure in PARTS.items()}


@pytest.mark.parametrize(
    'metrics', [PARTS, dict(reversed(PARTS.items())), PARTS | {'coco/AP': 0.7, 'coco/AR': 0.8}, OF_A_SET]
)
def test_the_figures_are_those_of_all_keypoints_in_whatever_order(metrics):
    assert coco_figures(metrics) == dict(AP=0.7, AR=0.8)


def test_figures_of_two_data_sets_are_refused():
    with pytest.raises(ValueError, match='several figures of AP'):
        coco_figures(OF_A_SET | {'test/all/coco/AP': 0.5})


def test_parts_of_the_keypoints_alone_have_no_ap():
    for parts in ({'face/coco/AP': 0.0, 'legs/coco/AP': 0.7}, {'legs/coco/AP': 0.7}):
        with pytest.raises(ValueError, match=r'legs/coco/AP.*named all'):
            coco_figures(parts)


@pytest.mark.parametrize('wrap', [dict, lambda metric: [metric], lambda metric: dict(metrics=[metric])])
def test_an_evaluator_is_read_in_each_form_that_mim_test_takes(drawn_data, wrap, tmp_path):
    annotations = str(drawn_data / 'coco/annotations/person_keypoints_val2017.json')
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune'))
    config.test_evaluator = wrap(dict(type='mmpose.CocoMetric', ann_file=annotations, use_area=False))
    dataset = dict(config.test_dataloader.dataset, data_root='photos', bbox_file='boxes.json')
    config.test_dataloader.dataset = dict(type='RepeatDataset', times=1, dataset=dataset)
    config.dump(tmp_path / 'config.py')
    protocol = read_protocol(tmp_path / 'config.py')
    assert (protocol.ann_file, protocol.use_area) == (annotations, False)
    assert (protocol.image_dir, protocol.boxes) == ('photos/val2017', 'detected')
    assert protocol.metainfo['num_keypoints'] == 17
    assert [type(metric) for metric in build_evaluator(config.test_evaluator).metrics] == [CocoMetric]


def test_a_metric_of_partitions_has_the_protocol_of_its_metric(tmp_path):
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune'))
    inner = dict(type='CocoMetric', use_area=False, ann_file='ignored.json')
    partitions = dict(all=list(range(17)), face=[0, 1, 2])
    config.test_evaluator = dict(type='KeypointPartitionMetric', metric=inner, partitions=partitions)
    config.dump(tmp_path / 'config.py')
    protocol = read_protocol(tmp_path / 'config.py')
    assert protocol.ann_file.endswith('person_keypoints_val2017.json') and not protocol.use_area
