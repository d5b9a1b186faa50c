from pathlib import Path

import pytest
import torch
from mmpose.apis import init_model
from trained import look_trained

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.deploy import export_onnx

# One block a branch, because exporters take their time. In ground-truth boxes, as the drawn data is.
SHALLOW = """
extra = {f'stage{number}': dict(num_modules=1, num_blocks=(1,) * number) for number in (1, 2, 3, 4)}
model = dict(backbone=dict(ca_stages=(2,), extra=extra))
test_dataloader = dict(dataset=dict(bbox_file=None))
"""


@pytest.fixture(scope='package')
def config(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('shallow') / 'config.py'
    path.write_text(f'_base_ = {config_path("ca_hrnet_w16_coco_128x96")!r}{SHALLOW}')
    return path


@pytest.fixture(scope='package')
def model(config):
    torch.manual_seed(0)
    model = init_model(str(config), device='cpu')
    look_trained(model.backbone)
    model.head.final_layer.bias.data += 1  # or some joints have no peak above 0
    return model


@pytest.fixture
def checkpoint(model, drawn_data, tmp_path, monkeypatch) -> Path:
    """The model's, with the drawn data as the config's."""
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))
    torch.save(model.state_dict(), tmp_path / 'checkpoint.pth')
    return tmp_path / 'checkpoint.pth'


@pytest.fixture(scope='package')
def graph(model, once):
    """Exports the model with options of ``export_onnx``, once for all tests."""

    def path(**options):
        name = '-'.join(['graph', *(f'{option}-{value}' for option, value in sorted(options.items()))])
        return once(name, lambda folder: export_onnx(model, folder / 'model.onnx', (96, 128), **options)) / 'model.onnx'

    return path
