import pytest
import torch
from mmpose.models.backbones.resnet import BasicBlock
from torch import nn

from ca_hrnet_plugin import CBasicBlock, CoordAttention

QUARTER = 0.25  # what attention multiplies with while both gate convolutions are zero


def with_zero_gates(block: CBasicBlock) -> CBasicBlock:
    for attention in block.ca.values():
        for conv in (attention.conv_h, attention.conv_w):
            nn.init.zeros_(conv.weight)
            nn.init.zeros_(conv.bias)
    return block


def pair(**kwargs) -> tuple[CBasicBlock, BasicBlock]:
    """A block with zero gates and a stock block of the same weights, which must all fit."""
    ca_after = kwargs.pop('ca_after', 'norm2')
    ours = with_zero_gates(CBasicBlock(8, 8, ca_after=ca_after, **kwargs))
    stock = BasicBlock(8, 8, **kwargs)
    stock.load_state_dict({key: value for key, value in ours.state_dict().items() if not key.startswith('ca.')})
    return ours.eval(), stock.eval()


X = torch.randn(2, 8, 6, 5, generator=torch.Generator().manual_seed(0))


def test_attends_after_the_second_norm_and_before_the_residual_addition():
    ours, stock = pair()
    branch = stock.norm2(stock.conv2(stock.norm1(stock.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (X + QUARTER * branch).relu())


def test_attends_after_the_first_relu_if_asked():
    ours, stock = pair(ca_after='norm1')
    branch = stock.norm2(stock.conv2(QUARTER * stock.norm1(stock.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (X + branch).relu())


def test_attends_at_both_places_if_asked():
    ours, stock = pair(ca_after=('norm1', 'norm2'))
    branch = stock.norm2(stock.conv2(QUARTER * stock.norm1(stock.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (X + QUARTER * branch).relu())
    assert sum(isinstance(module, CoordAttention) for module in ours.modules()) == 2


def test_keeps_stride_dilation_and_downsample():
    downsample = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2), nn.BatchNorm2d(8))
    ours, stock = pair(stride=2, dilation=2, downsample=downsample)
    branch = stock.norm2(stock.conv2(stock.norm1(stock.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (downsample(X) + QUARTER * branch).relu())


def test_checkpointing_changes_neither_output_nor_gradients():
    torch.manual_seed(1)
    plain = CBasicBlock(8, 8)
    saving = CBasicBlock(8, 8, with_cp=True)
    saving.load_state_dict(plain.state_dict())
    outputs = []
    for block in (plain, saving):
        x = X.clone().requires_grad_()
        out = block(x)
        out.square().sum().backward()
        outputs.append([out, x.grad, *(parameter.grad for parameter in block.parameters())])
    for a, b in zip(*outputs, strict=True):
        torch.testing.assert_close(a, b)


def test_norm_and_conv_cfg_reach_what_they_should():
    block = CBasicBlock(8, 8, norm_cfg=dict(type='SyncBN'), conv_cfg=dict(type='ConvWS'))
    norms = [module for module in block.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(norms) == 3, 'two of the block, one of its attention'
    assert type(block.conv1).__name__ == type(block.conv2).__name__ == 'ConvWS2d'


def test_reduction_reaches_the_attention():
    assert CBasicBlock(64, 64, reduction=4).ca['norm2'].conv1.out_channels == 16


@pytest.mark.parametrize(
    ('attention', 'gate', 'factor'),
    [
        (dict(type='mmpose.models.backbones.utils.SELayer', ratio=4), 'conv2', 1 / 2),
        (dict(type='ca_hrnet_plugin.models.CBAM', reduction=4), 'fc2', 1 / 4),
    ],
)
def test_another_attention_stands_in_the_same_place(attention, gate, factor):
    ours = CBasicBlock(8, 8, attention=attention).eval()
    for name, parameter in ours.ca['norm2'].named_parameters():
        if name.startswith((gate, 'conv.')):
            nn.init.zeros_(parameter)
    branch = ours.norm2(ours.conv2(ours.norm1(ours.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (X + factor * branch).relu())


@pytest.mark.parametrize('wrong', ['norm3', '', None, 3, ('norm2', 'conv1'), ()])
def test_refuses_an_unknown_place(wrong):
    with pytest.raises(ValueError, match=r'ca_after=.*norm1.*norm2'):
        CBasicBlock(8, 8, ca_after=wrong)


def test_refuses_a_reduction_that_would_be_ignored():
    with pytest.raises(ValueError, match=r"'reduction': 8.*attention"):
        CBasicBlock(8, 8, attention=dict(type='ca_hrnet_plugin.models.CBAM'), reduction=8)
