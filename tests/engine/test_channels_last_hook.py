import copy
import os
import subprocess
import sys
from types import SimpleNamespace

import torch
from mmengine.config import Config
from mmpose.registry import HOOKS, MODELS

from ca_hrnet_plugin import config_path


def test_the_hook_changes_the_layout_and_not_the_outputs():
    plain = MODELS.build(Config.fromfile(config_path('demo/ca_hrnet_w16_128x96')).model.backbone).double()
    twin = copy.deepcopy(plain)
    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=twin))

    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    (expected,), (heatmaps,) = plain(x), twin(x)
    assert heatmaps.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(heatmaps, expected)


TRAINING = """
import sys, weakref
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
import ca_hrnet_plugin

torch.cuda.set_device = lambda device: None  # MMEngine calls it on machines without a GPU too

class Network(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def forward(self, inputs, mode):
        return dict(loss=self.layers(inputs).square().mean())

runner = Runner(
    Network(),
    sys.argv[1],
    cfg=dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None)),
    train_dataloader=dict(
        dataset=[dict(inputs=torch.ones(3, 8, 8))] * 8,
        batch_size=2,
        sampler=dict(type='DefaultSampler'),
        collate_fn=dict(type='default_collate'),
    ),
    train_cfg=dict(by_epoch=True, max_epochs=2),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
    launcher='pytorch',
    env_cfg=dict(dist_cfg=dict(backend='gloo')),
    default_scope='mmpose',
    default_hooks=dict(layout=dict(type='ChannelsLastHook'), checkpoint=None),
    experiment_name='channels_last',
)
first_wrapper = weakref.ref(runner.model)
runner.train()
assert first_wrapper() is None, 'two wrappers would both gather the gradients'
weight = runner.model.module.layers[0].weight
assert weight.is_contiguous(memory_format=torch.channels_last)
everybody_s = [torch.zeros(weight.shape) for _ in range(2)]
torch.distributed.all_gather(everybody_s, weight.detach().contiguous())
assert torch.equal(*everybody_s), 'the processes drifted apart'
"""


def test_processes_that_train_together_gather_gradients_in_the_layout_they_have(tmp_path):
    (tmp_path / 'training.py').write_text(TRAINING)
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2', 'training.py']
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    run = subprocess.run([*command, 'out'], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    assert 'strides do not match' not in run.stderr
