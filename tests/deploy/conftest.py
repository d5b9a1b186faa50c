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
def graph(model, tmp_path_factory):
    """The path of a graph of the model for a runtime and form, exported once."""
    folder, paths = tmp_path_factory.mktemp('graphs'), {}

    def export(**options):
        key = tuple(sorted(options.items()))
        if key not in paths:
            paths[key] = folder / f'{len(paths)}.onnx'
            export_onnx(model, paths[key], (96, 128), **options)
        return paths[key]

    return export
