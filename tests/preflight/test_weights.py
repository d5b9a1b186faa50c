import pytest
import torch
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS

from ca_hrnet_plugin.preflight.report import Report
from ca_hrnet_plugin.preflight.weights import check_weights


def check(config, part='train'):
    report = Report()
    with DefaultScope.overwrite_default_scope('mmpose'):
        check_weights(config, (part,), report)
    assert not any('\n' in line for line in report.troubles)
    return report


def state_dict(config):
    with DefaultScope.overwrite_default_scope('mmpose'):
        return MODELS.build(config.model).state_dict()


def test_a_pretrained_checkpoint_is_asked_for(config, server, tmp_path):
    (tmp_path / 'there.pth').touch()
    for checkpoint, trouble in (
        (f'{server}/gone.pth', 'is not there'),
        ('http://127.0.0.1:1/unreachable.pth', 'cannot be reached'),
        (str(tmp_path / 'nowhere.pth'), 'not found'),
        (str(tmp_path), 'not found'),
        (f'{server}/there.pth', None),
        ('s3://bucket/there.pth', None),
    ):
        config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
        report = check(config)
        assert len(report.troubles) == (trouble is not None)
        (line,) = report.troubles or report.notes
        assert f'checkpoint {checkpoint} (model.backbone.init_cfg)' in line
        assert trouble is None or (trouble in line and '--cfg-options model.backbone.init_cfg.checkpoint=' in line)
        assert check(config, 'test') == Report(), 'a test overwrites it'


def test_what_torch_hub_has_of_a_checkpoint_is_looked_into(config, torch_home):
    config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint='http://127.0.0.1:1/unreachable.pth')
    copy = torch_home / 'hub/checkpoints/unreachable.pth'
    copy.parent.mkdir(parents=True)
    torch.save(dict(weight=torch.zeros(1)), copy)
    assert check(config).troubles == []
    copy.write_bytes(b'half of it')
    assert 'cannot be used' in check(config).troubles[0]


@pytest.mark.parametrize('backbone', ['CAHRNet', 'HRNet'])
def test_weights_of_the_network_and_stock_ones_fit(config, tmp_path, backbone):
    config.load_from = str(tmp_path / 'weights.pth')
    ours = config.model.backbone.type
    config.model.backbone.type = backbone
    stock = {key: value for key, value in config.model.backbone.items() if key not in ('ca_cfg', 'warm_start')}
    config.model.backbone = stock
    torch.save(dict(state_dict={f'module.{key}': value for key, value in state_dict(config).items()}), config.load_from)
    config.model.backbone.type = ours
    for part in ('train', 'test'):
        report = check(config, part)
        assert report.troubles == []
        assert 'weights.pth (load_from) fits the network' in report.notes[-1]


def test_what_does_not_fit_is_counted_and_the_first_named(config, tmp_path):
    config.load_from = str(tmp_path / 'weights.pth')
    weights = state_dict(config)
    del weights['backbone.conv1.weight']
    weights['teacher.weight'] = weights['student.weight'] = torch.zeros(1)
    weights['head.final_layer.weight'] = weights['head.final_layer.weight'][:16]
    torch.save(dict(state_dict=weights), config.load_from)
    (line,) = check(config, 'test').troubles
    assert check(config, 'train') == Report(notes=[line.rpartition(': give')[0] + ': what fits is loaded'])
    for told in (
        '1 missing, first backbone.conv1.weight',
        '2 unexpected, first teacher.weight',
        '1 of another shape, first head.final_layer.weight',
    ):
        assert told in line


def test_training_cannot_start_from_a_checkpoint_of_which_nothing_fits(config, tmp_path):
    config.load_from = str(tmp_path / 'weights.pth')
    torch.save({'conv1.weight': torch.zeros(64, 3, 7, 7)}, config.load_from)
    assert 'does not fit the network' in check(config, 'train').troubles[0]


@pytest.mark.parametrize('content', ['a list', 'no names', 'no weights', 'text', 'half', 'code', 'nothing'])
def test_a_checkpoint_that_holds_no_weights_is_told(config, tmp_path, content):
    path = tmp_path / 'weights.pth'

    class Code:
        def __reduce__(self):
            return print, ('run',)

    objects = {'a list': [1], 'no names': {1: torch.zeros(1)}, 'no weights': dict(a=1), 'code': Code()}
    if content in objects:
        torch.save(objects[content], path)
    else:
        torch.save(state_dict(config), path)
        data = dict(text=b'my best network', half=path.read_bytes()[:50_000], nothing=b'')[content]
        path.write_bytes(data)
    config.load_from = str(path)
    (line,) = check(config, 'test').troubles
    assert f'checkpoint {path} (load_from)' in line


def test_a_network_that_cannot_be_built_is_told(config, tmp_path):
    config.load_from = str(tmp_path / 'weights.pth')
    torch.save({}, config.load_from)
    config.model.backbone.type = 'NoSuchBackbone'
    assert 'cannot be built' in check(config, 'test').troubles[0]
