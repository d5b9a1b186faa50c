"""What networks cost: parameters, operations, and the time of a training step and of inference, side by side."""

import contextlib
import copy
import io
import platform
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import torch
from mmengine.analysis import parameter_count
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS

from .complexity import measure_complexity
from .timing import time_side_by_side

TRAINING_IMAGES = 8  # of a batch on a CPU, at most
ROUNDS = 5


def measure_cost(configs: Mapping[str, str | Path], device: str | None = None) -> dict:
    """Times networks on data of their configs, each right before or after the first.

    Args:
        configs (Mapping[str, str | Path]): The config of each network, the baseline first.
        device (str, optional): Such as ``'cuda'``; a GPU by default, if there is one.

    Returns:
        dict: ``'machine'``, ``'batch'`` (images of a training step), and ``'networks'``: for each its ``'params (M)'``,
        ``'GFLOPs'`` (of top-down networks), ``'training step'`` and ``'inference'`` of one sample, the median of each
        in seconds, and ``'training step, ratio'`` and ``'inference, ratio'`` to the baseline.
    """
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    baseline = next(iter(configs))
    networks, functions = {}, {}
    for name, config in configs.items():
        cfg = Config.fromfile(config)
        init_default_scope(cfg.get('default_scope', 'mmpose'))
        model = MODELS.build(copy.deepcopy(cfg.model)).to(device)
        networks[name] = {'params (M)': parameter_count(model)[''] / 1e6}
        with contextlib.suppress(ValueError):  # of other than top-down networks
            networks[name] |= measure_complexity(config)
        batch = cfg.train_dataloader.batch_size
        batch = min(batch, TRAINING_IMAGES) if device == 'cpu' else batch
        functions['training step', name] = _training_step(model, cfg, batch)
        functions['inference', name] = _inference(copy.deepcopy(model), cfg)
    baselines = {(task, name): (task, baseline) for task, name in functions if name != baseline}
    timings = time_side_by_side(functions, baselines, ROUNDS)
    for (task, name), timing in timings.items():
        networks[name][task] = median(timing.seconds)
        if timing.ratios:
            networks[name][f'{task}, ratio'] = median(timing.ratios)
    return dict(machine=machine_name(device), batch=batch, networks=networks)


def _training_step(model, cfg: Config, batch: int):
    data = _first_batch(cfg.train_dataloader, batch)
    optim_wrapper = build_optim_wrapper(model, copy.deepcopy(cfg.optim_wrapper))

    def step() -> None:
        model.train()
        model.train_step(copy.deepcopy(data), optim_wrapper)

    return step


def _inference(model, cfg: Config):
    model.eval()
    data = _first_batch(cfg.test_dataloader, 1)
    return torch.no_grad()(lambda: model.test_step(copy.deepcopy(data)))


def _first_batch(loader: Config, size: int) -> dict:
    loader = dict(copy.deepcopy(loader), batch_size=size, num_workers=0, persistent_workers=False)
    with contextlib.redirect_stdout(io.StringIO()):  # COCO's reader prints
        return next(iter(Runner.build_dataloader(loader, seed=0)))


def machine_name(device: str) -> str:
    """The GPU, or the processor with its number of threads, and the version of PyTorch."""
    name = torch.cuda.get_device_name() if device == 'cuda' else f'{_processor()} (threads: {torch.get_num_threads()})'
    return f'{name}, PyTorch {torch.__version__}'


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path('/proc/cpuinfo').read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()
