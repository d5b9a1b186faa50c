"""Checkpoints on the Hugging Face Hub, by its own client."""

import os
import pickle
import re
import sys
import time
from io import BytesIO
from pathlib import Path

import pytest
import torch
from hub_server import COMMIT
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmpose.apis import init_model
from mmpose.registry import MODELS
from trained import look_trained
from versions import since_torch

from ca_hrnet_plugin import config_path, restore_mmengine_loaders
from ca_hrnet_plugin.checkpoints import loaders, register_loaders

safetensors_torch = pytest.importorskip('safetensors.torch')
CONFIG = config_path('demo/hrnet_w16_128x96_finetune')


def load(address, map_location='cpu'):
    return CheckpointLoader.load_checkpoint(address, map_location=map_location)


def pickled(content) -> bytes:
    buffer = BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def tensors(**values) -> bytes:
    return safetensors_torch.save({name: torch.as_tensor(value) for name, value in values.items()})


class Command:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ('touch ran',)


def test_a_file_is_downloaded_once_and_then_loads_without_a_connection(hub):
    hub.files['owner/net/model.safetensors'] = tensors(weight=[1, 1])
    for _ in range(2):
        assert load('hf://owner/net')['state_dict']['weight'].tolist() == [1, 1]
    assert hub.downloads == ['owner/net/model.safetensors']
    hub.reconnect(HF_HUB_OFFLINE='1')
    assert load('hf://owner/net')['state_dict']['weight'].tolist() == [1, 1]
    hub.reconnect(HF_HUB_OFFLINE='0', HF_ENDPOINT='http://127.0.0.1:1')
    assert load('hf://owner/net')['state_dict']['weight'].tolist() == [1, 1]


def test_a_new_version_on_the_hub_replaces_the_one_in_the_cache(hub, monkeypatch):
    hub.files['owner/net/model.safetensors'] = tensors(weight=[1, 1])
    load('hf://owner/net')
    hub.files['owner/net/model.safetensors'] = tensors(weight=[2, 2])
    monkeypatch.setattr('hub_server.COMMIT', 40 * 'a')
    assert load('hf://owner/net')['state_dict']['weight'].tolist() == [2, 2]
    assert load(f'hf://owner/net@{COMMIT}')['state_dict']['weight'].tolist() == [1, 1], 'a commit stays what it is'


@pytest.mark.parametrize(
    ('address', 'value'),
    [
        ('hf://owner/net', 1),
        ('hf://owner/net@main', 1),
        (f'hf://owner/net/folder/best.pth@{COMMIT}', 2),
        ('hf://owner/net@main/folder/best.pth', 2),
        ('hf://owner/old', 3),
    ],
)
def test_an_address_names_a_repository_and_perhaps_a_file_and_a_revision(hub, address, value):
    hub.files = {
        'owner/net/model.safetensors': tensors(weight=[1, 1]),
        'owner/net/pytorch_model.bin': tensors(weight=[4, 4]),
        'owner/net/folder/best.pth': pickled(dict(state_dict=dict(weight=torch.full((2,), 2.0)))),
        'owner/old/pytorch_model.bin': pickled(dict(weight=torch.full((2,), 3.0))),
    }
    assert load(address)['state_dict']['weight'].tolist() == [value, value]
    hub.reconnect(HF_HUB_OFFLINE='1')
    assert load(address)['state_dict']['weight'].tolist() == [value, value]


def test_a_private_repository_is_read_with_a_token(hub):
    hub.files['owner/private/model.safetensors'] = tensors(weight=[1, 1])
    hub.private.add('owner/private')
    with pytest.raises(OSError, match='HTTP 401'):
        load('hf://owner/private')
    hub.reconnect(HF_TOKEN=hub.token)
    assert 'weight' in load('hf://owner/private')['state_dict']


