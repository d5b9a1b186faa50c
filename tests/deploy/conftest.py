import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model
from trained import look_trained

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.deploy import export_onnx


@pytest.fixture(scope='package')
def model():
    cfg = Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))
    for number, stage in enumerate((cfg.model.backbone.extra[f'stage{number}'] for number in range(1, 5)), start=1):
        stage.update(num_modules=1, num_blocks=(1,) * number)  # exporters take their time
    cfg.model.backbone.ca_stages = (2,)
    torch.manual_seed(0)
    model = init_model(cfg, device='cpu')
    look_trained(model.backbone)
    model.head.final_layer.bias.data += 1  # or some joints have no peak above 0
    return model


@pytest.fixture(scope='package')
def graph(model, once):
    """Exports the model with options of ``export_onnx``, once for all tests."""

    def path(**options):
        name = '-'.join(['graph', *(f'{option}-{value}' for option, value in sorted(options.items()))])
        return once(name, lambda folder: export_onnx(model, folder / 'model.onnx', (96, 128), **options)) / 'model.onnx'

    return path
