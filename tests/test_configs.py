import re
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.config_files import CONFIGS, config_names

NAMES = config_names()
BASELINES = [name.replace('ca_hrnet', 'hrnet') for name in NAMES if re.match('(demo/|lsp/)?ca_hrnet', name)]
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


def load(name: str) -> Config:
    return Config.fromfile(config_path(name))


def leaves(node, path=()):
    """Every value of a config with its path, as in ('model', 'backbone', 'type')."""
    if isinstance(node, dict):
        for key, value in node.items():
            # MMEngine's note of where an inherited part came from, and the parts in configs/_base_
            if key not in ('_scope_', 'hrnet_w16', 'hrnet_w48', 'shallow'):
                yield from leaves(value, (*path, key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path, node


def difference(a: Config, b: Config) -> dict:
    """The leaves of which the two configs have only one, or different ones."""
    a, b = (dict(leaves(config.to_dict())) for config in (a, b))
    changed = [path for path in a.keys() | b.keys() if a.get(path, ...) != b.get(path, ...)]
    return {'.'.join(map(str, path)): b.get(path) for path in changed}


def load_rewritten(folder: Path, name: str, old: str, new: str) -> Config:
    """Loads a config from a copy of configs/ that has another text wherever the old one was."""
    shutil.copytree(CONFIGS, folder, dirs_exist_ok=True)
    for path in folder.rglob('*.py'):
        path.write_text(path.read_text().replace(old, new))
    return Config.fromfile(folder / f'{name}.py')


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
def test_a_member_changes_of_its_stock_config_the_network_and_on_coco_what_the_paper_changes(member):
    stock = Config.fromstring(f'_base_ = {MMPOSE.format(STOCK[member])!r}', '.py')
    changed = difference(stock, load(f'ca_hrnet_{member}'))
    if member == 'w32_crowdpose_256x192':
        assert changed.pop('val_evaluator.type') == changed.pop('test_evaluator.type') == 'CrowdCocoMetric'
    assert changed == (PLUGIN | PROTOCOL_OF_THE_PAPER if '_coco_' in member else PLUGIN)


def test_ochuman_changes_of_coco_what_is_tested_alone():
    changed = difference(load('ca_hrnet_w32_coco_256x192'), load('ca_hrnet_w32_ochuman_256x192'))
    assert {key.partition('.')[0] for key in changed} == {'data_root', 'ann_file', 'test_dataloader', 'test_evaluator'}


def test_ochuman_in_detected_boxes_changes_the_boxes_alone():
    changed = difference(load('ca_hrnet_w32_ochuman_256x192'), load('ca_hrnet_w32_ochuman_256x192_detected'))
    boxes = 'data/ochuman/person_detection_results/ochuman_test_detections_person.json'
    assert changed == {'test_dataloader.dataset.bbox_file': boxes, 'bbox_file': boxes}


@pytest.mark.parametrize('baseline', BASELINES)
def test_each_config_and_its_baseline_differ_in_the_backbone_alone(baseline):
    assert difference(load(baseline), load(baseline.replace('hrnet', 'ca_hrnet'))) == {'model.backbone.type': 'CAHRNet'}


@pytest.mark.parametrize('baseline', BASELINES)
def test_an_option_of_the_attention_does_not_reach_the_baseline(baseline, tmp_path):
    rewrite = ("type='CAHRNet'", "type='CAHRNet', ca_cfg=dict(reduction=8)")
    config = load_rewritten(tmp_path, baseline.replace('hrnet', 'ca_hrnet'), *rewrite)
    assert config.model.backbone.ca_cfg == dict(reduction=8)
    with torch.device('meta'):
        MODELS.build(load_rewritten(tmp_path, baseline, *rewrite).model)


@pytest.mark.parametrize('index', [3, 100])
@pytest.mark.parametrize('name', [name for name in BASELINES if not re.search('crowdpose|mpii|humanart', name)])
def test_a_parent_with_one_more_transform_keeps_one_of_each_with_the_codec_of_the_config(name, index, tmp_path):
    grandparent, parent = MMPOSE.format(STOCK['w32_coco_256x192']), tmp_path / 'parent.py'
    parent.write_text(f"""
_base_ = {grandparent!r}
train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
train_pipeline.insert({index}, dict(type='Extra'))
val_pipeline.insert({index}, dict(type='Extra'))
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
""")
    config = load_rewritten(tmp_path / 'configs', name, grandparent, str(parent))
    for stage in ('train', 'val', 'test'):
        pipeline = config[f'{stage}_dataloader'].dataset.pipeline
        steps = {step.type: step for step in pipeline}
        num_steps = 9 if stage == 'train' else 5
        assert len(steps) == len(pipeline) == num_steps - ('demo/' in name and stage == 'train')  # no half bodies
        assert steps['TopdownAffine'].input_size == config.codec.input_size
        assert stage != 'train' or not difference(steps['GenerateTarget'].encoder, config.codec)


@pytest.mark.parametrize(
    ('name', 'of'),
    [
        *((name, 'ca_hrnet_w32_coco_256x192') for name in NAMES if name.startswith('ablation/')),
        *((name, f'lsp/ca_{name[name.index("hrnet") :]}') for name in NAMES if re.match('lsp/(se|cbam)_', name)),
    ],
)
def test_another_attention_or_place_of_it_is_the_only_difference(name, of):
    changed = difference(load(of), load(name))
    assert changed
    assert all(key.startswith(('model.backbone.ca_cfg.', 'model.backbone.ca_stages.')) for key in changed)


@pytest.mark.parametrize('name', NAMES)
def test_each_config_keeps_mmpose_s_hooks_and_averages_weights_once_at_most(name):
    hooks = [hook.type for hook in load(name).custom_hooks]
    assert hooks.count('SyncBuffersHook') == 1
    assert hooks.count('EMAHook') <= 1


@pytest.mark.parametrize('name', NAMES)
def test_one_variable_moves_all_data(name, monkeypatch):
    before = dict(leaves(load(name).to_dict()))
    data = {path for path, value in before.items() if isinstance(value, str) and 'data/' in value}
    assert {path[0] for path in data} >= {'train_dataloader', 'val_dataloader', 'test_dataloader'}
    monkeypatch.setenv('CA_HRNET_DATA', '/elsewhere')
    after = dict(leaves(load(name).to_dict()))
    for path in data:
        assert before[path].startswith('data/')
        assert after[path] == before[path].replace('data/', '/elsewhere/', 1)


@pytest.mark.parametrize('name', [name for name in NAMES if not name.startswith('hrnet')])
def test_each_config_is_read_back_from_what_a_run_saves_of_it(name, tmp_path):
    config = load(name)
    config.dump(tmp_path / 'saved.py')
    assert not difference(Config.fromfile(tmp_path / 'saved.py'), config)


@pytest.mark.parametrize('name', NAMES)
def test_each_network_predicts_heatmaps_of_its_codec_and_all_of_it_learns(name):
    config = load(name)
    (width, height), (columns, rows) = config.codec.input_size, config.codec.heatmap_size
    with torch.device('meta'):
        model = MODELS.build(config.model)
        heatmaps = model(torch.empty(2, 3, height, width), None, mode='tensor')
    assert heatmaps.shape == (2, config.model.head.out_channels, rows, columns)
    heatmaps.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_config_is_found_by_name_and_a_wrong_name_lists_the_right_ones():
    assert config_path('hrnet_w32_coco_256x192.py') == config_path('hrnet_w32_coco_256x192')
    with pytest.raises(ValueError, match=r"no config 'hrnet': .*ca_hrnet_w32_coco_256x192"):
        config_path('hrnet')