PROBLEMS = {
    'hf://owner/net/none.pth': 'not found: no none.pth at revision main: give a file of ENDPOINT/owner/net/tree/main',
    'hf://owner/net': 'not found: no model.safetensors or pytorch_model.bin at revision main: give a file of ',
    'hf://owner/net/best.pth@v9': 'not found: no revision v9: give a branch, a tag or a commit',
    'hf://owner/nowhere': 'does not exist, or cannot be read without a token for it (HTTP 401): correct the name, or ',
    'hf://owner/gated/best.pth': 'is gated: accept its terms at ENDPOINT/owner/gated, and set HF_TOKEN',
    'hf://owner': 'is not an address on the Hub: give hf://OWNER/REPO[/FILE][@REVISION]',
    'hf://owner/net@a/best.pth@b': 'is not an address on the Hub: give ',
    'hf://owner/no..net': 'cannot be fetched from ENDPOINT (HFValidationError: ',
}


@pytest.mark.parametrize('address', PROBLEMS)
def test_a_problem_is_named_in_one_line(hub, address):
    hub.files = {'owner/net/best.pth': pickled({}), 'owner/gated/best.pth': pickled({})}
    hub.gated.add('owner/gated')
    with pytest.raises(OSError, match=re.escape(f'checkpoint {address} ')) as raised:
        load(address)
    message = str(raised.value)
    assert message.startswith(f'checkpoint {address} {PROBLEMS[address].replace("ENDPOINT", hub.address)}')
    assert '\n' not in message
    assert hub.downloads == []


def test_without_a_connection_what_is_not_in_the_cache_is_named(hub, monkeypatch):
    hub.files['owner/net/model.safetensors'] = tensors(weight=[1, 1])
    hub.reconnect(HF_HUB_OFFLINE='1')
    with pytest.raises(OSError, match='hf://owner/net is not in the cache, and HF_HUB_OFFLINE is set: load it once'):
        load('hf://owner/net')
    hub.reconnect(HF_HUB_OFFLINE='0', HF_ENDPOINT='http://127.0.0.1:1')
    monkeypatch.setattr(time, 'sleep', lambda seconds: None)  # between the client's attempts
    with pytest.raises(OSError, match=r'hf://owner/net cannot be fetched from http://127\.0\.0\.1:1 \(.*: check the c'):
        load('hf://owner/net')


