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
from torch.nn.utils import prune  # noqa: F401
from trained import look_trained

from ca_hrnet_plugin import CAHRNet, config_path
from ca_hrnet_plugin.models import CBAM

STOCK = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-{}.py'
NARROW = Config.fromfile(config_path('ca_hrnet_w16_coco_128x96')).model.backbone.extra.to_dict()
WIDER = copy.deepcopy(NARROW)
for stage in ('stage2', 'stage3', 'stage4'):
    WIDER[stage]['num_channels'] = [2 * channels for channels in WIDER[stage]['num_channels']]
X = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


class OwnAttention(CBAM):
    """Of somebody else's, with gates that nobody here knows."""


@pytest.fixture(scope='module')
def stock() -> HRNet:
    return look_trained(HRNet(NARROW))


def outputs(network: nn.Module, x: torch.Tensor = X) -> torch.Tensor:
    network.train(False)
    with torch.no_grad():
        return network(x)[0]


@pytest.mark.parametrize(
    'ca_cfg',
    [
        *(dict(ca_after=places) for places in ('norm1', 'norm2', ('norm1', 'norm2'))),
        dict(ca_after=('norm1', 'norm2'), gate_scale=2),
        dict(attention=dict(type='mmpose.models.backbones.utils.SELayer')),
        dict(attention=dict(type='ca_hrnet_plugin.models.CBAM')),
    ],
)
@pytest.mark.parametrize('training', [False, True])
def test_stock_weights_give_stock_outputs_to_the_last_bit(stock, ca_cfg, training):
    ours, reference = CAHRNet(NARROW, ca_cfg=ca_cfg), copy.deepcopy(stock)
    ours.load_state_dict(stock.state_dict())
    reference.train(training)
    ours.train(training)
    assert torch.equal(ours(X)[0], reference(X)[0])
    for key, value in reference.state_dict().items():
        if 'running' in key or ca_cfg.get('gate_scale') == 2:
            assert torch.equal(ours.state_dict()[key], value), key


def load_directly(network, state_dict, path):
    network.load_state_dict(state_dict)


def load_with_mmengine(network, state_dict, path):
    torch.save(dict(state_dict=state_dict), path)
    load_checkpoint(network, str(path))


def load_without_a_prefix(network, state_dict, path):
    """As DataParallel saves; MMEngine strips it."""
    load_with_mmengine(network, {'module.' + key: value for key, value in state_dict.items()}, path)


