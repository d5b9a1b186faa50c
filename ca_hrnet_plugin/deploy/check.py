"""Whether an exported graph still says what the PyTorch model says."""

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from torch import Tensor, nn


class Difference(NamedTuple):
    """The largest differences: of heatmaps, relative to their largest value, and of keypoints in pixels of the crop."""

    heatmaps: float
    keypoints: float


def read_crops(cfg: Config, model: nn.Module, num_crops: int) -> Tensor:
    """Reads the first people of a config's test data as the network sees them.

    Returns:
        Tensor: Normalised crops, (N, 3, H, W).

    Raises:
        FileNotFoundError: The data is not there.
    """
    init_default_scope(cfg.default_scope)
    people = DATASETS.build(cfg.test_dataloader.dataset)
    samples = pseudo_collate(list(islice((people[index] for index in range(len(people))), num_crops)))
    return model.data_preprocessor(samples)['inputs']


def check_onnx(model: nn.Module, run: Callable[[np.ndarray], np.ndarray], crops: Tensor) -> Difference:
    """Compares a graph with the model it was exported from, without flip test.

    Args:
        model (nn.Module): The model, in eval mode.
        run (Callable): From :func:`load_onnx`.
        crops (Tensor): Normalised crops, (N, 3, H, W).
    """
    with torch.no_grad():
        expected = model.head(model.backbone(crops))
    found = torch.from_numpy(np.array(run(crops.numpy())))
    pairs = zip(model.head.decode(expected), model.head.decode(found), strict=True)
    return Difference(
        heatmaps=float((found - expected).abs().max() / expected.abs().max()),
        keypoints=max(float(np.abs(theirs.keypoints - ours.keypoints).max()) for ours, theirs in pairs),
    )
