import copy
import itertools
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmpose.apis import init_model
from mmpose.registry import MODELS
from synthetic_crowd import make_synthetic_crowd
from torch import nn
from trained import look_trained

from ca_hrnet_plugin import CoordAttention, config_path
from ca_hrnet_plugin.deploy import check_onnx, export_onnx, freeze_gates, load_onnx, training_people
from ca_hrnet_plugin.deploy.freeze import average_precision, with_frozen_gates
from ca_hrnet_plugin.models.gates import recorded_gates, replaced_gates

CONFIG = 'study/ca_hrnet_w16_128x96'
INPUT = torch.randn(4, 3, 128, 96, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Stacked(nn.Module):
    """Crops as the network takes them already."""

    def forward(self, batch):
        return dict(inputs=torch.stack(batch['inputs']))


def build(name: str) -> nn.Module:
    cfg = Config.fromfile(config_path(name))
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model).double().eval()


@pytest.fixture
def model():
    """In float64, with gates that vary, behind norms of any scale."""
    model = look_trained(build(CONFIG))
    model.data_preprocessor = Stacked()
    return model


@torch.no_grad()
def heatmaps(model, crops=INPUT):
    return model.head(model.backbone(crops))


def people(crops=INPUT):
    return [dict(inputs=crop) for crop in crops]


def frozen(model, form, **options):
    return freeze_gates(model, people(), form, evaluate=lambda _: 0.5, **options).model


def test_gates_frozen_for_one_person_are_that_person_s_to_the_last_digits(model):
    only = freeze_gates(model, people(INPUT[:1]), 'profile', evaluate=lambda _: 0.5).model
    torch.testing.assert_close(heatmaps(only, INPUT[:1]), heatmaps(model, INPUT[:1]), rtol=1e-10, atol=1e-14)
    assert not any(isinstance(module, CoordAttention) for module in only.modules())
    assert any(isinstance(module, CoordAttention) for module in model.modules())


def test_the_fold_into_the_norm_is_the_product_with_the_mean_gate_of_each_channel(model):
    crops = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)  # two batches
    with recorded_gates(model) as gates:
        heatmaps(model, crops)
    means = {
        name: ((rows.mean(0, keepdim=True)).mean(2, keepdim=True), columns.mean(0, keepdim=True).mean(3, keepdim=True))
        for name, (rows, columns) in gates.items()
    }
    with replaced_gates(model, means):
        expected = heatmaps(model, crops)
    found = freeze_gates(model, people(crops), 'channel', evaluate=lambda _: 0.5).model
    torch.testing.assert_close(heatmaps(found, crops), expected, rtol=1e-10, atol=1e-14)


def test_a_model_in_training_is_frozen_as_it_infers_and_left_as_it_was(model):
    expected = heatmaps(frozen(model, 'profile'))
    before = copy.deepcopy(model.train().state_dict())
    torch.testing.assert_close(heatmaps(frozen(model, 'profile').eval()), expected, rtol=0, atol=0)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert all(module.training and not module._forward_pre_hooks for module in model.modules())


def test_frozen_by_channel_it_is_a_checkpoint_of_stock_hrnet_and_by_profile_one_of_a_config(model):
    stock, profiles = build('study/hrnet_w16_128x96'), build('study/ca_hrnet_w16_128x96_profiles')
    for form, other in (('channel', stock), ('profile', profiles)):
        network = frozen(model, form)
        other.load_state_dict(network.state_dict(), strict=True)
        assert torch.equal(heatmaps(other), heatmaps(network))


def test_as_many_modules_are_frozen_as_the_tolerance_allows_those_that_vary_least_first(model):
    num_modules = sum(isinstance(module, CoordAttention) for module in model.modules())

    def ap(network):  # each frozen module costs 0.1 points
        return 0.5 - 0.001 * (num_modules - sum(isinstance(module, CoordAttention) for module in network.modules()))

    first = next(block for block in model.modules() if isinstance(block, CoordAttention))
    first.conv_h.weight.data.zero_()
    first.conv_w.weight.data.zero_()
    found = freeze_gates(model, people(), 'channel', max_drop=0.55, evaluate=ap)
    assert len(found.modules) == 5
    assert found.modules[0] == 'backbone.stage2.0.branches.0.0.ca.norm2'
    assert (found.ap_before, found.ap_after) == pytest.approx((0.5, 0.495))
    assert ap(found.model) == found.ap_after
    assert not freeze_gates(model, people(), 'channel', max_drop=0.05, evaluate=ap).modules


