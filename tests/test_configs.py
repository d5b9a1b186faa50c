import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.config_files import config_names

STOCK = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'


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


def test_the_config_changes_of_stock_hrnet_what_the_paper_changes(tmp_path):
    path = tmp_path / 'stock.py'
    path.write_text(f"_base_ = '{STOCK}'")
    changed = difference(Config.fromfile(path), load('ca_hrnet_w32_coco_256x192'))
    loaders = 'train_dataloader.dataset.pipeline.4.'
    assert changed == {
        'custom_imports.imports.0': 'ca_hrnet_plugin',
        'custom_imports.allow_failed_imports': False,
        'model.backbone.type': 'CAHRNet',
        'train_dataloader.batch_size': 16,
        'auto_scale_lr.base_batch_size': 16,
        **{
            prefix + key: value
            for prefix in ('train_pipeline.4.', loaders)
            for key, value in {'rotate_factor': 45, 'scale_factor.0': 0.7, 'scale_factor.1': 1.35}.items()
        },
    }


@pytest.mark.parametrize('name', [name for name in config_names() if name.startswith('ca_hrnet')])
def test_each_config_and_its_baseline_differ_in_the_backbone_alone(name):
    changed = difference(load(name), load(name.removeprefix('ca_')))
    assert changed.pop('model.backbone.type') == 'HRNet'
    assert not changed


@pytest.mark.parametrize('name', config_names())
def test_one_variable_moves_all_data(name, monkeypatch):
    monkeypatch.delenv('CA_HRNET_DATA', raising=False)
    before = dict(leaves(load(name).to_dict()))
    data = {path for path, value in before.items() if isinstance(value, str) and 'data/' in value}
    assert {path[0] for path in data} >= {'train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator'}

    monkeypatch.setenv('CA_HRNET_DATA', '/elsewhere')
    after = dict(leaves(load(name).to_dict()))
    for path in data:
        assert before[path].startswith('data/')
        assert after[path] == before[path].replace('data/', '/elsewhere/', 1)


@pytest.mark.parametrize('name', config_names())
def test_each_config_builds_a_model_that_predicts_and_learns(name):
    config = load(name)
    config.model.backbone.init_cfg = None
    model = MODELS.build(config.model)
    width, height = config.codec.input_size
    columns, rows = config.codec.heatmap_size
    sample = PoseDataSample(
        gt_instance_labels=InstanceData(keypoint_weights=torch.ones(1, 17)),
        gt_fields=PixelData(heatmaps=torch.rand(17, rows, columns)),
    )
    data = dict(inputs=[torch.randint(0, 256, (3, height, width), dtype=torch.uint8)] * 2, data_samples=[sample] * 2)
    losses = model.loss(**model.data_preprocessor(data, training=True))
    losses['loss_kpt'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        heatmaps = model.eval()(model.data_preprocessor(data)['inputs'], None, mode='tensor')
    assert heatmaps.shape == (2, 17, rows, columns)


def test_a_config_is_found_by_name_and_a_wrong_name_lists_the_right_ones():
    assert config_path('hrnet_w32_coco_256x192.py') == config_path('hrnet_w32_coco_256x192')
    with pytest.raises(ValueError, match=r"no config 'hrnet': .*ca_hrnet_w32_coco_256x192"):
        config_path('hrnet')
