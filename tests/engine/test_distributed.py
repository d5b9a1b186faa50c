"""Two processes that train together, over gloo on the CPU."""

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmpose.registry import MODELS
from trained import look_trained
from versions import has_torch

from ca_hrnet_plugin import CBasicBlock, config_path


def make_backbone():
    """With norms that look at no batch, so that half a batch can be compared with the whole."""
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96')).model.backbone
    return look_trained(MODELS.build(config)).double().eval()


def images():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(backbone, network, x):
    for _ in range(2):  # a parameter without a gradient would end the second step
        backbone.zero_grad()
        network(x)[0].square().mean().backward()
    found = {name: parameter.grad for name, parameter in backbone.named_parameters()}
    return {name: grad.full_tensor() if hasattr(grad, 'full_tensor') else grad for name, grad in found.items()}


def by_ddp(share):
    backbone = make_backbone()
    return gradients(backbone, MMDistributedDataParallel(backbone), share)


def by_fsdp(share):
    from torch.distributed.fsdp import fully_shard

    backbone = make_backbone()
    for module in backbone.modules():
        if isinstance(module, CBasicBlock):
            fully_shard(module, mesh=dist.init_device_mesh('cpu', (2,)))
    return gradients(backbone, fully_shard(backbone, mesh=dist.init_device_mesh('cpu', (2,))), share)


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
    expected = gradients(backbone, backbone, images())
    for way in ways:
        for rank in range(2):
            found = torch.load(tmp_path / f'{way.__name__}{rank}.pth')
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-10)
