"""Two processes that train together, over gloo on the CPU."""

import torch
import torch.distributed as dist
import torch.distributed.nn.functional as differentiable
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn
from versions import has_torch

from ca_hrnet_plugin import CBasicBlock, config_path


class SyncedBN(nn.BatchNorm2d):
    """torch's SyncBatchNorm, which has no CPU form, from its equations."""

    def forward(self, x):
        if not dist.is_initialized():
            return super().forward(x)
        moments = torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
        mean, square = (differentiable.all_reduce(moments) / dist.get_world_size())[:, None, :, None, None]
        x = (x - mean) / (square - mean.square() + self.eps).sqrt()
        return x * self.weight[:, None, None] + self.bias[:, None, None]


def make_backbone(norm_cfg=None):
    init_default_scope('mmpose')
    MODELS.register_module(module=SyncedBN, force=True)
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96')).model.backbone
    torch.manual_seed(0)
    return MODELS.build(dict(config, norm_cfg=norm_cfg or dict(type='BN'))).double()


def images():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def backward(network, x):
    network(x)[0].square().mean().backward()


def by_ddp(share):
    backbone = make_backbone(dict(type='SyncedBN'))
    network = MMDistributedDataParallel(backbone)  # a parameter without a gradient would end the second step
    for _ in range(2):
        backbone.zero_grad()
        backward(network, share)
    return {name: parameter.grad for name, parameter in backbone.named_parameters()}


def by_fsdp(share):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    backbone = make_backbone(dict(type='SyncedBN'))
    mesh = init_device_mesh('cpu', (2,))
    for module in backbone.modules():
        if isinstance(module, CBasicBlock):
            fully_shard(module, mesh=mesh)
    fully_shard(backbone, mesh=mesh)
    backward(backbone, share)
    return {name: parameter.grad.full_tensor() for name, parameter in backbone.named_parameters()}


def train_a_share(rank, folder, ways):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', f'file://{folder}/rendezvous', rank=rank, world_size=2)
    for way in ways:
        torch.save(way(images()[2 * rank : 2 * rank + 2]), f'{folder}/{way.__name__}{rank}.pth')
    dist.destroy_process_group()


def test_two_processes_have_the_gradients_of_one_on_the_joined_batch(tmp_path):
    ways = (by_ddp, by_fsdp) if has_torch('2.6') else (by_ddp,)  # before, there is no such fully_shard
    torch.multiprocessing.spawn(train_a_share, (tmp_path, ways), nprocs=2)

    backbone = make_backbone()
    backward(backbone, images())
    expected = {name: parameter.grad for name, parameter in backbone.named_parameters()}
    for way in ways:
        for rank in range(2):
            found = torch.load(tmp_path / f'{way.__name__}{rank}.pth')
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-10)
