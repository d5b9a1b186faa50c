"""Parameters and GFLOPs of a config's network, counted by MMEngine as in MMPose's ``get_flops.py``."""

from pathlib import Path

import torch
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.config import Config
from mmpose.apis import init_model

from ..evaluation.evaluators import type_name
from ..evaluation.people import pipeline_of_test


def measure_complexity(config: str | Path) -> dict[str, float]:
    """Counts the parameters of a config's network, and its FLOPs for the crop of one person.

    A multiplication together with an addition counts as one FLOP, as in papers.

    Args:
        config (str | Path): A top-down config of MMPose.

    Returns:
        dict[str, float]: ``'params (M)'`` and ``'GFLOPs'``.

    Raises:
        ValueError: The test pipeline has no top-down crop.
    """
    cfg = Config.fromfile(config)
    sizes = [step['input_size'] for step in pipeline_of_test(cfg) if type_name(step) == 'TopdownAffine']
    if not sizes:
        raise ValueError(f'{config} has no TopdownAffine in its test pipeline: give a top-down config')
    width, height = sizes[0]
    model = init_model(cfg, device='cpu')
    model.forward = model._forward
    # Without lists of the operations that are not counted, such as norms.
    counter = FlopAnalyzer(model, torch.zeros(1, 3, height, width))
    counter = counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with torch.no_grad():
        flops = counter.total()
    return {'params (M)': parameter_count(model)[''] / 1e6, 'GFLOPs': flops / 1e9}
