"""Tests on a GPU, for make gpu; skipped without a GPU."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmpose.models.backbones.hrnet import HRNet
from torch import nn

from ca_hrnet_plugin import CAHRNet, CoordAttention, config_path

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU: make gpu')]
DEVICE = 'cuda'
EXTRA = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune')).model.backbone.extra.to_dict()
X = torch.randn(4, 3, 128, 96, generator=torch.Generator().manual_seed(0))
# Relative to the largest value, without TF32.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)


def network(kind=CAHRNet) -> nn.Module:
    """With gates that differ from place to place."""
    torch.manual_seed(0)
    backbone = kind(EXTRA, init_cfg=None)
    for module in backbone.modules():
        if isinstance(module, CoordAttention):
            for conv in (module.conv1, module.conv_h, module.conv_w):
                nn.init.normal_(conv.weight, std=0.5)
    return backbone.to(DEVICE)


def step(backbone: nn.Module, x: torch.Tensor, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Heatmaps in training, and the gradients of the weights."""
    backbone.zero_grad()
    with torch.autocast(DEVICE, dtype, enabled=dtype in (torch.float16, torch.bfloat16)):
        out = backbone(x)[0]
    (out.float() if dtype != torch.float64 else out).square().mean().backward()
    return [out.detach(), *(parameter.grad for parameter in backbone.parameters())]


def assert_near(actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    expected = expected.cpu().double()
    assert (actual.cpu().double() - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_precision_and_format_is_near_float64_on_the_cpu(dtype, memory_format):
    backbone = network()
    expected = step(copy.deepcopy(backbone).cpu().double(), X.double(), torch.float64)
    backbone = backbone.to(memory_format=memory_format)
    tensors = step(backbone, X.to(DEVICE, memory_format=memory_format), dtype)
    assert_near(tensors[0], expected[0], TOLERANCES[dtype])
    if dtype == torch.float32:
        for name, *pair in zip(dict(backbone.named_parameters()), tensors[1:], expected[1:], strict=True):
            if not name.endswith('conv1.bias'):  # before a norm, its gradient is only rounding
                assert_near(*pair, 0.01)


def test_stock_weights_give_stock_heatmaps_to_the_last_bit():
    stock, ours = network(HRNet), network()
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(ours(X.to(DEVICE))[0], stock(X.to(DEVICE))[0])


def test_it_can_be_compiled():
    backbone = network()
    (expected, *_) = step(backbone, X.to(DEVICE))
    backbone.compile(dynamic=False)
    assert_near(step(backbone, X.to(DEVICE))[0], expected, 0.01)


def test_ddp_with_one_process_has_the_gradients_without_ddp(tmp_path, capfd):
    torch.distributed.init_process_group('nccl', f'file://{tmp_path}/rendezvous', rank=0, world_size=1)
    try:
        backbone = network().to(memory_format=torch.channels_last)
        x = X.to(DEVICE, memory_format=torch.channels_last)
        expected = step(copy.deepcopy(backbone), x)
        step(MMDistributedDataParallel(backbone, device_ids=[0]), x)
        for parameter, wanted in zip(backbone.parameters(), expected[1:], strict=True):
            assert_near(parameter.grad, wanted, 1e-4)
    finally:
        torch.distributed.destroy_process_group()
    assert 'strides do not match' not in capfd.readouterr().err
