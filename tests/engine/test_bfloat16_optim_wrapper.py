import copy

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmpose.registry import MODELS
from mmpose.testing import get_packed_inputs
from torch import nn

from ca_hrnet_plugin import config_path

OPTION = {'optim_wrapper.type': 'Bfloat16OptimWrapper', 'model.train_cfg.compute_acc': False}  # as --cfg-options


def test_the_option_takes_the_same_step_in_bfloat16_and_tests_in_float32():
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune'))
    config.optim_wrapper.optimizer = dict(type='SGD', lr=1.0)  # its step is the gradient
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    data = get_packed_inputs(4, input_size=(96, 128), img_shape=(128, 96), heatmap_size=(24, 32))
    dtypes, steps, losses = set(), [], []
    for options in ({}, OPTION):
        config.merge_from_dict(options)
        network = copy.deepcopy(model)
        network.train_cfg = config.model.get('train_cfg', {})
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
                module.register_forward_hook(lambda module, inputs, output: dtypes.add(output.dtype))
        with DefaultScope.overwrite_default_scope(config.default_scope):
            wrapper = build_optim_wrapper(network, config.optim_wrapper)
        dtypes.clear()
        losses.append(network.train_step(copy.deepcopy(data), wrapper)['loss'])
        assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
        pairs = zip(network.parameters(), model.parameters(), strict=True)
        steps.append(torch.cat([(after - before).detach().flatten() for after, before in pairs]))

    assert dtypes == {torch.bfloat16}
    torch.testing.assert_close(losses[1], losses[0], rtol=0.02, atol=0)
    assert torch.cosine_similarity(*steps, dim=0) > 0.9

    dtypes.clear()
    network.test_step(copy.deepcopy(data))
    assert dtypes == {torch.float32}