def test_without_the_client_one_line_says_what_to_install(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(OSError, match=r'hf://owner/net needs the package huggingface_hub .*: pip install hugg'):
        load('hf://owner/net')


def test_a_hostile_file_is_refused_and_does_not_run(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hub.files['owner/net/pytorch_model.bin'] = pickled(dict(state_dict={}, meta=Command()))
    hub.files['owner/net/model.safetensors'] = pickled(Command())
    for file, reason in (('pytorch_model.bin', '.*system'), ('model.safetensors', 'cannot be read')):
        with pytest.raises(pickle.UnpicklingError, match=rf'checkpoint hf://owner/net/{file} \(.*\) {reason}.*: give '):
            load(f'hf://owner/net/{file}')
    assert not Path('ran').exists()


def test_with_torch_before_2_6_new_addresses_are_read_safely_and_nothing_else_changes(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
    restore_mmengine_loaders()
    before = dict(CheckpointLoader._schemes)
    monkeypatch.setattr(loaders, 'can_allow_globals_by_name', False)
    register_loaders()
    assert before.items() <= CheckpointLoader._schemes.items()
    Path('model.safetensors').write_bytes(tensors(weight=[1, 1]))
    hub.files['owner/net/best.pth'] = pickled(dict(state_dict=dict(weight=torch.ones(2)), meta=dict(epoch=1)))
    for address in ('model.safetensors', 'hf://owner/net/best.pth'):
        assert load(address)['state_dict']['weight'].tolist() == [1, 1]
    hub.files['owner/net/worst.pth'] = pickled(dict(state_dict={}, meta=Command()))
    with pytest.raises(pickle.UnpicklingError, match='system'):
        load('hf://owner/net/worst.pth')
    assert not Path('ran').exists()


@pytest.mark.parametrize(
    'map_location',
    ['meta', torch.device('meta'), {'cpu': 'meta'}, lambda storage, place: torch.UntypedStorage(0, device='meta')],
    ids=['name', 'device', 'dict', 'function'],
)
def test_a_file_of_safetensors_goes_where_map_location_says(map_location, tmp_path):
    (tmp_path / 'model.safetensors').write_bytes(tensors(weight=[1, 1]))
    assert load(str(tmp_path / 'model.safetensors'), map_location)['state_dict']['weight'].device.type == 'meta'


@pytest.mark.parametrize(
    'by', ['path', pytest.param('http', marks=since_torch('2.6', "before, the loader of http is MMEngine's own"))]
)
def test_files_of_safetensors_are_read_from_disk_and_by_http(by, server, tmp_path):
    place = dict(path=tmp_path, http=server)[by]
    (tmp_path / 'model.safetensors').write_bytes(tensors(weight=[1, 1]))
    for map_location in ('cpu', None, {'cuda:0': 'cpu'}, lambda storage, location: storage):
        assert load(f'{place}/model.safetensors', map_location)['state_dict']['weight'].tolist() == [1, 1]
    with pytest.raises(OSError, match=r'nowhere|404'):
        load(f'{place}/nowhere.safetensors')
    (tmp_path / 'broken.safetensors').write_bytes(tensors(weight=[1, 1])[:-1])
    with pytest.raises(pickle.UnpicklingError, match=r'broken\.safetensors.* cannot be read \(.+\): give the whole'):
        load(f'{place}/broken.safetensors')


def test_without_safetensors_one_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / 'model.safetensors').touch()
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    with pytest.raises(ImportError, match=r'model\.safetensors needs the package safetensors: pip install'):
        load(str(tmp_path / 'model.safetensors'))


def test_a_run_tests_a_network_from_the_hub(hub, runner, drawn_data):
    """Its EMA hook asks for a checkpoint in MMEngine's form."""
    weights = MODELS.build(Config.fromfile(CONFIG).model).state_dict()
    hub.files['owner/net/model.safetensors'] = tensors(**weights)
    assert 'coco/AP' in runner('demo/ca_hrnet_w16_128x96_finetune', drawn_data, load_from='hf://owner/net').test()


def test_a_pose_estimator_starts_from_the_hub_in_each_way(hub, tool, tmp_path):
    stock = look_trained(MODELS.build(Config.fromfile(CONFIG).model)).eval()
    hub.files['owner/net/model.safetensors'] = safetensors_torch.save(stock.state_dict())
    x = torch.randn(1, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    ours = config_path('demo/ca_hrnet_w16_128x96_finetune')
    by_init_model = init_model(ours, 'hf://owner/net', device='cpu')
    pretrained = Config.fromfile(ours).model.backbone
    pretrained.init_cfg = dict(type='Pretrained', checkpoint='hf://owner/net@main', prefix='backbone.')
    by_init_cfg = MODELS.build(pretrained).eval()
    by_init_cfg.init_weights()
    converted = tool('convert_checkpoint', 'stock-to-ca', 'hf://owner/net', tmp_path / 'ours.pth', '--config', ours)
    assert converted[0] == 0
    by_convert_checkpoint = init_model(ours, str(tmp_path / 'ours.pth'), device='cpu')
    with torch.no_grad():
        expected = stock.backbone(x)[0]
        for backbone in (by_init_model.backbone, by_init_cfg, by_convert_checkpoint.backbone):
            assert torch.equal(backbone(x)[0], expected)
    code, *_ = tool('convert_checkpoint', 'stock-to-ca', 'hf://owner/none', tmp_path / 'none.pth', '--config', ours)
    assert re.fullmatch('hf://owner/none not converted: .*HTTP 401.*', code)
