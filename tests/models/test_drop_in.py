"""Whatever works with HRNet works with CAHRNet: each test runs on both, and HRNet shows that it can be done."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mmpose.models.backbones.hrnet import HRNet
from torch import nn
from trained import look_trained
from versions import has_torch

from ca_hrnet_plugin import CAHRNet, config_path

EXTRA = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96')).model.backbone.extra.to_dict()
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


@both
@pytest.mark.filterwarnings('ignore')
def test_mmengine_s_efficient_conv_bn_eval_finds_its_norms(backbone):
    backbone.train(False)
    model = nn.ModuleDict(dict(backbone=backbone))
    expected = backbone(X)[0]
    num_norms = sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    called = []
    turn_on_efficient_conv_bn_eval(model, ['backbone'])
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda *_: called.append(1))
    torch.testing.assert_close(backbone(X)[0], expected)
    assert len(called) < num_norms / 10, 'norms are computed with their convolutions'


@both
@pytest.mark.parametrize('transform', ['vmap', 'grad', 'jvp'])
@pytest.mark.filterwarnings('ignore')
def test_torch_func_goes_through_it(backbone, transform):
    backbone.train(False)

    def energy(x):
        return backbone(x)[0].square().sum()

    if transform == 'vmap':
        found, expected = torch.vmap(lambda x: backbone(x[None])[0][0])(X), backbone(X)[0]
    elif transform == 'grad':
        found, expected = torch.func.grad(energy)(X), gradients(backbone)[0]
    else:
        direction = torch.ones_like(X)
        found = torch.func.jvp(energy, (X,), (direction,))[1]
        expected = (gradients(backbone)[0] * direction).sum()
    torch.testing.assert_close(found, expected)


@both
def test_can_be_differentiated_twice(backbone):
    backbone.train(False)
    leaf = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(backbone(leaf)[0].square().sum(), leaf, create_graph=True)
    direction = torch.randn(X.shape, generator=torch.Generator().manual_seed(1), dtype=X.dtype)
    (found,) = torch.autograd.grad((slope * direction).sum(), leaf)
    # The second derivative is symmetric, so that forward mode over backward mode has to give the same.
    expected = torch.func.jvp(torch.func.grad(lambda x: backbone(x)[0].square().sum()), (X,), (direction,))[1]
    torch.testing.assert_close(found, expected)


@both
@pytest.mark.parametrize('meddle', ['global hook', 'forward replaced'])
def test_gradients_are_right_with_whatever_is_hooked_or_replaced(backbone, meddle):
    def halved(module, arguments, output):
        return output / 2 if isinstance(module, nn.BatchNorm2d) else output

    twin = copy.deepcopy(backbone)
    for module in list(twin.modules()):  # what halving a norm comes to, written out
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data /= 2
            module.bias.data /= 2
    expected = gradients(twin)[0]

    if meddle == 'global hook':
        handle = nn.modules.module.register_module_forward_hook(halved)
        try:
            found = gradients(backbone)[0]
        finally:
            handle.remove()
    else:
        for module in backbone.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.forward = lambda x, stock=module.forward: stock(x) / 2
        found = gradients(backbone)[0]
    torch.testing.assert_close(found, expected)


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
    (found, *_) = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider']).run(None, {'x': x.numpy()})
    np.testing.assert_allclose(found, backbone(x)[0].detach(), rtol=1e-3, atol=1e-4)


@both
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
def test_memory_saved_by_checkpointing_changes_no_gradient(backbone, kind, memory_format):
    saving = kind(EXTRA, init_cfg=None, with_cp=True)
    saving.double().load_state_dict(backbone.state_dict())
    found, expected = (
        gradients(network.to(memory_format=memory_format), X.to(memory_format=memory_format))
        for network in (saving, backbone)
    )
    torch.testing.assert_close(found, expected)
