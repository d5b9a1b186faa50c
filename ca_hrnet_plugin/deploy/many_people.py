"""Predicts the poses of people from many images in batches."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from mmpose.structures import PoseDataSample
from torch import nn

from ..evaluation.people import pipeline_of_test

DTYPES = ('uint8', 'uint16', 'int16', 'float32', 'float64')  # that OpenCV warps


def predict_people(
    model: nn.Module, people: Iterable[tuple[np.ndarray | str | Path, Sequence[float]]], batch_size: int = 32
) -> Iterator[PoseDataSample]:
    """Predicts poses as MMPose's ``inference_topdown`` does, but for people of many images.

    Args:
        model (nn.Module): A top-down model from MMPose's ``init_model``.
        people (Iterable): For each person the image, a file or an array (height, width, 3) as OpenCV reads it, and the
            box [left, top, right, bottom] in pixels of the image. People are read one batch at a time.
        batch_size (int): How many people the network sees at once.

    Yields:
        PoseDataSample: For each person in turn, with ``pred_instances`` as from ``inference_topdown``.

    Raises:
        ValueError: An image is neither a file nor an array of three channels that OpenCV can warp, a box does not have
            four numbers or has no area, or the batch size is not positive.
    """
    if batch_size < 1:
        raise ValueError(f'batch_size={batch_size} of predict_people: give 1 or more')
    pipeline = Compose(pipeline_of_test(model.cfg))
    people = enumerate(people)
    while batch := list(islice(people, batch_size)):
        with DefaultScope.overwrite_default_scope(model.cfg.get('default_scope', 'mmpose')), torch.no_grad():
            crops = [pipeline({**_person(number, *person), **model.dataset_meta}) for number, person in batch]
            samples = model.test_step(pseudo_collate(crops))
        yield from samples


def _person(number: int, image: np.ndarray | str | Path, box: Sequence[float]) -> dict:
    if problem := _problem(image):
        raise ValueError(
            f'the image of person {number} (from 0) is {problem}: give an array (height, width, 3) or a file'
        )
    box = np.asarray(box, np.float32)
    if box.shape != (4,) or not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        raise ValueError(f'box {box.tolist()} of person {number} (from 0): give [left, top, right, bottom], in pixels')
    source = dict(img=image) if isinstance(image, np.ndarray) else dict(img_path=str(image))
    return source | dict(bbox=box[None], bbox_score=np.ones(1, np.float32))


def _problem(image) -> str | None:
    if image is None:
        return 'None, as OpenCV returns for a file that it cannot read'
    if not isinstance(image, np.ndarray | str | PathLike):
        return f'a {type(image).__name__}'
    if not isinstance(image, np.ndarray):
        return None
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        return f'of shape {image.shape}'
    return None if image.dtype in DTYPES else f'of type {image.dtype}, which OpenCV cannot warp'