@pytest.mark.parametrize('load', [load_directly, load_with_mmengine, load_without_a_prefix])
@pytest.mark.parametrize('name', ['w32_udp-8xb64-210e_coco-256x192', 'w48_8xb32-210e_coco-384x288'])
def test_a_stock_config_becomes_one_with_attention_however_it_is_loaded(load, name, tmp_path):
    (tmp_path / 'stock.py').write_text(f"_base_ = '{STOCK.format(name)}'")
    config = Config.fromfile(tmp_path / 'stock.py').model
    config.backbone.init_cfg = None
    stock = look_trained(MODELS.build(config))
    config.backbone.type = 'CAHRNet'
    ours = MODELS.build(config)
    load(ours, stock.state_dict(), tmp_path / 'stock.pth')
    stock.train(False)
    ours.train(False)
    with torch.no_grad():
        assert torch.equal(ours(X, None, mode='tensor'), stock(X, None, mode='tensor'))


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_pretrained_in_init_cfg_starts_as_identity(stock, prefix, tmp_path):
    torch.save({prefix + key: value for key, value in stock.state_dict().items()}, tmp_path / 'stock.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'stock.pth'))
    if prefix:
        init_cfg['prefix'] = prefix
    ours = CAHRNet(NARROW, init_cfg=init_cfg)
    ours.init_weights()
    assert torch.equal(outputs(ours), outputs(stock))


@pytest.fixture
def log():
    """What MMEngine's logger is told."""
    lines = []
    handler = logging.Handler(logging.INFO)
    handler.addFilter(lambda record: 'env variable' not in record.getMessage())  # what configs say of themselves
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_init_model_takes_a_stock_checkpoint_and_says_so_in_one_line(tmp_path, log, capfd):
    stock = look_trained(MODELS.build(Config.fromfile(config_path('hrnet_w16_coco_128x96')).model))
    torch.save(dict(state_dict=stock.state_dict()), tmp_path / 'stock.pth')
    ours = init_model(config_path('ca_hrnet_w16_coco_128x96'), str(tmp_path / 'stock.pth'), device='cpu')
    assert torch.equal(outputs(ours.backbone), outputs(stock.backbone))
    num_attention = sum('.ca.' in name and name.endswith('conv_h') for name, _ in ours.named_modules())
    assert log == [f'stock HRNet weights: {num_attention} attention modules start as identity']
    assert 'missing keys' not in ''.join(capfd.readouterr())


def test_loading_never_scales_twice_and_leaves_the_state_dict_as_it_was(stock):
    state_dict = stock.state_dict()
    before = {key: value.clone() for key, value in state_dict.items()}
    first, second = CAHRNet(NARROW), CAHRNet(NARROW)
    first.load_state_dict(state_dict)
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    second.load_state_dict(state_dict)
    assert torch.equal(outputs(second), outputs(stock))
    torch.testing.assert_close(dict(state_dict), before, rtol=0, atol=0)


def test_warm_start_none_keeps_the_attention_of_the_network(stock):
    ours = CAHRNet(NARROW, warm_start='none')
    before = {key: value.clone() for key, value in ours.state_dict().items() if '.ca.' in key}
    ours.load_state_dict(stock.state_dict())
    torch.testing.assert_close(dict(ours.state_dict()), {**stock.state_dict(), **before}, rtol=0, atol=0)


def test_strict_loading_of_weights_that_do_not_fit_raises_torch_s_own_error(stock):
    whole = CAHRNet(NARROW).state_dict()
    lacking = {key: value for key, value in whole.items() if 'stage4.1.branches.3.3.ca.norm2.conv_h' not in key}
    for state_dict, network, told in (
        (lacking, CAHRNet(NARROW), r'Missing key.*stage4\.1\.branches\.3\.3\.ca\.norm2\.conv_h'),
        (whole, CAHRNet(NARROW, ca_stages=(2, 3)), r'Unexpected key.*stage4\.0.*\.ca\.norm2'),
        (whole, CAHRNet(NARROW, ca_cfg=dict(ca_after='norm1')), r'Missing key.*ca\.norm1'),
        (stock.state_dict(), CAHRNet(WIDER), r'size mismatch for stage2'),
    ):
        with pytest.raises(RuntimeError, match=rf'(?s)Error.* in loading state_dict for CAHRNet.*{told}'):
            network.load_state_dict(state_dict)


@pytest.mark.parametrize('load', [load_state_dict, nn.Module.load_state_dict])
def test_other_loading_takes_what_fits_as_hrnet_does_and_warns_once_with_counts(stock, log, load):
    state_dict = {key: value for key, value in stock.state_dict().items() if not key.startswith('stage3.1')}
    ours, reference = CAHRNet(NARROW), HRNet(NARROW)
    for network in (ours, reference):
        load(network, state_dict, strict=False)
    absent = [key for key in ours.state_dict() if key.startswith('stage3.1') and 'num_batches' not in key]
    (warning,) = [line for line in log if 'do not fit CAHRNet' in line]
    assert f'{len(absent)} keys are missing, 0 are of another shape, 0 are unexpected; the first: stage3.1' in warning
    for key, value in reference.state_dict().items():
        if not key.startswith('stage3.1') and 'norm2' not in key and 'bn2' not in key:
            assert torch.equal(ours.state_dict()[key], value), key
    features = [X.new_ones(1, 16, 8, 6), X.new_ones(1, 32, 4, 3)]
    assert torch.equal(outputs(ours.stage2[0], [*features]), outputs(stock.stage2[0], [*features]))


def test_mmengine_loads_what_fits_of_a_wider_network(stock, log):
    load_state_dict(CAHRNet(WIDER), stock.state_dict(), strict=False)
    (warning,) = [line for line in log if 'do not fit CAHRNet' in line]
    assert 'of another shape' in warning
    assert 'the first: stage2' in warning


@pytest.mark.parametrize('part', ['stage3', 'stage4.0.branches.1', 'stage2.0.branches.0.0'])
def test_a_part_of_the_network_starts_from_its_stock_weights_too(stock, part):
    ours = CAHRNet(NARROW)
    ours.load_state_dict(stock.state_dict())
    again = CAHRNet(NARROW)
    again.get_submodule(part).load_state_dict(stock.get_submodule(part).state_dict())
    expected = ours.get_submodule(part).state_dict()
    for key, value in again.get_submodule(part).state_dict().items():
        if 'ca.' not in key or 'conv_' in key:
            assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_a_network_is_given_stock_weights_of_another_type_to_have(stock, device):
    with torch.device(device):
        ours = CAHRNet(NARROW)
    double = copy.deepcopy(stock).double()
    ours.load_state_dict(double.state_dict(), assign=True)
    assert torch.equal(outputs(ours, X.double()), outputs(double, X.double()))


def test_gates_that_something_else_was_made_of_are_an_obstacle(stock, log):
    ours = CAHRNet(NARROW)
    nn.utils.prune.identity(ours.stage2[0].branches[0][0].ca['norm2'].conv_h, 'weight')
    ours.load_state_dict(stock.state_dict(), strict=False)
    assert 'weight_orig is neither weight nor bias' in log[-1]


def test_loading_calls_no_state_dict_which_hooks_may_watch(stock, monkeypatch):
    ours, weights = CAHRNet(NARROW), stock.state_dict()
    monkeypatch.setattr(nn.Module, 'state_dict', None)
    ours.load_state_dict(weights)


@pytest.mark.parametrize(
    'kwargs, obstacle',
    [
        (dict(norm_cfg=dict(type='IN', affine=False)), 'no affine weight and bias'),
        (dict(ca_cfg=dict(attention=dict(type=OwnAttention))), 'which weights gate OwnAttention is not known'),
    ],
)
def test_attention_that_cannot_start_as_identity_is_missing_and_the_warning_says_why(kwargs, obstacle, log):
    stock = HRNet(NARROW, norm_cfg=kwargs.get('norm_cfg', dict(type='BN'))).state_dict()
    with pytest.raises(RuntimeError, match=r'(?s)Missing key.*\.ca\.norm2'):
        CAHRNet(NARROW, **kwargs).load_state_dict(stock)
    CAHRNet(NARROW, **kwargs).load_state_dict(stock, strict=False)
    assert 'cannot start as identity' in log[-1]
    assert obstacle in log[-1]
    assert "warm_start='none'" in log[-1]
    CAHRNet(NARROW, warm_start='none', **kwargs).load_state_dict(stock)


def test_gates_that_start_at_one_need_no_affine_norm():
    norm_cfg = dict(type='IN', affine=False)
    stock, ours = HRNet(NARROW, norm_cfg=norm_cfg), CAHRNet(NARROW, norm_cfg=norm_cfg, ca_cfg=dict(gate_scale=2))
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(outputs(ours), outputs(stock))


def test_attention_learns_from_the_first_step_on(stock):
    ours = CAHRNet(NARROW)
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
    ],
)
def test_each_way_of_training_loads_and_trains(kwargs):
    stock, ours = look_trained(HRNet(NARROW, **kwargs)), CAHRNet(NARROW, **kwargs)
    ours.load_state_dict(stock.state_dict())
    assert torch.equal(outputs(ours), outputs(stock))
    ours.train()(X)[0].square().mean().backward()
    assert all(parameter.grad is not None for parameter in ours.parameters() if parameter.requires_grad)


def test_a_moving_average_of_the_weights_starts_from_stock_weights_too(stock, tmp_path):
    """MMEngine's EMAHook loads the checkpoint that the run loads into its averaged copy as well."""
    torch.save(dict(state_dict=stock.state_dict()), tmp_path / 'stock.pth')
    runner = SimpleNamespace(model=CAHRNet(NARROW), _resume=False, strict_load=False, iter=0)
    hook = EMAHook(momentum=0.5)
    hook.before_run(runner)
    checkpoint = load_checkpoint(runner.model, str(tmp_path / 'stock.pth'))
    hook.after_load_checkpoint(runner, checkpoint)
    assert torch.equal(outputs(hook.ema_model.module), outputs(stock))
