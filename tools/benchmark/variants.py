"""The networks to compare: stock HRNet, CA-HRNet, and CA-HRNet with other forms of the same attention."""

import copy

import torch
import torch.nn.functional as F  # noqa: N812
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn

from ca_hrnet_plugin.deploy.freeze import with_constant_gates
from ca_hrnet_plugin.evaluation.gate_statistics import gate_statistics


class OfficialForm(nn.Module):
    """Coordinate attention step by step as in the official code (https://github.com/houqb/CoordAttention)."""

    def __init__(self, channels: int, reduction: int = 32):
        super().__init__()
        mid_channels = max(8, channels // reduction)
        self.pool_h = nn.AdaptiveAvgPool2d((None, 1))
        self.pool_w = nn.AdaptiveAvgPool2d((1, None))
        self.conv1 = nn.Conv2d(channels, mid_channels, 1)
        self.bn1 = nn.BatchNorm2d(mid_channels)
        self.conv_h = nn.Conv2d(mid_channels, channels, 1)
        self.conv_w = nn.Conv2d(mid_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attends to a feature map (N, C, H, W), and keeps its shape."""
        height, width = x.shape[2:]
        profiles = torch.cat([self.pool_h(x), self.pool_w(x).permute(0, 1, 3, 2)], dim=2)
        profiles = self.bn1(self.conv1(profiles))
        profiles = profiles * (F.relu6(profiles + 3) / 6)
        rows, columns = torch.split(profiles, [height, width], dim=2)
        return x * self.conv_w(columns.permute(0, 1, 3, 2)).sigmoid() * self.conv_h(rows).sigmoid()


def timm_form(channels: int, reduction: int = 32) -> nn.Module:
    """The ``CoordAttn`` of timm at the official width and with the official biases."""
    from timm.layers.coord_attn import CoordAttn

    return CoordAttn(channels, rd_channels=max(8, channels // reduction), bias=True)


OTHER_FORMS = {'official form': OfficialForm, 'timm form': timm_form}
FROZEN = 'frozen'
VARIANTS = ('HRNet', 'CA-HRNet', FROZEN, *OTHER_FORMS)
ONLY_FOR = {FROZEN: 'inference'}


def build_pose_model(config: str, variant: str) -> nn.Module:
    """Builds the pose model of a config as a variant, with random weights.

    Args:
        config (str): Path of a config of stock HRNet or CA-HRNet. Other forms have attention in the same places.
        variant (str): One of ``VARIANTS``.

    Raises:
        ValueError: The variant is unknown, or the config's backbone is neither HRNet nor CAHRNet.
    """
    if variant not in VARIANTS:
        raise ValueError(f'variant {variant!r}: give one of {", ".join(VARIANTS)}')
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    model = copy.deepcopy(cfg.model.to_dict())
    if model['backbone']['type'] not in ('HRNet', 'CAHRNet'):
        raise ValueError(f'{config} has the backbone {model["backbone"]["type"]}: give a config of HRNet or CAHRNet')
    backbone = model['backbone'] | dict(type='HRNet', init_cfg=None)
    attention = {key: backbone.pop(key) for key in ('ca_cfg', 'ca_stages', 'warm_start') if key in backbone}
    if variant in OTHER_FORMS:
        ca_cfg = attention.get('ca_cfg', {})
        reduction = {name: value for name, value in ca_cfg.get('attention', {}).items() if name == 'reduction'}
        attention['ca_cfg'] = ca_cfg | dict(attention=dict(type=OTHER_FORMS[variant], **reduction))
        attention['warm_start'] = 'none'  # unchanged, not blended in
    if variant != 'HRNet':
        backbone |= dict(type='CAHRNet', **attention)
    model['backbone'] = backbone
    model['data_preprocessor'].setdefault('type', 'PoseDataPreprocessor')
    torch.manual_seed(0)
    built = MODELS.build(model)
    return frozen(built, cfg.codec['input_size']) if variant == FROZEN else built


def frozen(model: nn.Module, input_size: tuple[int, int]) -> nn.Module:
    """A copy of CA-HRNet whose gates are frozen to the channel means for a random crop."""
    width, height = input_size
    crop = torch.rand(1, 3, height, width)
    return with_constant_gates(model, gate_statistics(model.backbone.eval(), [crop]))
