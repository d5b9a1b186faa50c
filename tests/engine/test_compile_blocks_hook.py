import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmpose.models.backbones.resnet import BasicBlock, Bottleneck
from mmpose.registry import HOOKS, MODELS

from ca_hrnet_plugin import CBasicBlock, config_path


@pytest.mark.parametrize('name', ['hrnet_w16_128x96', 'ca_hrnet_w16_128x96'])
def test_blocks_are_compiled_and_outputs_stay(name):
    plain = MODELS.build(Config.fromfile(config_path(f'demo/{name}')).model.backbone).double()
    plain.eval()
    twin = copy.deepcopy(plain)
    graphs = []

    def keep(graph, inputs):
        graphs.append(graph)
        return graph

    hook = HOOKS.build(dict(type='ca_hrnet_plugin.engine.CompileBlocksHook', backend=keep))
    hook.before_test(SimpleNamespace(model=twin))
    with torch.no_grad():
        x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
        torch.testing.assert_close(twin(x), plain(x))
    assert graphs, 'nothing was compiled'
    blocks = [block for block in twin.modules() if isinstance(block, (BasicBlock, Bottleneck))]
    assert {type(block) for block in blocks} >= {Bottleneck, CBasicBlock if name.startswith('ca') else BasicBlock}
    assert all(block._compiled_call_impl for block in blocks)
    assert twin.state_dict().keys() == plain.state_dict().keys()
