import copy

import pytest
import torch
from benchmark.variants import OfficialForm
from torch import nn

from ca_hrnet_plugin import CBasicBlock
from ca_hrnet_plugin.models.gated_product import gated_product


def inputs(dtype=torch.float64, height=5, width=4):
    random = torch.Generator().manual_seed(0)
    shapes = (2, 3, height, width), (2, 3, height, 1), (2, 3, 1, width)
    return [torch.randn(shape, generator=random, dtype=dtype).requires_grad_() for shape in shapes]


@pytest.mark.parametrize('norm', [None, nn.BatchNorm2d(3), nn.BatchNorm2d(3).eval(), nn.BatchNorm2d(3, affine=False)])
def test_gradients_are_those_of_finite_differences(norm):
    x, gate_h, gate_w = inputs()
    norm = copy.deepcopy(norm).double() if norm else nn.Identity()

    def product(x, gate_h, gate_w):
        return gated_product(norm(x), gate_h, gate_w, norm, x)

    torch.testing.assert_close(product(x, gate_h, gate_w), norm(x) * gate_h * gate_w)
    assert torch.autograd.gradcheck(product, (x, gate_h, gate_w))


def test_second_derivatives_are_refused():
    x, gate_h, gate_w = inputs()
    (gradient,) = torch.autograd.grad(gated_product(x, gate_h, gate_w).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match='once_differentiable'):
        gradient.sum().backward()


def official_pair(**kwargs):
    """Two blocks of the same weights, ours and one with the official form of the attention."""
    torch.manual_seed(1)
    ours = CBasicBlock(8, 8, **kwargs).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    official = CBasicBlock(8, 8, attention=dict(type=OfficialForm), **kwargs).double()
    official.load_state_dict(ours.state_dict())
    return ours, official


def gradients(block, x):
    x = x.clone().requires_grad_()
    block(x).square().sum().backward()
    return {'x': x.grad, **{name: parameter.grad for name, parameter in block.named_parameters()}}


def hooked(block):
    block.norm2.register_forward_hook(lambda norm, args, out: 2 * out)


def hooked_before(block):
    block.norm2.register_forward_pre_hook(lambda norm, args: (2 * args[0] + 1,))


def frozen(block):
    block.norm2.eval()


@pytest.mark.parametrize(
    'change',
    [lambda block: None, frozen, hooked, hooked_before],
    ids=['training', 'frozen norm', 'hooked norm', 'norm hooked before'],
)
@pytest.mark.parametrize('kwargs', [dict(), dict(with_cp=True), dict(ca_after=('norm1', 'norm2'))], ids=str)
def test_a_block_trains_as_with_the_official_module(kwargs, change):
    blocks = official_pair(**kwargs)
    x = torch.randn(4, 8, 6, 5, dtype=torch.float64)
    for block in blocks:
        change(block)
    ours, official = (gradients(block, x) for block in blocks)
    torch.testing.assert_close(ours, official)
    torch.testing.assert_close(*(block.state_dict() for block in blocks))  # running statistics are updated once


def test_trains_under_autocast_as_in_float32():
    block = CBasicBlock(8, 8)
    x = torch.randn(2, 8, 6, 5)
    exact = gradients(copy.deepcopy(block), x)
    with torch.autocast('cpu', torch.bfloat16):
        out = block(x)
    out.float().square().sum().backward()
    found = torch.cat([parameter.grad.flatten() for parameter in block.parameters()])
    exact = torch.cat([exact[name].flatten() for name, _ in block.named_parameters()])
    assert (found - exact).norm() < 0.05 * exact.norm()


def test_in_inference_a_block_gives_what_it_gives_with_gradients_and_changes_nothing_of_others():
    block = official_pair()[0].float().eval()
    attention, x = block.ca['norm2'], torch.randn(2, 8, 6, 5)
    before, expected, expected_alone = x.clone(), block(x), attention(x)
    with torch.no_grad():
        assert torch.equal(block(x), expected)
        assert torch.equal(attention(x), expected_alone)
        assert torch.equal(x, before)

        seen = []
        attention.register_forward_hook(lambda module, args, out: seen.append(args[0]))
        assert torch.equal(block(x), expected)
    assert torch.equal(seen[0], block.norm2(block.conv2(block.relu(block.norm1(block.conv1(x))))))
