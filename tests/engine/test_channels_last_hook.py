import copy
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmpose.registry import HOOKS, MODELS

from ca_hrnet_plugin import config_path


def test_the_hook_changes_the_layout_and_not_the_outputs():
    plain = MODELS.build(Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune')).model.backbone).double()
    twin = copy.deepcopy(plain)
    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=twin))

    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    (expected,), (heatmaps,) = plain(x), twin(x)
    assert heatmaps.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(heatmaps, expected)
