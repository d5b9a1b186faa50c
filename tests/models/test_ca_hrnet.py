import copy

import pytest
import torch
from mmengine.analysis import parameter_count
from mmengine.config import Config
from mmpose.models.backbones.hrnet import HRNet
from torch import nn

from ca_hrnet_plugin import CAHRNet, CBasicBlock, CoordAttention, config_path

W32 = Config.fromfile(config_path('ca_hrnet_w32_coco_256x192')).model.backbone.extra.to_dict()
NARROW = copy.deepcopy(W32)
for stage, channels in (('stage2', (8, 16)), ('stage3', (8, 16, 32)), ('stage4', (8, 16, 32, 64))):
    NARROW[stage].update(num_modules=1, num_channels=channels, num_blocks=(1,) * len(channels))


def num_attention(module: nn.Module) -> int:
    return sum(isinstance(child, CoordAttention) for child in module.modules())


def test_w32_has_the_parameters_that_its_architecture_gives_it():
    with torch.device('meta'):
        networks = CAHRNet(W32), HRNet(W32)
    for backbone, attention, params in zip(networks, (104, 0), (28.79, 28.54), strict=True):
        assert num_attention(backbone) == attention
        assert round(parameter_count(backbone)[''] / 1e6, 2) == params


def test_attention_sits_in_the_stages_that_are_named():
    counts = {2: 2, 3: 3, 4: 4}
    for stages in ((), (2,), (3,), (4,), (2, 4)):
        backbone = CAHRNet(NARROW, ca_stages=stages)
        for stage, count in counts.items():
            assert num_attention(getattr(backbone, f'stage{stage}')) == (count if stage in stages else 0)
        assert num_attention(backbone.layer1) == 0


def test_ca_cfg_reaches_every_block():
    backbone = CAHRNet(
        NARROW, ca_cfg=dict(ca_after=('norm1', 'norm2'), attention=dict(type='CoordAttention', reduction=2))
    )
    blocks = [module for module in backbone.modules() if isinstance(module, CBasicBlock)]
    assert len(blocks) == 2 + 3 + 4
    assert all(set(block.ca) == {'norm1', 'norm2'} for block in blocks)
    assert backbone.stage4[0].branches[3][0].ca['norm1'].conv1.out_channels == 32


def test_modes_are_set_as_nn_module_sets_them():
    backbone = CAHRNet(NARROW, norm_eval=True)
    assert backbone.eval() is backbone
    assert backbone.train() is backbone
    assert backbone.training
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms), 'norm_eval holds for the norms of the attention too'


def test_frozen_stages_freeze_their_attention():
    backbone = CAHRNet(NARROW, frozen_stages=3).train()
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad == name.startswith('stage4'), name
    assert not backbone.stage3[0].branches[0][0].ca['norm2'].training
    assert backbone.stage4[0].branches[0][0].ca['norm2'].training


@pytest.mark.parametrize('kwargs', [{}, dict(init_cfg=None)])
def test_all_weights_are_initialised(kwargs):
    """The stock ones as the stock backbone would, those of the attention near half-open gates."""
    networks = []
    for kind in (HRNet, CAHRNet):
        torch.manual_seed(0)
        networks.append(kind(NARROW, **kwargs))
        networks[-1].init_weights()
    stock, ours = networks
    for key, value in stock.state_dict().items():
        if value.numel() > 1:
            spread = ours.state_dict()[key].std().item()
            assert spread == pytest.approx(value.std().item(), rel=0.35, abs=1e-6), key
    for attention in (module for module in ours.modules() if isinstance(module, CoordAttention)):
        for gate in attention.gates(torch.randn(1, attention.conv1.in_channels, 8, 6)):
            torch.testing.assert_close(gate, torch.full_like(gate, 0.5), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    'kwargs, named',
    [
        *((dict(ca_stages=wrong), 'ca_stages=') for wrong in ((1,), (2, 5), ('stage2',), (2, [3]), 3, '234', None)),
        *(
            (dict(ca_cfg=dict(ca_after=wrong)), 'ca_after=.*norm1.*norm2')
            for wrong in ('norm3', '', None, 3, ('norm2', 'conv1'), ())
        ),
        (dict(ca_cfg=dict(ca_aftr='norm1')), 'ca_aftr.*ca_after'),
        (dict(ca_cfg='norm1'), 'ca_cfg=.*dict'),
        (dict(warm_start='yes'), "warm_start='yes'.*identity"),
        (dict(ca_cfg=dict(attention='CBAM')), "attention='CBAM'.*dict with a type"),
        (dict(ca_cfg=dict(attention=dict(type='CoordAttention', reduction=-4))), 'reduction=-4.*positive'),
        (dict(ca_cfg=dict(reduction=8)), r"'reduction': 8.*attention=dict\("),
    ],
)
def test_a_slip_in_the_config_is_named_with_what_is_allowed(kwargs, named):
    with pytest.raises(ValueError, match=named):
        CAHRNet(NARROW, **kwargs)
