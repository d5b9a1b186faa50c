"""Two processes that work together, over gloo on the CPU."""

import contextlib
import datetime
import multiprocessing
import os

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel
from mmengine.runner import CheckpointLoader
from mmpose.registry import MODELS
from trained import look_trained
from versions import has_torch, since_torch

from ca_hrnet_plugin import config_path


def make_backbone():
    """With norms that do not depend on the batch, so that half a batch can be compared with the whole."""
    config = Config.fromfile(config_path('demo/ca_hrnet_w16_128x96_finetune')).model.backbone
    return look_trained(MODELS.build(config)).double().eval()


def images():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def gradients(backbone, network, x):
    for _ in range(2):  # a parameter without a gradient would end the second step
        backbone.zero_grad()
        network(x)[0].square().mean().backward()
    return {name: parameter.grad for name, parameter in backbone.named_parameters()}


def work_together(rank, folder):
    os.environ['LOCAL_RANK'] = str(rank)  # as torchrun sets it
    torch.set_num_threads(1)
    store, patience = f'file://{folder}/rendezvous', datetime.timedelta(seconds=60)
    dist.init_process_group('gloo', store, timeout=patience, rank=rank, world_size=2)
    backbone = make_backbone()
    share = images()[2 * rank : 2 * rank + 2]
    torch.save(gradients(backbone, MMDistributedDataParallel(backbone), share), f'{folder}/gradients{rank}.pth')
    if has_torch('2.6'):
        for address in ('http://127.0.0.1:1/nowhere.pth', 'hf://nowhere'):
            with contextlib.suppress(OSError):
                CheckpointLoader.load_checkpoint(address)
        arrived = torch.ones(1)
        dist.all_reduce(arrived)
        torch.save(arrived, f'{folder}/after_download{rank}.pth')
    dist.destroy_process_group()


def start_two(folder):
    multiprocessing.set_forkserver_preload(['ca_hrnet_plugin', 'mmpose.apis'])  # imported once for both
    torch.multiprocessing.start_processes(work_together, (folder,), nprocs=2, start_method='forkserver')


@pytest.fixture(scope='module')
def folder(once):
    """The results of both processes."""
    return once('two_processes', start_two)


def of_both(folder, name):
    return [torch.load(folder / f'{name}{rank}.pth') for rank in range(2)]


def test_two_processes_have_the_gradients_of_one_on_the_joined_batch(folder):
    backbone = make_backbone()
    expected = gradients(backbone, backbone, images())
    for grads in of_both(folder, 'gradients'):
        torch.testing.assert_close(grads, expected, rtol=1e-6, atol=1e-10)


@since_torch('2.6', "before, the loaders are MMEngine's own")
def test_a_failed_download_does_not_leave_the_other_process_waiting(folder):
    assert of_both(folder, 'after_download') == [2, 2]
