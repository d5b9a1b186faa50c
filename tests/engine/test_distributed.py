"""Two processes that work together, over gloo on the CPU."""

import contextlib
import datetime
import os
import urllib.error

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import CheckpointLoader, Runner
from mmpose.registry import MODELS
from torch import nn
from trained import look_trained
from versions import has_torch, since_torch

from ca_hrnet_plugin import CBasicBlock, config_path


def make_backbone():
    """With norms that do not depend on the batch, so that half a batch can be compared with the whole."""
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96')).model.backbone
    return look_trained(MODELS.build(config)).double().eval()


def images():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(backbone, network, x):
    for _ in range(2):  # a parameter without a gradient would end the second step
        backbone.zero_grad()
        network(x)[0].square().mean().backward()
    grads = {name: parameter.grad for name, parameter in backbone.named_parameters()}
    return {name: grad.full_tensor() if hasattr(grad, 'full_tensor') else grad for name, grad in grads.items()}


def ddp(share):
    backbone = make_backbone()
    return gradients(backbone, MMDistributedDataParallel(backbone), share)


def fsdp(share):
    from torch.distributed.fsdp import fully_shard

    backbone = make_backbone()
    for module in backbone.modules():
        if isinstance(module, CBasicBlock):
            fully_shard(module, mesh=dist.init_device_mesh('cpu', (2,)))
    return gradients(backbone, fully_shard(backbone, mesh=dist.init_device_mesh('cpu', (2,))), share)


WAYS = (ddp, fsdp) if has_torch('2.6') else (ddp,)  # older versions lack fully_shard


class TwoConvs(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))

    def forward(self, inputs, mode):
        return dict(loss=self.layers(inputs).square().mean())


def train_channels_last(work_dir):
    runner = Runner(
        TwoConvs(),
        work_dir,
        cfg=dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None)),
        train_dataloader=dict(
            dataset=[dict(inputs=torch.full((3, 8, 8), float(index))) for index in range(8)],
            batch_size=2,
            sampler=dict(type='DefaultSampler'),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        launcher='pytorch',
        default_scope='mmpose',
        default_hooks=dict(layout=dict(type='ChannelsLastHook'), checkpoint=None),
    )
    runner.train()
    return runner.model.module.layers[0].weight.detach()


def work_together(rank, folder):
    os.dup2(os.open(f'{folder}/stderr{rank}', os.O_CREAT | os.O_WRONLY), 2)
    os.environ['LOCAL_RANK'] = str(rank)  # as torchrun sets it
    torch.set_num_threads(1)
    store, patience = f'file://{folder}/rendezvous', datetime.timedelta(seconds=60)
    dist.init_process_group('gloo', store, timeout=patience, rank=rank, world_size=2)
    for way in WAYS:
        torch.save(way(images()[2 * rank : 2 * rank + 2]), f'{folder}/{way.__name__}{rank}.pth')
    torch.save(train_channels_last(f'{folder}/work_dir'), f'{folder}/channels_last{rank}.pth')
    if has_torch('2.6'):
        with contextlib.suppress(urllib.error.URLError):
            CheckpointLoader.load_checkpoint('http://127.0.0.1:1/nowhere.pth')
        arrived = torch.ones(1)
        dist.all_reduce(arrived)
        torch.save(arrived, f'{folder}/after_download{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def folder(once):
    """The results of both processes."""
    return once('two_processes', lambda folder: torch.multiprocessing.spawn(work_together, (folder,), nprocs=2))


def of_both(folder, name):
    return [torch.load(folder / f'{name}{rank}.pth') for rank in range(2)]


@pytest.mark.parametrize('way', WAYS)
def test_two_processes_have_the_gradients_of_one_on_the_joined_batch(folder, way):
    backbone = make_backbone()
    expected = gradients(backbone, backbone, images())
    for grads in of_both(folder, way.__name__):
        torch.testing.assert_close(grads, expected, rtol=1e-6, atol=1e-10)


def test_channels_last_training_keeps_the_processes_in_step(folder):
    first, second = of_both(folder, 'channels_last')
    assert first.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(first, second)
    assert 'strides do not match' not in (folder / 'stderr0').read_text()


@since_torch('2.6', "before, the loaders are MMEngine's own")
def test_a_failed_download_does_not_leave_the_other_process_waiting(folder):
    assert of_both(folder, 'after_download') == [2, 2]
