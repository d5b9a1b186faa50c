"""Whether an exported graph still says what the PyTorch model says."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS
from torch import Tensor, nn

from .simcc import decode_simcc


class Difference(NamedTuple):
    """What a graph says otherwise than the model.

    Attributes:
        heatmaps (float): The largest difference, relative to the largest value. Of a graph that decodes, of the scores.
        keypoints (np.ndarray): Of each keypoint, in pixels of the crop, (N, K).
    """

    heatmaps: float
    keypoints: np.ndarray

    @property
    def typical_keypoint(self) -> float:
        """What 95 of 100 keypoints differ by at most: where two places of a heatmap are as good, others may differ."""
        return float(np.quantile(self.keypoints, 0.95))

    @property
    def is_small(self) -> bool:
        """Whether it is what rounding does: 0.001 of the heatmaps, and 0.01 pixels for 95 of 100 keypoints."""
        return self.heatmaps <= 1e-3 and self.typical_keypoint <= 0.01


def read_crops(model: nn.Module, num_crops: int) -> tuple[Tensor, Tensor]:
    """Reads the first people of the test data.

    Args:
        model (nn.Module): From MMPose's ``init_model``, with its config as ``cfg``.
        num_crops (int): How many crops: where there are fewer people, they come again.

    Returns:
        tuple[Tensor, Tensor]: Their crops in BGR pixels, and normalised as the network sees them, (N, 3, H, W).

    Raises:
        FileNotFoundError, AssertionError: The data is not there, as MMPose says it.
        ValueError: There is no person in it, or none is asked for.
    """
    if num_crops < 1:
        raise ValueError(f'num_crops={num_crops} of read_crops: give 1 or more')
    people = DATASETS.build(model.cfg.test_dataloader.dataset)
    if not len(people):
        raise ValueError('the test data has no person')
    samples = pseudo_collate([people[index % len(people)] for index in range(num_crops)])
    pixels = torch.stack(samples['inputs']).float()
    return pixels, model.data_preprocessor(samples)['inputs']


def check_onnx(
    model: nn.Module, run: Callable[[np.ndarray], np.ndarray], crops: Tensor, inputs: Tensor | None = None
) -> Difference:
    """Compares a graph with the model it was exported from, without flip test.

    Args:
        model (nn.Module): The model, in eval mode.
        run (Callable): From :func:`load_onnx`.
        crops (Tensor): Normalised crops, (N, 3, H, W).
        inputs (Tensor, optional): The same crops as the graph takes them, if it takes pixels.
    """
    with torch.no_grad():
        expected = model.head(model.backbone(crops))
    outputs = run((crops if inputs is None else inputs).numpy())
    poses = model.head.decode(expected)
    keypoints = np.concatenate([pose.keypoints for pose in poses])
    if isinstance(outputs, tuple):
        found_keypoints, found = decode_simcc(outputs)
        expected = np.concatenate([pose.keypoint_scores for pose in poses])
        nowhere = (expected <= 0) & (found <= 0)  # each decoder has a place of its own for a joint that has none
        found_keypoints[nowhere] = keypoints[nowhere]
        expected = expected.clip(min=0)
    else:
        found, expected = np.array(outputs), expected.numpy()
        found_keypoints = np.concatenate([pose.keypoints for pose in model.head.decode(torch.from_numpy(found))])
    return Difference(
        heatmaps=float(np.abs(found - expected).max() / np.abs(expected).max()),
        keypoints=np.abs(found_keypoints - keypoints).max(axis=-1),
    )
