import re

import pytest
import torch
from mmengine.config import Config
from mmpose.registry import MODELS

from ca_hrnet_plugin import CAHRNet, config_path
from ca_hrnet_plugin.checkpoints.conversion import ConversionError, convert_checkpoint

CONFIG = config_path('demo/ca_hrnet_w16_128x96_finetune')
EXTRA = Config.fromfile(CONFIG).model.backbone.extra.to_dict()
NUM_ATTENTION = 18
X = torch.randn(1, 3, 64, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def stock(tmp_path):
    """A stock pose model and its checkpoint."""
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config_path('demo/hrnet_w16_128x96_finetune')).model)
    path = tmp_path / 'stock.pth'
    torch.save(dict(state_dict=model.state_dict(), meta=dict(epoch=210), optimizer=dict(lr=1)), path)
    return model, path


def test_there_and_back_gives_the_same_weights(stock, tmp_path):
    model, path = stock
    ours, back = tmp_path / 'ours.pth', tmp_path / 'back.pth'
    assert convert_checkpoint('stock-to-ca', CONFIG, str(path), str(ours)) == NUM_ATTENTION
    converted = torch.load(ours)
    assert converted.keys() == {'state_dict', 'meta'}
    network = MODELS.build(Config.fromfile(CONFIG).model)
    network.load_state_dict(converted['state_dict'])
    model.train(False)
    network.train(False)
    with torch.no_grad():
        assert torch.equal(network(X, None, mode='tensor'), model(X, None, mode='tensor'))

    assert convert_checkpoint('ca-to-stock', CONFIG, str(ours), str(back)) == NUM_ATTENTION
    returned = torch.load(back)['state_dict']
    assert returned.keys() == model.state_dict().keys()
    assert all(torch.equal(returned[key], value) for key, value in model.state_dict().items())


def assert_same_outputs(converted, model):
    """Loads a converted checkpoint, and compares the network's outputs with the stock model's."""
    network = MODELS.build(Config.fromfile(CONFIG).model)
    network.load_state_dict(torch.load(converted)['state_dict'])
    model.train(False)
    network.train(False)
    with torch.no_grad():
        assert torch.equal(network(X, None, mode='tensor'), model(X, None, mode='tensor'))


@pytest.mark.parametrize('whole', [dict, lambda weights: dict(epoch=1, best_state_dict=weights)])
@pytest.mark.parametrize('wrapper', ['', 'module.', 'module._orig_mod.', '_orig_mod.module.'])
def test_the_official_hrnet_becomes_a_pose_estimator(stock, wrapper, whole, tmp_path):
    """Its backbone has MMPose's names and no prefix, and final_layer stands beside it."""
    model, _ = stock
    official = {wrapper + key.partition('.')[2]: value for key, value in model.state_dict().items()}
    official['total_ops'] = torch.zeros(1)  # thop's
    torch.save(whole(official), tmp_path / 'pose_hrnet.pth')
    convert_checkpoint('stock-to-ca', CONFIG, str(tmp_path / 'pose_hrnet.pth'), str(tmp_path / 'ours.pth'))
    assert_same_outputs(tmp_path / 'ours.pth', model)


def test_a_compiled_backbone_is_converted(stock, tmp_path):
    model, _ = stock
    compiled = {key.replace('backbone.', 'backbone._orig_mod.'): value for key, value in model.state_dict().items()}
    torch.save(compiled, tmp_path / 'compiled.pth')
    convert_checkpoint('stock-to-ca', CONFIG, str(tmp_path / 'compiled.pth'), str(tmp_path / 'ours.pth'))
    assert_same_outputs(tmp_path / 'ours.pth', model)


def test_a_final_layer_without_bias_adds_nothing(stock, tmp_path):
    model, _ = stock
    model.head.final_layer.bias.data.zero_()
    official = {key.partition('.')[2]: value for key, value in model.state_dict().items()}
    del official['final_layer.bias']
    torch.save(official, tmp_path / 'pose_hrnet.pth')
    convert_checkpoint('stock-to-ca', CONFIG, str(tmp_path / 'pose_hrnet.pth'), str(tmp_path / 'ours.pth'))
    assert_same_outputs(tmp_path / 'ours.pth', model)


