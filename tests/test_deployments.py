"""The plugin beside other packages."""

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import DefaultScope, Registry
from mmpose.models.backbones.hrnet import HRNet
from mmpose.models.backbones.resnet import BasicBlock
from mmpose.registry import MODELS

from ca_hrnet_plugin import CAHRNet, CBasicBlock, CoordAttention, config_path


@pytest.fixture
def backbone_config():
    return Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune')).model.backbone


def test_builds_in_the_default_scope_of_another_package(backbone_config):
    other = Registry('model', parent=MMENGINE_MODELS, scope='other_package')
    with DefaultScope.overwrite_default_scope('other_package'):
        backbone = other.build(
            dict(
                backbone_config, type='mmpose.CAHRNet', ca_cfg=dict(attention=dict(type='CoordAttention', reduction=4))
            )
        )
    assert type(backbone.stage2[0].branches[0][0].ca['norm2']) is CoordAttention


def test_stock_hrnet_and_a_block_of_another_plugin_stay_unchanged(backbone_config, monkeypatch):
    class OtherBlock(BasicBlock):
        """Another plugin's block for HRNet."""

    monkeypatch.setitem(HRNet.blocks_dict, 'OTHER', OtherBlock)
    extra = backbone_config.extra
    extra.stage4.block = 'OTHER'
    ours, stock = CAHRNet(extra), HRNet(extra)

    assert {type(block) for block in ours.modules() if isinstance(block, BasicBlock)} == {CBasicBlock, OtherBlock}
    assert {type(block) for block in stock.modules() if isinstance(block, BasicBlock)} == {BasicBlock, OtherBlock}


def test_a_config_in_pure_python_builds_it_and_can_be_saved(backbone_config, tmp_path):
    config_file = tmp_path / 'config.py'
    config_file.write_text(
        'from mmengine.config import read_base\n'
        'from ca_hrnet_plugin import CAHRNet, CoordAttention\n'
        f'backbone = dict(type=CAHRNet, extra={backbone_config.extra.to_dict()!r},\n'
        '                ca_cfg=dict(attention=dict(type=CoordAttention, reduction=8)))\n'
    )
    written = Config.fromfile(config_file)
    written.dump(tmp_path / 'saved.py')
    for config in (written, Config.fromfile(tmp_path / 'saved.py')):
        backbone = MODELS.build(config.backbone)
        assert type(backbone) is CAHRNet
        assert type(backbone.stage4[0].branches[3][0].ca['norm2']) is CoordAttention
