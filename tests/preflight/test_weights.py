from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS

from ca_hrnet_plugin.preflight.report import Report
from ca_hrnet_plugin.preflight.weights import check_weights


def check(config, part='train'):
    report = Report()
    with DefaultScope.overwrite_default_scope('mmpose'):
        check_weights(config, (part,), report)
    assert not any('\n' in line for line in report.problems)
    return report


@pytest.fixture
def weights(config, tmp_path):
    """The weights of the config's network; where load_from names a file."""
    config.load_from = str(tmp_path / 'weights.pth')
    with DefaultScope.overwrite_default_scope('mmpose'):
        return MODELS.build(config.model).state_dict()


def test_a_pretrained_checkpoint_is_looked_for(config, server, tmp_path):
    (tmp_path / 'there.pth').touch()
    for checkpoint, message in (
        (f'{server}/gone.pth', 'not found (HTTP 404)'),
        ('http://127.0.0.1:1/unreachable.pth', 'cannot be reached'),
        (str(tmp_path / 'nowhere.pth'), 'not found'),
        (str(tmp_path), 'not found'),
        (f'{server}/there.pth', None),
        ('s3://bucket/there.pth', None),
    ):
        config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
        report = check(config)
        assert len(report.problems) == (message is not None)
        (line,) = report.problems or report.notes
        assert f'checkpoint {checkpoint} (model.backbone.init_cfg)' in line
        assert message is None or (message in line and '--cfg-options model.backbone.init_cfg.checkpoint=' in line)
        assert check(config, 'test') == Report(), 'a test overwrites it'


def test_the_cached_copy_of_a_checkpoint_is_read(config, torch_home):
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='http://127.0.0.1:1/unreachable.pth')
    copy = torch_home / 'hub/checkpoints/unreachable.pth'
    copy.parent.mkdir(parents=True)
    torch.save([1], copy)
    assert 'cannot be used' in check(config).problems[0]
    copy.write_bytes(b'half of it')
    assert 'cannot be used' in check(config).problems[0]


def test_a_checkpoint_on_the_hub_is_looked_for_and_not_downloaded(config, hub):
    hub.files['owner/net/pytorch_model.bin'] = b'half of it'
    for checkpoint, message in (
        ('hf://owner/net', None),
        ('hf://owner/net/none.pth@main', 'not found: no none.pth'),
        ('hf://owner/nowhere', 'does not exist, or cannot be read without a token'),
        ('hf://owner', 'is not an address on the Hub'),
    ):
        config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
        report = check(config)
        (line,) = report.problems or report.notes
        assert f'checkpoint {checkpoint} (model.backbone.init_cfg)' in line
        assert message in line if message else report.notes == [line] and 'is not on this disk: not opened' in line
    assert hub.downloads == []
    hub.reconnect(HF_HUB_OFFLINE='1')
    config.model.backbone.init_cfg.checkpoint = 'hf://owner/net'
    assert 'is not in the cache, and HF_HUB_OFFLINE is set' in check(config).problems[0]


def test_the_cached_copy_of_a_checkpoint_on_the_hub_is_read(config, weights, hub):
    safetensors_torch = pytest.importorskip('safetensors.torch')
    hub.files['owner/net/model.safetensors'] = safetensors_torch.save(weights)
    config.load_from = 'hf://owner/net'
    CheckpointLoader.load_checkpoint(config.load_from)
    hub.reconnect(HF_HUB_OFFLINE='1')
    assert check(config, 'test') == Report(notes=['checkpoint hf://owner/net (load_from) fits the network'])


def test_pretrained_weights_are_counted_under_their_prefix(config, weights, tmp_path):
    """Without the prefix, MMEngine would load nothing and go on."""
    config.load_from = None
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'pose.pth'))
    torch.save(dict(state_dict=weights), tmp_path / 'pose.pth')
    (problem,) = check(config).problems
    assert 'does not fit the network' in problem and 'model.backbone.init_cfg' in problem
    config.model.backbone.init_cfg.prefix = 'backbone.'
    report = check(config)
    assert report.problems == [] and 'fits the network' in report.notes[0]
    del weights['backbone.conv1.weight']
    torch.save(dict(state_dict=weights), tmp_path / 'pose.pth')
    report = check(config)
    assert report.problems == [] and '1 missing, first conv1.weight): what fits is loaded' in report.notes[0]


@pytest.mark.parametrize('key', ['backbone.total_ops', 'teacher.conv.weight', 'head.loss_module.weight'])
def test_keys_that_change_no_output_are_a_note(config, weights, key):
    torch.save(dict(state_dict=weights | {key: torch.zeros(1)}), config.load_from)
    for part in ('train', 'test'):
        report = check(config, part)
        assert report.problems == []
        assert f'fits the network and has keys that are ignored (1, first {key})' in report.notes[0]


def test_layers_that_the_network_lacks_are_a_problem_in_a_test(config, weights):
    """Stock HRNet loads all of its weights from a CA-HRNet and silently gives other outputs."""
    torch.save(dict(state_dict=weights), config.load_from)
    config.model.backbone.type = 'HRNet'
    (line,) = check(config, 'test').problems
    assert 'has attention that the network lacks' in line and '.ca.norm2.' in line and 'give the file' in line
    assert 'what fits is loaded' in check(config).notes[0]
    stock = {key: value for key, value in weights.items() if '.ca.' not in key}
    torch.save(dict(state_dict=stock | {'backbone.conv1.bias': torch.zeros(64)}), config.load_from)
    assert 'layers that the network lacks (1, first backbone.conv1.bias)' in check(config, 'test').problems[0]


def test_weights_of_the_network_and_of_stock_hrnet_fit(config, weights):
    stock = {key: value for key, value in weights.items() if '.ca.' not in key}
    assert len(stock) < len(weights)
    for state_dict in (weights, {f'module.{key}': value for key, value in stock.items()}):
        torch.save(dict(state_dict=state_dict), config.load_from)
        for part in ('train', 'test'):
            assert check(config, part) == Report(notes=[f'checkpoint {config.load_from} (load_from) fits the network'])


def test_keys_that_do_not_fit_are_counted_and_the_first_named(config, weights):
    del weights['backbone.conv1.weight']
    weights['teacher.weight'] = weights['student.weight'] = torch.zeros(1)
    weights['head.final_layer.weight'] = weights['head.final_layer.weight'][:16]
    torch.save(dict(state_dict=weights), config.load_from)
    (line,) = check(config, 'test').problems
    assert check(config, 'train') == Report(notes=[line.rpartition(': give')[0] + ': what fits is loaded'])
    counts = '1 missing, first backbone.conv1.weight; 2 unexpected, first teacher.weight'
    assert f'{counts}; 1 of another shape, first head.final_layer.weight' in line
    torch.save({'conv1.weight': torch.zeros(64, 3, 7, 7)}, config.load_from)
    assert 'does not fit the network' in check(config, 'train').problems[0], 'training needs a part that fits'


@pytest.mark.parametrize('content', [[1], {1: torch.zeros(1)}, dict(a=1), b'my best network', b''])
def test_a_file_without_usable_weights_is_a_problem(config, tmp_path, content):
    config.load_from = path = str(tmp_path / 'weights.pth')
    torch.save(content, path)
    if isinstance(content, bytes):
        Path(path).write_bytes(content)
    (line,) = check(config, 'test').problems
    assert f'checkpoint {path} (load_from)' in line


def test_a_network_that_cannot_be_built_is_a_problem(config, weights):
    torch.save(weights, config.load_from)
    config.model.backbone.type = 'NoSuchBackbone'
    assert 'cannot be built' in check(config, 'test').problems[0]
