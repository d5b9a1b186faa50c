import pytest
from mmengine.config import Config

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.config_files import config_names

NAMES = config_names()
BASELINES = [name for name in NAMES if 'ca_hrnet' not in name]
ABLATIONS = [name for name in NAMES if name.startswith('ablation/')]
MMPOSE = 'mmpose::body_2d_keypoint/topdown_heatmap/{}.py'
STOCK = {
    'w32_coco_256x192': 'coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192',
    'w32_coco_384x288': 'coco/td-hm_hrnet-w32_8xb64-210e_coco-384x288',
    'w48_coco_256x192': 'coco/td-hm_hrnet-w48_8xb32-210e_coco-256x192',
    'w48_coco_384x288': 'coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288',
    'w32_coco_256x192_udp': 'coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192',
    'w32_coco_256x192_dark': 'coco/td-hm_hrnet-w32_dark-8xb64-210e_coco-256x192',
    'w32_crowdpose_256x192': 'crowdpose/td-hm_hrnet-w32_8xb64-210e_crowdpose-256x192',
    'w32_mpii_256x256': 'mpii/td-hm_hrnet-w32_8xb64-210e_mpii-256x256',
    'w32_humanart_256x192': 'humanart/td-hm_hrnet-w32_8xb64-210e_humanart-256x192',
}
# MMEngine's note on the source of inherited parts, and the parts that the configs are built from.
NOT_CONTENT = ('_scope_', 'hrnet_w48', 'loading', 'augmentation', 'affine')


def load(name: str) -> Config:
    return Config.fromfile(config_path(name))


def baseline_of(name: str) -> str:
    return name.replace('ca_hrnet', 'hrnet')


def leaves(node, path=()):
    """Every value of a config with its path, as in ('model', 'backbone', 'type')."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in NOT_CONTENT:
                yield from leaves(value, (*path, key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path, node


def difference(a, b) -> dict:
    """The leaves that only one of two configs has, or that differ, with their values in ``b``."""
    a, b = (dict(leaves(config.to_dict())) for config in (a, b))
    changed = [path for path in a.keys() | b.keys() if a.get(path, ...) != b.get(path, ...)]
    return {'.'.join(map(str, path)): b.get(path) for path in changed}


@pytest.fixture(autouse=True)
def data_at_its_default(monkeypatch):
    """So that paths compare with MMPose's own."""
    monkeypatch.delenv('CA_HRNET_DATA', raising=False)


PLUGIN = {
    'custom_imports.imports.0': 'ca_hrnet_plugin',
    'custom_imports.allow_failed_imports': False,
    'model.backbone.type': 'CAHRNet',
}
PROTOCOL_OF_THE_PAPER = {
    'train_dataloader.batch_size': 16,
    'auto_scale_lr.base_batch_size': 16,
    **{
        prefix + key: value
        for prefix in ('train_pipeline.4.', 'train_dataloader.dataset.pipeline.4.')
        for key, value in {'rotate_factor': 45, 'scale_factor.0': 0.7, 'scale_factor.1': 1.35}.items()
    },
}


@pytest.mark.parametrize('member', STOCK)
def test_a_config_changes_only_network_and_protocol_of_mmpose_s(member):
    stock = Config.fromstring(f'_base_ = {MMPOSE.format(STOCK[member])!r}', '.py')
    changed = difference(stock, load(f'ca_hrnet_{member}'))
    if member == 'w32_crowdpose_256x192':
        assert changed.pop('val_evaluator.type') == changed.pop('test_evaluator.type') == 'CrowdCocoMetric'
    assert changed == (PLUGIN | PROTOCOL_OF_THE_PAPER if '_coco_' in member else PLUGIN)


def test_configs_come_in_pairs():
    assert {baseline_of(name) for name in NAMES if name not in (*ABLATIONS, *BASELINES)} == set(BASELINES)


@pytest.mark.parametrize('baseline', BASELINES)
def test_a_pair_differs_only_in_the_backbone(baseline):
    config = load(baseline)
    assert 'CAHRNet' not in config.text, 'options of the attention would reach the baseline'
    ours = load(baseline.replace('hrnet', 'ca_hrnet'))
    assert difference(config, ours) == {'model.backbone.type': 'CAHRNet'}


@pytest.mark.parametrize('name', ABLATIONS)
def test_an_ablation_changes_only_attention_or_its_places(name):
    changed = difference(load('ca_hrnet_w32_coco_256x192'), load(name))
    assert changed
    assert all(key.startswith(('model.backbone.ca_cfg.', 'model.backbone.ca_stages.')) for key in changed)


def test_ochuman_changes_only_the_test():
    changed = difference(load('ca_hrnet_w32_coco_256x192'), load('ca_hrnet_w32_ochuman_256x192'))
    assert {key.partition('.')[0] for key in changed} == {'data_root', 'ann_file', 'test_dataloader', 'test_evaluator'}
    changed = difference(load('ca_hrnet_w32_ochuman_256x192'), load('ca_hrnet_w32_ochuman_256x192_detected'))
    boxes = 'data/ochuman/person_detection_results/ochuman_test_detections_person.json'
    assert changed == {'test_dataloader.dataset.bbox_file': boxes, 'bbox_file': boxes}


@pytest.mark.parametrize('name', BASELINES)
def test_one_variable_moves_all_data(name, monkeypatch):
    before = dict(leaves(load(name).to_dict()))
    data = {path for path, value in before.items() if isinstance(value, str) and 'data/' in value}
    assert {path[0] for path in data} >= {'train_dataloader', 'val_dataloader', 'test_dataloader'}
    monkeypatch.setenv('CA_HRNET_DATA', '/elsewhere')
    after = dict(leaves(load(name).to_dict()))
    for path in data:
        assert before[path].startswith('data/')
        assert after[path] == before[path].replace('data/', '/elsewhere/', 1)


def test_a_config_is_found_by_name_and_a_wrong_name_lists_the_right_ones():
    assert config_path('hrnet_w32_coco_256x192.py') == config_path('hrnet_w32_coco_256x192')
    with pytest.raises(ValueError, match=r"no config 'hrnet': .*ca_hrnet_w32_coco_256x192"):
        config_path('hrnet')