@pytest.mark.parametrize('form', ['channel', 'profile'])
def test_a_graph_of_frozen_gates_says_what_pytorch_says(model, form, tmp_path):
    network = frozen(model, form).float()
    export_onnx(network, tmp_path / 'frozen.onnx', (96, 128))
    for runtime in ('ONNX Runtime', 'OpenVINO'):
        difference = check_onnx(network, load_onnx(tmp_path / 'frozen.onnx', runtime), INPUT.float())
        assert difference.heatmaps < 1e-4


def test_what_cannot_be_frozen_is_told(model):
    with pytest.raises(ValueError, match='no CoordAttention: give a config of CA-HRNet'):
        freeze_gates(build('study/hrnet_w16_128x96'), people(), 'channel')
    with pytest.raises(ValueError, match=r"form='rows'.*profile, channel"):
        with_frozen_gates(model, {}, 'rows')


def test_gates_are_averaged_over_some_training_people_and_judged_on_the_test(tmp_path, monkeypatch):
    make_synthetic_crowd(tmp_path / 'coco', num_train=6, num_val=3, progress=False)
    monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path))
    cfg = Config.fromfile(config_path(CONFIG))
    init_default_scope(cfg.default_scope)

    def annotator(moves):
        """A network that knows each joint, and of a share of the people has them elsewhere."""

        def test_step(batch):
            for sample in batch['data_samples']:
                keypoints = sample.gt_instances.keypoints + (1000 if next(moves) else 0)
                sample.pred_instances = InstanceData(keypoints=keypoints, keypoint_scores=np.ones(keypoints.shape[:2]))
            return batch['data_samples']

        return SimpleNamespace(cfg=cfg, test_step=test_step)

    assert average_precision(annotator(itertools.repeat(False))) == 1
    assert 0 < average_precision(annotator(itertools.cycle([True, False]))) < 1

    data = training_people(annotator(()), limit=4)
    assert len(data) == 4
    assert all('train2017' in one['data_samples'].img_path for one in data)


def test_the_tool_freezes_on_a_config_s_own_data(tool, tmp_path, monkeypatch):
    make_synthetic_crowd(tmp_path / 'coco', num_train=3, num_val=3, progress=False)
    monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path))
    config, weights = config_path(CONFIG), tmp_path / 'weights.pth'
    torch.save(init_model(config, device='cpu').state_dict(), weights)

    def ap(network):
        num_attention = sum(isinstance(module, CoordAttention) for module in network.modules())
        return 0.4 + 0.01 * num_attention

    out = '--out', tmp_path / 'hrnet.onnx', '--checkpoint-out', tmp_path / 'hrnet.pth'
    options = '--freeze', 'channel', '--rounds', 1, '--people', 2
    with monkeypatch.context() as patch:
        patch.setattr('ca_hrnet_plugin.deploy.freeze.average_precision', ap)
        code, said, _ = tool('export', config, weights, *out, *options)
        assert code == 0 and '18 of 18 modules frozen by channel: AP 58.00 before, 40.00 after' in said
        code, said, _ = tool('export', config, weights, '--out', tmp_path / 'some.onnx', *options, '--max-drop', 5.5)
        assert code == 0 and '5 of 18 modules frozen by channel: AP 58.00 before, 53.00 after' in said
    stock = build('study/hrnet_w16_128x96')
    stock.load_state_dict(torch.load(tmp_path / 'hrnet.pth')['state_dict'], strict=True)
    gates = [node for node in onnx.load(tmp_path / 'hrnet.onnx').graph.node if node.op_type == 'Sigmoid']
    assert not gates
