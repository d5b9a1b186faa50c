"""Tests on a GPU, for make gpu; skipped without a GPU."""

import copy
import os

os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # deterministic algorithms need it before CUDA starts

import pytest
import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.runner.utils import set_random_seed
from mmpose.models.backbones.hrnet import HRNet
from torch import nn

from ca_hrnet_plugin import CAHRNet, CBasicBlock, CoordAttention, config_path

pytestmark = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU: make gpu')]
DEVICE = 'cuda'
EXTRA = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96')).model.backbone.extra.to_dict()
X = torch.randn(4, 3, 128, 96, generator=torch.Generator().manual_seed(0))
# Relative to the largest value, without TF32.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 0.02, torch.bfloat16: 0.1}
FORMATS = pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    monkeypatch.setattr(torch.backends.cuda.matmul, 'allow_tf32', False)
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False


def network(kind=CAHRNet, **kwargs) -> nn.Module:
    """With gates that differ from place to place."""
    torch.manual_seed(0)
    backbone = kind(EXTRA, init_cfg=None, **kwargs)
    for module in backbone.modules():
        if isinstance(module, CoordAttention):
            for conv in (module.conv1, module.conv_h, module.conv_w):
                nn.init.normal_(conv.weight, std=0.5)
    return backbone.to(DEVICE)


def step(backbone: nn.Module, x: torch.Tensor, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Heatmaps in training, and the gradients of image and weights."""
    backbone.zero_grad()
    leaf = x.clone().requires_grad_()
    with torch.autocast(DEVICE, dtype, enabled=dtype in (torch.float16, torch.bfloat16)):
        out = backbone(leaf)[0]
    (out.float() if dtype != torch.float64 else out).square().mean().backward()
    return [out.detach(), leaf.grad, *(parameter.grad for parameter in backbone.parameters())]


def assert_near(actual: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    expected = expected.cpu().double()
    assert (actual.cpu().double() - expected).abs().max() <= tolerance * expected.abs().max()


@FORMATS
@pytest.mark.parametrize('dtype', TOLERANCES)
def test_each_precision_and_format_is_near_float64_on_the_cpu(dtype, memory_format):
    backbone = network()
    expected = step(copy.deepcopy(backbone).cpu().double(), X.double(), torch.float64)
    backbone = backbone.to(memory_format=memory_format)
    tensors = step(backbone, X.to(DEVICE, memory_format=memory_format), dtype)
    assert_near(tensors[0], expected[0], TOLERANCES[dtype])
    if dtype == torch.float32:
        for name, *pair in zip(dict(backbone.named_parameters()), tensors[2:], expected[2:], strict=True):
            if not name.endswith('conv1.bias'):  # before a norm, its gradient is only rounding
                assert_near(*pair, 0.01)


@pytest.mark.parametrize('dtype', TOLERANCES)
def test_stock_weights_give_stock_heatmaps_to_the_last_bit(dtype):
    stock, ours = network(HRNet), network()
    ours.load_state_dict(stock.state_dict())
    with torch.autocast(DEVICE, dtype, enabled=dtype != torch.float32):
        assert torch.equal(ours(X.to(DEVICE))[0], stock(X.to(DEVICE))[0])


def test_it_can_be_replayed_as_a_cuda_graph():
    backbone, x = network().eval(), X.to(DEVICE)
    with torch.no_grad():
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            backbone(x)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            (out,) = backbone(x)
        x.copy_(X.flip(0))
        graph.replay()
        torch.testing.assert_close(out, backbone(x)[0])


@pytest.mark.parametrize('what', ['network', 'blocks'])
def test_it_can_be_compiled_whole_or_block_by_block(what, monkeypatch):
    backbone = network()
    expected = step(backbone, X.to(DEVICE))
    monkeypatch.setattr(torch._dynamo.config, 'recompile_limit', 32)
    for module in [backbone] if what == 'network' else backbone.modules():
        if what == 'network' or isinstance(module, CBasicBlock):
            module.compile(dynamic=False)
    for tensor, wanted in zip(step(backbone, X.to(DEVICE))[:2], expected[:2], strict=True):
        assert_near(tensor, wanted, 0.01)


def test_deterministic_training_gives_the_same_bits_again():
    set_random_seed(0, deterministic=True)
    first, second = (step(network(), X.to(DEVICE)) for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_ddp_with_one_process_has_the_gradients_without_ddp(tmp_path, capfd):
    torch.distributed.init_process_group('nccl', f'file://{tmp_path}/rendezvous', rank=0, world_size=1)
    try:
        backbone = network().to(memory_format=torch.channels_last)
        x = X.to(DEVICE, memory_format=torch.channels_last)
        expected = step(copy.deepcopy(backbone), x)
        step(MMDistributedDataParallel(backbone, device_ids=[0]), x)
        for parameter, wanted in zip(backbone.parameters(), expected[2:], strict=True):
            assert_near(parameter.grad, wanted, 1e-4)
    finally:
        torch.distributed.destroy_process_group()
    assert 'strides do not match' not in capfd.readouterr().err
