import copy
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from torch import nn
from trained import look_trained

from ca_hrnet_plugin import CoordAttention, config_path
from ca_hrnet_plugin.deploy import freeze_gates
from ca_hrnet_plugin.deploy.freeze import average_precision
from ca_hrnet_plugin.evaluation import training_people

CONFIG = config_path('demo/ca_hrnet_w16_128x96_finetune')
CROPS = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)  # two batches


class Stacked(nn.Module):
    """A data preprocessor for crops that are normalised already."""

    def forward(self, batch):
        return dict(inputs=torch.stack(batch['inputs']))


def build(cfg: Config) -> nn.Module:
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model).double().eval()


@pytest.fixture
def model():
    """In float64, with gates that vary, behind norms of any scale."""
    model = look_trained(build(Config.fromfile(CONFIG)))
    model.data_preprocessor = Stacked()
    return model


@torch.no_grad()
def heatmaps(model, crops=CROPS):
    return model.head(model.backbone(crops))


def frozen(model, crops=CROPS):
    return freeze_gates(model, [dict(inputs=crop) for crop in crops], evaluate=lambda _: 0.5).model


def test_each_channel_is_multiplied_by_its_mean_gate(model):
    expected = copy.deepcopy(model)
    hooks = []
    with torch.no_grad():
        for name, module in expected.named_modules():
            if isinstance(module, CoordAttention):
                inputs = []
                attention = model.get_submodule(name)
                hook = attention.register_forward_pre_hook(lambda _, x, inputs=inputs: inputs.append(x[0]))
                heatmaps(model)
                hook.remove()
                rows, columns = (gate.mean(0) for gate in attention.gates(inputs[0]))
                factor = rows.mean(1, keepdim=True) * columns.mean(2, keepdim=True)
                hooks.append(module.register_forward_hook(lambda _, x, y, factor=factor: x[0] * factor))
    torch.testing.assert_close(heatmaps(frozen(model)), heatmaps(expected), rtol=1e-10, atol=1e-14)


def test_a_model_in_training_is_frozen_as_it_infers_and_not_changed(model):
    expected = heatmaps(frozen(model))
    before = copy.deepcopy(model.train().state_dict())
    torch.testing.assert_close(heatmaps(frozen(model).eval()), expected, rtol=0, atol=0)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert all(module.training and not module._forward_pre_hooks for module in model.modules())


def test_a_frozen_network_is_stock_hrnet(model):
    stock = build(Config.fromfile(config_path('demo/hrnet_w16_128x96_finetune')))
    network = frozen(model)
    stock.load_state_dict(network.state_dict(), strict=True)
    assert torch.equal(heatmaps(stock), heatmaps(network))
    with pytest.raises(ValueError, match='no CoordAttention: give a config of CA-HRNet'):
        frozen_stock = build(Config.fromfile(config_path('demo/hrnet_w16_128x96_finetune')))
        frozen_stock.data_preprocessor = Stacked()
        frozen(frozen_stock)


def test_attention_that_cannot_be_folded_is_named():
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.norm_cfg = dict(type='IN')
    model = build(cfg)
    model.data_preprocessor = Stacked()
    with pytest.raises(ValueError, match=r'stage2\.0\.branches\.0\.0\.ca\.norm2 cannot be frozen.*InstanceNorm'):
        frozen(model, torch.zeros(1, 3, 64, 64, dtype=torch.float64))


def test_gates_are_averaged_over_training_people_and_judged_on_the_test(drawn_data, tmp_path, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))
    cfg = Config.fromfile(CONFIG)
    init_default_scope(cfg.default_scope)

    def annotator(moves):
        """A network that knows each joint, and misplaces all joints of some people."""

        def test_step(batch):
            for sample in batch['data_samples']:
                keypoints = sample.gt_instances.keypoints + (1000 if next(moves) else 0)
                sample.pred_instances = InstanceData(keypoints=keypoints, keypoint_scores=np.ones(keypoints.shape[:2]))
            return batch['data_samples']

        return SimpleNamespace(cfg=cfg, test_step=test_step)

    assert average_precision(annotator(itertools.repeat(False))) == 1
    assert 0 < average_precision(annotator(itertools.cycle([True, False]))) < 1

    cfg.test_evaluator.update(format_only=True, outfile_prefix=str(tmp_path / 'poses'))
    with pytest.raises(ValueError, match=r'test_evaluator gives no figures .* give an evaluator that reports AP'):
        average_precision(annotator(itertools.repeat(False)))

    plain = cfg.train_dataloader.dataset
    cfg.test_dataloader.dataset = dict(type='RepeatDataset', times=1, dataset=cfg.test_dataloader.dataset)
    combined = dict(type='CombinedDataset', metainfo=dict(from_file='configs/_base_/datasets/coco.py'))
    mixed = dict(type='PhotometricDistortion')
    for dataset in (
        plain,
        dict(type='RepeatDataset', times=2, dataset=plain),
        dict(type='ConcatDataset', datasets=[plain, plain]),
        combined | dict(datasets=[plain]),
        combined | dict(datasets=[plain], pipeline=[]),
        combined | dict(datasets=[plain], pipeline=[mixed]),
        combined | dict(datasets=[plain | dict(pipeline=[])], pipeline=plain.pipeline),
    ):
        cfg.train_dataloader.dataset = dataset
        data = training_people(annotator(()), limit=4)
        assert len(data) == 4
        assert all('train2017' in sample['data_samples'].img_path for sample in data)