@pytest.mark.parametrize('module', ['coordatt', 'ca'])
def test_official_modules_in_the_blocks_are_renamed(module, tmp_path):
    """A third-party HRNet with houqb's CoordAtt in each block has the same layers under other names."""
    ours = CAHRNet(EXTRA)
    theirs = {key.replace('.ca.norm2.', f'.{module}.'): value for key, value in ours.state_dict().items()}
    torch.save(theirs, tmp_path / 'official.pth')
    count = convert_checkpoint('official-to-ca', CONFIG, str(tmp_path / 'official.pth'), str(tmp_path / 'ours.pth'))
    assert count == NUM_ATTENTION
    converted = torch.load(tmp_path / 'ours.pth')['state_dict']
    assert converted.keys() == ours.state_dict().keys()
    assert all(torch.equal(converted[key], value) for key, value in ours.state_dict().items())


def trained(state_dict):
    key = next(key for key in state_dict if key.endswith('conv_w.bias'))
    return {**state_dict, key: state_dict[key] + 1}


@pytest.mark.parametrize(
    ('direction', 'change', 'named'),
    [
        ('ca-to-stock', trained, r'ca\.norm2\.conv_[hw]\.'),
        ('ca-to-stock', lambda weights: {k: v for k, v in weights.items() if '.ca.' not in k}, 'no attention'),
        ('stock-to-ca', lambda weights: weights, 'attention already'),
        ('official-to-ca', lambda weights: weights, 'no CoordAtt'),
        ('ca-to-stock', lambda weights: {**weights, 'stage2.0.strange': torch.ones(1)}, r'stage2\.0\.strange'),
        ('ca-to-stock', lambda weights: {f'net.{k}': v for k, v in weights.items()}, r'first net\.conv1.{,150}$'),
    ],
)
def test_what_cannot_be_converted_is_named_and_nothing_is_written(direction, change, named, tmp_path):
    torch.save(change(CAHRNet(EXTRA).state_dict()), tmp_path / 'source.pth')
    with pytest.raises(ConversionError, match=named):
        convert_checkpoint(direction, CONFIG, str(tmp_path / 'source.pth'), str(tmp_path / 'target.pth'))
    assert [path.name for path in tmp_path.iterdir()] == ['source.pth']


def test_half_precision_keeps_the_weights_alone(tool, tmp_path):
    torch.save(dict(weight=torch.ones(2), count=torch.tensor(3), epoch=7), tmp_path / 'plain.pth')
    code, output, _ = tool('convert_checkpoint', 'half', tmp_path / 'plain.pth', tmp_path / 'half.pth')
    assert code == 0 and ': 3 numbers' in output
    halves = torch.load(tmp_path / 'half.pth')['state_dict']
    assert {key: value.dtype for key, value in halves.items()} == dict(weight=torch.half, count=torch.int64)


@pytest.mark.parametrize('direction', ['half', 'stock-to-ca'])
def test_weights_under_another_name_are_refused(direction, tool, tmp_path):
    torch.save(dict(model=dict(weight=torch.ones(2)), epoch=7), tmp_path / 'other.pth')
    code, *_ = tool('convert_checkpoint', direction, tmp_path / 'other.pth', tmp_path / 'out.pth')
    assert code.endswith('other.pth holds no weights by name: give a file that has them as state_dict')


def test_the_command_ends_with_one_line(tool, tmp_path):
    (tmp_path / 'text.pth').write_text('not a checkpoint')
    for source in (tmp_path / 'text.pth', tmp_path / 'nowhere.pth'):
        code, *_ = tool('convert_checkpoint', 'stock-to-ca', source, tmp_path / 'out.pth', '--config', CONFIG)
        assert re.fullmatch(rf'{re.escape(str(source))} not converted: .+', code)
        assert not (tmp_path / 'out.pth').exists()
