import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model
from torch import nn

from ca_hrnet_plugin import CoordAttention, config_path


@pytest.fixture(scope='package')
def model():
    cfg = Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))
    for number, stage in enumerate((cfg.model.backbone.extra[f'stage{number}'] for number in range(1, 5)), start=1):
        stage.update(num_modules=1, num_blocks=(1,) * number)  # compilers take their time
    torch.manual_seed(0)
    model = init_model(cfg, device='cpu')
    random = torch.Generator().manual_seed(0)
    for module in model.modules():  # as after training: no norm is 0 to 1, no gate a half
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 2, generator=random)
            module.weight.data.uniform_(0.5, 1.5, generator=random)
            module.bias.data.normal_(0, 0.1, generator=random)
        if isinstance(module, CoordAttention):
            for conv in (module.conv_h, module.conv_w):
                conv.weight.data.normal_(0, 0.5, generator=random)
    return model
