"""Whatever works with HRNet works with CAHRNet: each test runs on both, and HRNet shows that it can be done."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mmpose.models.backbones.hrnet import HRNet
from torch import nn
from trained import look_trained
from versions import has_torch

from ca_hrnet_plugin import CAHRNet, config_path

EXTRA = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune')).model.backbone.extra.to_dict()
for number in range(1, 5):
    EXTRA[f'stage{number}']['num_blocks'] = (1,) * number
X = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

both = pytest.mark.parametrize('kind', [HRNet, CAHRNet])


@pytest.fixture
def backbone(kind) -> nn.Module:
    """In float64, with gates that matter and differ from place to place."""
    return look_trained(kind(EXTRA, init_cfg=None)).double()


def gradients(network: nn.Module, x: torch.Tensor = X) -> list[torch.Tensor]:
    """Of the image and of the parameters."""
    network.zero_grad()
    leaf = x.clone().requires_grad_()
    network(leaf)[0].square().sum().backward()
    return [leaf.grad, *(parameter.grad for parameter in network.parameters())]


@both
def test_takes_images_of_one_channel(kind):
    assert kind(EXTRA, in_channels=1)(torch.zeros(1, 1, 64, 64))[0].shape == (1, 16, 16, 16)


@both
@pytest.mark.parametrize(('height', 'width'), [(61, 93), (32, 32), (64, 31)])
def test_takes_images_of_odd_sizes(backbone, height, width):
    out = backbone(X.new_zeros(2, 3, height, width))[0]
    assert out.shape[2:] == ((height + 3) // 4, (width + 3) // 4)


@both
@pytest.mark.parametrize('trace', [torch.fx.symbolic_trace, lambda network: torch.jit.trace(network, X)])
@pytest.mark.filterwarnings('ignore')
def test_is_traced(backbone, trace):
    backbone.train(False)
    torch.testing.assert_close(trace(backbone)(X[:1])[0], backbone(X[:1])[0])


@pytest.mark.parametrize(
    ('kind', 'part'),
    [(HRNet, 'stage4.0.branches.3.0'), (CAHRNet, 'stage4.0.branches.3.0.ca.norm2'), (CAHRNet, 'stage4.0.branches.3.0')],
)
def test_mmengine_s_activation_checkpointing_wraps_any_part(backbone, part):
    expected = gradients(backbone)
    turn_on_activation_checkpointing(backbone, [part])
    torch.testing.assert_close(gradients(backbone), expected)


@both
@pytest.mark.filterwarnings('ignore')
def test_the_tracing_onnx_exporter_takes_any_batch_size(backbone, tmp_path):
    onnxruntime = pytest.importorskip('onnxruntime')
    backbone = backbone.float()
    backbone.train(False)
    options = dict(dynamo=False) if has_torch('2.5') else {}
    path = str(tmp_path / 'traced.onnx')
    axes = {'x': {0: 'batch'}}
    torch.onnx.export(backbone, (X.float(),), path, input_names=['x'], dynamic_axes=axes, **options)
    x = torch.randn(5, 3, 64, 96)
    (actual, *_) = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider']).run(None, {'x': x.numpy()})
    np.testing.assert_allclose(actual, backbone(x)[0].detach(), rtol=1e-3, atol=1e-4)


@both
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
def test_memory_saved_by_checkpointing_changes_no_gradient(backbone, kind, memory_format):
    saving = kind(EXTRA, init_cfg=None, with_cp=True)
    saving.double().load_state_dict(backbone.state_dict())
    actual, expected = (
        gradients(network.to(memory_format=memory_format), X.to(memory_format=memory_format))
        for network in (saving, backbone)
    )
    torch.testing.assert_close(actual, expected)
