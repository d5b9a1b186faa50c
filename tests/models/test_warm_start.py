import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import load_state_dict
from mmpose.apis import init_model
from mmpose.models.backbones.hrnet import HRNet
from mmpose.registry import MODELS
from torch import nn
from torch.nn.utils import prune
from trained import look_trained

from ca_hrnet_plugin import CAHRNet, CoordAttention, config_path

STOCK = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_udp-8xb64-210e_coco-256x192.py'
SHALLOW = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune')).model.backbone.extra.to_dict()
WIDER_STAGE4 = copy.deepcopy(SHALLOW)
WIDER_STAGE4['stage4']['num_channels'] = (16, 32, 64, 160)
X = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
SE = dict(type='mmpose.models.backbones.utils.SELayer')
# Those of timm's factory that need nothing but the number of channels.
TIMM = ('se', 'ese', 'eca', 'ceca', 'gc', 'gca', 'cbam', 'lcbam', 'coord', 'scoord', 'ela', 'strip', 'sk', 'splat')


class OwnAttention(nn.Module):
    """A user's own module, which knows nothing of the plugin."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, 1, 1))

    def forward(self, x):
        return x * self.weight


@pytest.fixture(scope='module')
def stock() -> HRNet:
    return look_trained(HRNet(SHALLOW))


@torch.no_grad()
def outputs(network: nn.Module, x: torch.Tensor = X) -> torch.Tensor:
    network.train(False)
    return network(x)[0]


@pytest.fixture
def log():
    """What MMEngine logs."""
    lines = []
    handler = logging.Handler(logging.INFO)
    handler.addFilter(lambda record: 'env variable' not in record.getMessage())  # what configs log of themselves
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


@pytest.mark.parametrize(
    'ca_cfg',
    [
        *(dict(ca_after=places) for places in ('norm1', 'norm2', ('norm1', 'norm2'))),
        dict(attention=dict(type='CoordAttention', reduction=8)),
        dict(attention=SE, ca_after=('norm1', 'norm2')),
        dict(attention=dict(type=OwnAttention)),
    ],
)
@pytest.mark.parametrize('training', [False, True])
def test_stock_weights_give_stock_outputs_to_the_last_bit(stock, ca_cfg, training):
    ours, reference = CAHRNet(SHALLOW, ca_cfg=ca_cfg), copy.deepcopy(stock)
    ours.load_state_dict(stock.state_dict())
    reference.train(training)
    ours.train(training)
    assert torch.equal(ours(X)[0], reference(X)[0])
    for key, value in reference.state_dict().items():
        if 'running' in key:
            assert torch.equal(ours.state_dict()[key], value), key


@pytest.mark.parametrize('name', TIMM)
def test_attention_of_timm_starts_as_identity_and_learns(stock, name):
    attention = dict(type='timm.layers.create_attn', attn_type=name)
    ours = CAHRNet(SHALLOW, ca_cfg=dict(attention=attention), ca_stages=(2,))
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(outputs(ours), outputs(stock))
    optimizer = torch.optim.SGD(ours.parameters(), lr=1e-3)
    for _ in range(2):  # at first the weight alone has a gradient, from the second step on attention too
        optimizer.zero_grad()
        ours.train()(X)[0].square().mean().backward()
        optimizer.step()
    module = ours.stage2[0].branches[0][0].ca['norm2']
    assert module.weight.grad.any()
    assert any(parameter.grad.any() for parameter in module.attention.parameters())


def load_directly(network, state_dict, path):
    network.load_state_dict(state_dict)


def load_with_mmengine(network, state_dict, path):
    torch.save(dict(state_dict=state_dict), path)
    load_checkpoint(network, str(path))


@pytest.mark.parametrize('load', [load_directly, load_with_mmengine])
def test_a_stock_config_becomes_one_with_attention_however_it_is_loaded(load, tmp_path):
    (tmp_path / 'stock.py').write_text(f"_base_ = '{STOCK}'")
    config = Config.fromfile(tmp_path / 'stock.py').model
    config.backbone.update(init_cfg=None, extra=SHALLOW)
    config.head.in_channels = 16
    stock = look_trained(MODELS.build(config)).eval()
    config.backbone.type = 'CAHRNet'
    ours = MODELS.build(config).eval()
    load(ours, stock.state_dict(), tmp_path / 'stock.pth')
    with torch.no_grad():
        assert torch.equal(ours(X, None, mode='tensor'), stock(X, None, mode='tensor'))


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_pretrained_in_init_cfg_starts_as_identity(stock, prefix, tmp_path):
    torch.save({prefix + key: value for key, value in stock.state_dict().items()}, tmp_path / 'stock.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'stock.pth'))
    if prefix:
        init_cfg['prefix'] = prefix
    ours = CAHRNet(SHALLOW, init_cfg=init_cfg)
    ours.init_weights()
    assert torch.equal(outputs(ours), outputs(stock))


def test_init_model_takes_a_stock_checkpoint_and_logs_one_line(tmp_path, log, capfd):
    stock = look_trained(MODELS.build(Config.fromfile(config_path('demo/hrnet_w16_128x96_finetune')).model))
    torch.save(dict(state_dict=stock.state_dict()), tmp_path / 'stock.pth')
    ours = init_model(config_path('demo/ca_hrnet_w16_128x96_finetune'), str(tmp_path / 'stock.pth'), device='cpu')
    assert torch.equal(outputs(ours.backbone), outputs(stock.backbone))
    num_attention = sum(isinstance(module, CoordAttention) for module in ours.modules())
    assert log == [f'stock HRNet weights: {num_attention} attention modules start as identity']
    assert 'missing keys' not in ''.join(capfd.readouterr())


def test_loading_never_scales_twice_and_leaves_the_state_dict_unchanged(stock):
    state_dict = stock.state_dict()
    before = {key: value.clone() for key, value in state_dict.items()}
    first, second = CAHRNet(SHALLOW), CAHRNet(SHALLOW)
    first.load_state_dict(state_dict)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    second.load_state_dict(state_dict)
    assert torch.equal(outputs(second), outputs(stock))
    torch.testing.assert_close(dict(state_dict), before, rtol=0, atol=0)


@pytest.mark.parametrize('attention', [dict(type='CoordAttention'), SE])
def test_warm_start_none_keeps_the_attention_of_the_network(stock, attention, log):
    ours = CAHRNet(SHALLOW, warm_start='none', ca_cfg=dict(attention=attention))
    before = {key: value.clone() for key, value in ours.state_dict().items() if '.ca.' in key}
    ours.load_state_dict(stock.state_dict())
    torch.testing.assert_close(dict(ours.state_dict()), {**stock.state_dict(), **before}, rtol=0, atol=0)
    assert log[-1].endswith('attention modules start from their own initial weights')
    assert not torch.equal(outputs(ours), outputs(stock))


def test_strict_loading_of_weights_that_do_not_fit_raises_torch_s_own_error(stock):
    whole = CAHRNet(SHALLOW).state_dict()
    lacking = {key: value for key, value in whole.items() if 'stage4.0.branches.3.1.ca.norm2.conv_h' not in key}
    for state_dict, network, message in (
        (lacking, CAHRNet(SHALLOW), r'Missing key.*stage4\.0\.branches\.3\.1\.ca\.norm2\.conv_h'),
        (whole, CAHRNet(SHALLOW, ca_stages=(2, 3)), r'Unexpected key.*stage4\.0.*\.ca\.norm2'),
        (whole, CAHRNet(SHALLOW, ca_cfg=dict(ca_after='norm1')), r'Missing key.*ca\.norm1'),
        (stock.state_dict(), CAHRNet(WIDER_STAGE4), r'size mismatch for stage4'),
    ):
        with pytest.raises(RuntimeError, match=rf'(?s)Error.* in loading state_dict for CAHRNet.*{message}'):
            network.load_state_dict(state_dict)


@pytest.mark.parametrize('load', [load_state_dict, nn.Module.load_state_dict])
def test_what_fits_of_another_network_starts_and_the_log_counts_it(stock, log, load):
    """The fourth branch of stage 4 is wider: its two blocks do not fit, and the other 16 do."""
    ours, reference = CAHRNet(WIDER_STAGE4), HRNet(WIDER_STAGE4)
    network_state = ours.state_dict()
    misfits = [key for key, value in stock.state_dict().items() if value.shape != network_state[key].shape]
    weights = {key: value for key, value in stock.state_dict().items() if key not in misfits}
    for network in (ours, reference):
        load(network, weights, strict=False)
    (line,) = [line for line in log if 'attention modules start' in line]
    assert line == 'stock HRNet weights: 16 attention modules start as identity'
    gates = {name: module.conv_h.weight for name, module in ours.named_modules() if isinstance(module, CoordAttention)}
    started = [name for name, weight in gates.items() if not weight.any()]
    assert len(started) == 16
    assert not any('stage4.0.branches.3' in name for name in started)
    features = [X.new_ones(1, 16, 8, 6), X.new_ones(1, 32, 4, 3)]
    assert torch.equal(outputs(ours.stage2[0], [*features]), outputs(stock.stage2[0], [*features]))


def test_nothing_starts_from_a_network_of_another_width(stock, log):
    narrower = copy.deepcopy(SHALLOW)
    for stage, channels in (('stage2', (8, 24)), ('stage3', (8, 24, 40)), ('stage4', (8, 24, 40, 72))):
        narrower[stage]['num_channels'] = channels
    load_state_dict(CAHRNet(SHALLOW), HRNet(narrower).state_dict(), strict=False)
    assert not [line for line in log if 'attention modules start' in line]


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_a_network_may_be_assigned_stock_weights_of_another_type(stock, device):
    with torch.device(device):
        ours = CAHRNet(SHALLOW)
    double = copy.deepcopy(stock).double()
    ours.load_state_dict(double.state_dict(), assign=True)
    assert torch.equal(outputs(ours, X.double()), outputs(double, X.double()))


def test_gates_that_pruning_took_apart_do_not_start(stock):
    ours = CAHRNet(SHALLOW)
    prune.identity(ours.stage2[0].branches[0][0].ca['norm2'].conv_h, 'weight')
    with pytest.raises(RuntimeError, match=r'(?s)Missing key.*stage2\.0\.branches\.0\.0\.ca\.norm2'):
        ours.load_state_dict(stock.state_dict())


def test_attention_learns_from_the_first_step_on(stock):
    ours = CAHRNet(SHALLOW)
    ours.load_state_dict(stock.state_dict())
    ours.train()(X)[0].square().mean().backward()
    # The shared convolution, behind gates that are zero, has a gradient from the second step on.
    gates = [parameter for name, parameter in ours.named_parameters() if 'conv_h' in name or 'conv_w' in name]
    assert gates
    assert all(gate.grad.any() for gate in gates)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(frozen_stages=2),
        dict(norm_eval=True),
        dict(norm_cfg=dict(type='BN', requires_grad=False)),
        dict(norm_cfg=dict(type='SyncBN')),
        dict(norm_cfg=dict(type='GN', num_groups=8)),
        dict(norm_cfg=dict(type='IN', affine=False)),
    ],
)
def test_each_way_of_training_loads_and_trains(kwargs):
    stock, ours = look_trained(HRNet(SHALLOW, **kwargs)), CAHRNet(SHALLOW, **kwargs)
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(outputs(ours), outputs(stock))
    ours.train()(X)[0].square().mean().backward()
    assert all(parameter.grad is not None for parameter in ours.parameters() if parameter.requires_grad)


def test_a_moving_average_of_the_weights_starts_from_stock_weights_too(stock, tmp_path):
    """MMEngine's EMAHook loads the checkpoint that the run loads into its averaged copy as well."""
    torch.save(dict(state_dict=stock.state_dict()), tmp_path / 'stock.pth')
    runner = SimpleNamespace(model=CAHRNet(SHALLOW), _resume=False, strict_load=False, iter=0)
    hook = EMAHook(momentum=0.5)
    hook.before_run(runner)
    checkpoint = load_checkpoint(runner.model, str(tmp_path / 'stock.pth'))
    hook.after_load_checkpoint(runner, checkpoint)
    assert torch.equal(outputs(hook.ema_model.module), outputs(stock))
