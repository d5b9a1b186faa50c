"""Parameters and GFLOPs of a config's network, counted by MMEngine as MMPose's ``get_flops.py`` does."""

from pathlib import Path

import torch
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.config import Config
from mmpose.apis import init_model


def measure_complexity(config: str | Path) -> dict[str, float]:
    """``'params (M)'`` and ``'GFLOPs'`` of one person's crop; a multiply and an add are one FLOP, as in papers.

    Raises:
        ValueError: The config has no top-down crop.
    """
    cfg = Config.fromfile(config)
    sizes = [step['input_size'] for step in cfg.test_dataloader.dataset.pipeline if step['type'] == 'TopdownAffine']
    if not sizes:
        raise ValueError(f'{config} has no TopdownAffine in its test pipeline: give a top-down config')
    width, height = sizes[0]
    model = init_model(cfg, device='cpu')
    model.forward = model._forward
    # What it does not count, such as norms, it would list at length.
    counter = FlopAnalyzer(model, torch.zeros(1, 3, height, width))
    with torch.no_grad():
        flops = counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()
    return {'params (M)': parameter_count(model)[''] / 1e6, 'GFLOPs': flops / 1e9}
