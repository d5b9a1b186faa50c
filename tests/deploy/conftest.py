import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model
from trained import look_trained

from ca_hrnet_plugin import config_path


@pytest.fixture(scope='package')
def model():
    cfg = Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))
    for number, stage in enumerate((cfg.model.backbone.extra[f'stage{number}'] for number in range(1, 5)), start=1):
        stage.update(num_modules=1, num_blocks=(1,) * number)  # compilers take their time
    torch.manual_seed(0)
    model = init_model(cfg, device='cpu')
    look_trained(model.backbone)
    return model
