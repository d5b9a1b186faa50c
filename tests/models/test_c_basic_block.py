import pytest
import torch
from mmpose.models.backbones.resnet import BasicBlock
from torch import nn

from ca_hrnet_plugin import CBasicBlock

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


@pytest.mark.parametrize(
    ('ca_after', 'first', 'second'),
    [('norm2', 1, QUARTER), ('norm1', QUARTER, 1), (('norm1', 'norm2'), QUARTER, QUARTER)],
)
def test_attends_after_the_first_relu_or_before_the_residual_addition_or_both(ca_after, first, second):
    ours, stock = pair(ca_after=ca_after)
    branch = stock.norm2(stock.conv2(first * stock.norm1(stock.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (X + second * branch).relu())


def test_keeps_stride_dilation_and_downsample():
    downsample = nn.Sequential(nn.Conv2d(8, 8, 1, stride=2), nn.BatchNorm2d(8))
    ours, stock = pair(stride=2, dilation=2, downsample=downsample)
    branch = stock.norm2(stock.conv2(stock.norm1(stock.conv1(X)).relu()))
    torch.testing.assert_close(ours(X), (downsample(X) + QUARTER * branch).relu())


def test_norm_and_conv_cfg_reach_what_they_should():
    block = CBasicBlock(8, 8, norm_cfg=dict(type='SyncBN'), conv_cfg=dict(type='ConvWS'))
    norms = [module for module in block.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(norms) == 3, 'two of the block, one of its attention'
    assert type(block.conv1).__name__ == type(block.conv2).__name__ == 'ConvWS2d'


def test_another_attention_is_blended_in_and_replaces_with_warm_start_none():
    se = dict(type='mmpose.models.backbones.utils.SELayer', ratio=4)
    blended, plain = CBasicBlock(8, 8, attention=se).eval(), CBasicBlock(8, 8, attention=se, warm_start='none').eval()
    blended.ca['norm2'].weight.data.fill_(0.3)
    for block, share in ((blended, 0.3), (plain, 1)):
        branch = block.norm2(block.conv2(block.norm1(block.conv1(X)).relu()))
        attention = getattr(block.ca['norm2'], 'attention', block.ca['norm2'])
        gate = attention.conv2(attention.conv1(branch.mean((2, 3), keepdim=True)))
        torch.testing.assert_close(block(X), (X + (1 - share) * branch + share * gate * branch).relu())
