"""timm's HRNets, the second source of ImageNet weights."""

import pytest
import torch
from mmengine.config import Config
from mmpose.models.backbones.hrnet import HRNet
from mmpose.registry import MODELS
from trained import look_trained

from ca_hrnet_plugin import config_path

timm = pytest.importorskip('timm')
safetensors_torch = pytest.importorskip('safetensors.torch')
BASIC = ('num_modules', 'num_branches', 'block_type', 'num_blocks', 'num_channels')
ELSEWHERE = ('incre_modules.', 'downsamp_modules.', 'final_layer.', 'classifier.')  # what classifies


@pytest.mark.parametrize('backbone', ['HRNet', 'CAHRNet'])
def test_its_weights_give_its_finest_feature_map(backbone, tmp_path):
    theirs = look_trained(timm.create_model('hrnet_w18_small', pretrained=False)).eval()
    safetensors_torch.save_file(theirs.state_dict(), tmp_path / 'model.safetensors')
    stages = timm.models.hrnet.cfg_cls['hrnet_w18_small']
    extra = {stage: {key: stages[stage][key] for key in BASIC} for stage in stages if stage.startswith('stage')}
    for stage in extra.values():
        stage['block'] = stage.pop('block_type')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'model.safetensors'))
    ours = MODELS.build(dict(type=backbone, extra=extra, init_cfg=init_cfg))
    ours.init_weights()
    ours.train(False)
    x = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = theirs.act2(theirs.bn2(theirs.conv2(theirs.act1(theirs.bn1(theirs.conv1(x))))))
        expected = theirs.stages(features)[0]
        torch.testing.assert_close(ours(x)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('width', ['w32', 'w48'])
def test_it_has_every_weight_of_mmposes_network_in_the_same_shape(width):
    backbone = Config.fromfile(config_path(f'hrnet_{width}_coco_256x192')).model.backbone
    with torch.device('meta'):
        ours, theirs = HRNet(backbone.extra).state_dict(), timm.create_model(f'hrnet_{width}').state_dict()
    shapes = {key: weight.shape for key, weight in theirs.items() if not key.startswith(ELSEWHERE)}
    assert {key: weight.shape for key, weight in ours.items()}.items() <= shapes.items()
    # MMPose fuses the last stage into the finest map only.
    assert all(key.startswith('stage4.2.fuse_layers.') for key in shapes.keys() - ours.keys())
