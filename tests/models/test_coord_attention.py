import numpy as np
import pytest
import timm.layers.coord_attn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmcv.cnn import build_plugin_layer
from trained import look_trained
from versions import has_torch

from ca_hrnet_plugin import CBasicBlock, CoordAttention

SHAPES = [(2, 32, 64, 48), (1, 64, 7, 13), (3, 16, 1, 9), (2, 16, 5, 1)]


def equations_of_the_paper(attention: CoordAttention, x: np.ndarray) -> np.ndarray:
    """Equations 4 to 9 of Hou et al., 2021, in float64, pixel by pixel, with batch norm in eval mode."""
    weights = {name: tensor.double().numpy() for name, tensor in attention.state_dict().items()}

    def squeeze(profile):  # (C, L) -> (C', L)
        z = weights['conv1.weight'][:, :, 0, 0] @ profile + weights['conv1.bias'][:, None]
        scale = weights['bn1.weight'] / np.sqrt(weights['bn1.running_var'] + attention.norm1.eps)
        z = (z - weights['bn1.running_mean'][:, None]) * scale[:, None] + weights['bn1.bias'][:, None]
        return z * np.clip(z + 3, 0, 6) / 6

    def gate(squeezed, name):  # (C', L) -> (C, L)
        return 1 / (1 + np.exp(-(weights[f'{name}.weight'][:, :, 0, 0] @ squeezed + weights[f'{name}.bias'][:, None])))

    out = np.empty_like(x)
    for n, image in enumerate(x):
        gate_h = gate(squeeze(image.mean(axis=2)), 'conv_h')
        gate_w = gate(squeeze(image.mean(axis=1)), 'conv_w')
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                out[n, :, i, j] = image[:, i, j] * gate_h[:, i] * gate_w[:, j]
    return out


@pytest.mark.parametrize('shape', SHAPES)
@pytest.mark.parametrize('training', [False, True])
def test_equals_timm_at_the_same_width(shape, training):
    ours = look_trained(CoordAttention(shape[1])).double()
    theirs = timm.layers.coord_attn.CoordAttn(shape[1], rd_channels=ours.conv1.out_channels, bias=True).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    results = []
    for module in (ours, theirs):
        leaf = x.clone().requires_grad_()
        out = module.train(training)(leaf)
        out.square().sum().backward()
        results.append([out, leaf.grad, module.conv_w.weight.grad])
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize('shape', SHAPES)
def test_equals_the_equations_of_the_paper(shape):
    attention = look_trained(CoordAttention(shape[1])).double().eval()
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    np.testing.assert_allclose(attention(x).detach(), equations_of_the_paper(attention, x.numpy()), rtol=1e-12)


TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.06, torch.float16: 0.01}
if not has_torch('2.2'):
    del TOLERANCES[torch.float16]  # before, CPUs have none
CONTENTS = ('noise', 'constant', 'zero', 'extreme')


@settings(deadline=None, max_examples=100)
@given(
    shape=st.tuples(st.integers(0, 3), st.sampled_from([8, 12, 32]), st.integers(1, 20), st.integers(1, 20)),
    reduction=st.integers(1, 64),
    dtype=st.sampled_from(list(TOLERANCES)),
    memory_format=st.sampled_from([torch.contiguous_format, torch.channels_last]),
    content=st.sampled_from(CONTENTS),
    seed=st.integers(0, 2**16),
)
def test_on_any_input_gates_are_gates_and_low_precision_is_near_float64(
    shape, reduction, dtype, memory_format, content, seed
):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    x = dict(noise=x, constant=x[:, :, :1, :1].expand(shape), zero=0 * x, extreme=x.sign())[content].to(dtype)
    if content == 'extreme':
        x = x * torch.finfo(dtype).max
    x = x.contiguous(memory_format=memory_format)
    attention = look_trained(CoordAttention(shape[1], reduction), seed).to(dtype).eval()
    with torch.no_grad():
        out, gates = attention(x), attention.gates(x)

    assert (out.shape, out.dtype) == (x.shape, dtype)
    assert not len(x) or out.is_contiguous(memory_format=memory_format)
    assert [gate.shape for gate in gates] == [(*shape[:3], 1), (*shape[:2], 1, shape[3])]
    # At the largest numbers there are a product may overflow; that has to be seen in the output.
    seen = out.isnan() if content == 'extreme' else torch.zeros_like(out, dtype=torch.bool)
    assert torch.all(seen | (out.abs() <= x.abs()))
    assert torch.all(seen | ((gates[0] >= 0) & (gates[0] <= 1) & (gates[1] >= 0) & (gates[1] <= 1)))
    if content != 'extreme':
        with torch.no_grad():
            expected = attention.double()(x.double())
        torch.testing.assert_close(out.double(), expected, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])


@pytest.mark.parametrize(('channels', 'reduction', 'width'), [(32, 32, 8), (256, 32, 8), (512, 32, 16), (256, 8, 32)])
def test_squeezes_as_the_official_module_does(channels, reduction, width):
    attention = CoordAttention(channels, reduction=reduction)
    assert attention.conv1.weight.shape == (width, channels, 1, 1)
    assert attention.conv_h.weight.shape == attention.conv_w.weight.shape == (channels, width, 1, 1)


def test_compiles_in_one_graph():
    x = torch.randn(2, 16, 8, 6)
    torch.compile(CoordAttention(16), fullgraph=True, backend='eager')(x)


@pytest.mark.parametrize('wrong', [{'channels': 0}, {'reduction': -8}, {'reduction': 1.5}])
def test_refuses_what_is_not_positive(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f'{name}={value}'):
        CoordAttention(**{'channels': 16, **wrong})


def test_resnet_of_mmdetection_takes_it_as_a_plugin():
    """As ``plugins=[dict(cfg=dict(type='mmpose.CoordAttention'), position='after_conv3')]`` builds it."""
    name, plugin = build_plugin_layer(dict(type='mmpose.CoordAttention', reduction=16), in_channels=64, postfix='_1')
    assert name == 'coord_attention_1'
    assert plugin(torch.zeros(1, 64, 8, 6)).shape == (1, 64, 8, 6)


def test_groups_that_its_few_channels_do_not_divide_into_are_named_with_a_hint():
    with pytest.raises(ValueError, match=r"'num_groups': 32.*8 channels.*ca_cfg"):
        CoordAttention(64, norm_cfg=dict(type='GN', num_groups=32))
    block = dict(
        attention=dict(type='CoordAttention', norm_cfg=dict(type='BN')), norm_cfg=dict(type='GN', num_groups=32)
    )
    assert CBasicBlock(64, 64, **block)(torch.randn(2, 64, 8, 6)).shape == (2, 64, 8, 6)
