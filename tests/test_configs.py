import re

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.config_files import config_names

NAMES = config_names()
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
            if key != '_scope_':  # MMEngine's own note of where an inherited part came from
                yield from leaves(value, (*path, key))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, index))
    else:
        yield path, node


def difference(a: Config, b: Config) -> dict:
    """The leaves of which the two configs have only one, or different ones."""
    a, b = (dict(leaves(config.to_dict())) for config in (a, b))
    nothing = object()
    return {
        '.'.join(map(str, path)): b.get(path)
        for path in a.keys() | b.keys()
        if a.get(path, nothing) != b.get(path, nothing)
    }


def stock(name: str) -> Config:
    """The MMPose config that a member of the family follows: its own where there is one, or COCO's."""
    member = name.rpartition('/')[2].removeprefix('ca_').removeprefix('hrnet_')
    parent = STOCK.get(member, STOCK['w32_coco_256x192'])
    return Config.fromstring(f"_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/{parent}.py'", '.py')


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
    changed = difference(stock(f'ca_hrnet_{member}'), load(f'ca_hrnet_{member}'))
    if member == 'w32_crowdpose_256x192':
        assert changed.pop('val_evaluator.type') == changed.pop('test_evaluator.type') == 'CrowdCocoMetric'
    assert changed == (PLUGIN | PROTOCOL_OF_THE_PAPER if '_coco_' in member else PLUGIN)


def test_ochuman_changes_of_coco_what_is_tested_alone():
    changed = difference(load('ca_hrnet_w32_coco_256x192'), load('ca_hrnet_w32_ochuman_256x192'))
    assert {key.partition('.')[0] for key in changed} == {'data_root', 'ann_file', 'test_dataloader', 'test_evaluator'}


@pytest.mark.parametrize('name', [name for name in NAMES if 'ca_hrnet' in name and not name.startswith('ablation/')])
def test_each_config_and_its_baseline_differ_in_the_backbone_alone(name):
    changed = difference(load(name), load(name.replace('ca_hrnet', 'hrnet')))
    assert changed.pop('model.backbone.type') == 'HRNet'
    assert not changed


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
def test_one_variable_moves_all_data(name, monkeypatch):
    monkeypatch.delenv('CA_HRNET_DATA', raising=False)
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


@pytest.fixture
def one_thread():
    """For networks of this many small layers, threads that share busy cores are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures('one_thread')
@pytest.mark.parametrize('name', NAMES)
def test_each_config_builds_a_model_like_its_stock_one_that_predicts_and_learns(name):
    config, parent = load(name), stock(name)
    config.model.backbone.init_cfg = None
    model = MODELS.build(config.model)
    if 'w16' not in name:
        with torch.device('meta'):
            expected = MODELS.build(parent.model).state_dict()
        shapes = {key: value.shape for key, value in model.state_dict().items() if '.ca.' not in key}
        assert shapes == {key: value.shape for key, value in expected.items()}
        assert not difference(config.codec, parent.codec)
        assert not difference(config.model.head, parent.model.head)

    width, height = config.codec.input_size
    columns, rows = config.codec.heatmap_size
    num_keypoints = config.model.head.out_channels
    sample = PoseDataSample(
        gt_instance_labels=InstanceData(keypoint_weights=torch.ones(1, num_keypoints)),
        gt_fields=PixelData(heatmaps=torch.rand(num_keypoints, rows, columns)),
    )
    data = dict(inputs=[torch.randint(0, 256, (3, height, width), dtype=torch.uint8)], data_samples=[sample])
    data = model.data_preprocessor(data, training=True)
    model.loss(**data)['loss_kpt'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        heatmaps = model.eval()(data['inputs'], None, mode='tensor')
    assert heatmaps.shape == (1, num_keypoints, rows, columns)


def test_a_config_is_found_by_name_and_a_wrong_name_lists_the_right_ones():
    assert config_path('hrnet_w32_coco_256x192.py') == config_path('hrnet_w32_coco_256x192')
    with pytest.raises(ValueError, match=r"no config 'hrnet': .*ca_hrnet_w32_coco_256x192"):
        config_path('hrnet')
