"""Checks whether an exported graph agrees with the PyTorch model."""

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData
from mmpose.registry import DATASETS
from torch import Tensor, nn

from ..evaluation.people import dataset_of
from .onnx_graph import input_preprocessor
from .simcc import decode_simcc


class Difference(NamedTuple):
    """The difference between the outputs of a graph and those of the model.

    Attributes:
        heatmaps (float): The largest difference of heatmaps, relative to their largest value; of scores, if the graph
            decodes.
        keypoints (np.ndarray): The difference of each keypoint, in pixels of the crop, (N, K).
    """

    heatmaps: float
    keypoints: np.ndarray

    @property
    def typical_keypoint(self) -> float:
        """The 95th percentile of keypoints, because a keypoint may jump between two equal peaks of its heatmap."""
        return float(np.quantile(self.keypoints, 0.95))

    @property
    def is_small(self) -> bool:
        """Whether rounding explains the difference: 0.001 of heatmaps, and 0.01 pixels for 95 of 100 keypoints."""
        return self.heatmaps <= 1e-3 and self.typical_keypoint <= 0.01


def read_crops(model: nn.Module, num_crops: int, input_form: str = 'pixels') -> tuple[Tensor, Tensor]:
    """Reads the first people of the test data.

    Args:
        model (nn.Module): From MMPose's ``init_model``, with its config as ``cfg``.
        num_crops (int): The number of crops. With fewer people, they are repeated.
        input_form (str): The form of the input of a graph, as in :func:`~ca_hrnet_plugin.deploy.export_onnx`.

    Returns:
        tuple[Tensor, Tensor]: Their crops in that form, and normalised as the network sees them, (N, 3, H, W).

    Raises:
        FileNotFoundError, AssertionError: The data is missing; raised by MMPose.
        ValueError: The data has no people, or ``num_crops`` is not positive.
    """
    if num_crops < 1:
        raise ValueError(f'num_crops={num_crops} of read_crops: give 1 or more')
    people = DATASETS.build(dataset_of(model.cfg, 'test'))
    if not len(people):
        raise ValueError(f'the test data ({people.ann_file}) has no people: give annotations of people')
    samples = pseudo_collate([people[index % len(people)] for index in range(num_crops)])
    return input_preprocessor(model, input_form)(samples)['inputs'], model.data_preprocessor(samples)['inputs']


def check_onnx(
    model: nn.Module, run: Callable[[np.ndarray], np.ndarray], crops: Tensor, inputs: Tensor | None = None
) -> Difference:
    """Compares a graph with the model it was exported from, without flip test.

    Args:
        model (nn.Module): The model, in eval mode.
        run (Callable): From :func:`load_onnx`.
        crops (Tensor): Normalised crops, (N, 3, H, W).
        inputs (Tensor, optional): The same crops in the form that the graph takes, if it is another.
    """
    with torch.no_grad():
        expected = model.head(model.backbone(crops))
    outputs = run((crops if inputs is None else inputs).numpy())
    poses = model.head.decode(expected)
    keypoints = np.concatenate([pose.keypoints for pose in poses])
    if isinstance(outputs, tuple):
        graph_keypoints, values = decode_simcc(outputs)
        expected = np.concatenate([pose.keypoint_scores for pose in poses])
        missing = (expected <= 0) & (values <= 0)  # without a peak, the two decoders return different places
        graph_keypoints[missing] = keypoints[missing]
        expected = expected.clip(min=0)
    else:
        values, expected = np.array(outputs), expected.numpy()
        graph_keypoints = np.concatenate([pose.keypoints for pose in model.head.decode(torch.from_numpy(values))])
    return Difference(
        heatmaps=float(np.abs(values - expected).max() / np.abs(expected).max()),
        keypoints=np.abs(graph_keypoints - keypoints).max(axis=-1),
    )


def with_graph(
    model: nn.Module, run: Callable[[np.ndarray], np.ndarray], input_form: str, batch_size: int | None = None
) -> nn.Module:
    """Makes a copy of a model that predicts by a graph, without flip test.

    Args:
        model (nn.Module): The model that the graph was exported from. It is not changed.
        run (Callable): From :func:`load_onnx`.
        input_form (str): The form of the graph's input, as in :func:`~ca_hrnet_plugin.deploy.export_onnx`.
        batch_size (int, optional): The number of crops that the graph takes; any number by default.
    """

    def outputs_of(crops: Tensor) -> Tensor | tuple[np.ndarray, np.ndarray]:
        size = batch_size or len(crops)
        num_batches = -(-len(crops) // size)
        indices = np.resize(np.arange(len(crops)), (num_batches, size))  # the last batch is filled with the first crops
        outputs = [run(crops[batch].numpy()) for batch in indices]
        if isinstance(outputs[0], tuple):
            return tuple(np.concatenate(vectors)[: len(crops)] for vectors in zip(*outputs, strict=True))
        return torch.from_numpy(np.concatenate(outputs)[: len(crops)])

    def decode(outputs: Tensor | tuple[np.ndarray, np.ndarray]) -> list[InstanceData]:
        if not isinstance(outputs, tuple):
            return decode_heatmaps(outputs)
        poses = zip(*decode_simcc(outputs), strict=True)
        return [InstanceData(keypoints=places[None], keypoint_scores=scores[None]) for places, scores in poses]

    preprocessor = input_preprocessor(model, input_form)
    model = copy.deepcopy(model).cpu()
    decode_heatmaps = model.head.decode
    model.data_preprocessor, model.backbone = copy.deepcopy(preprocessor).cpu(), nn.Identity()
    model.head.forward, model.head.decode = outputs_of, decode
    model.test_cfg['flip_test'] = False
    return model
