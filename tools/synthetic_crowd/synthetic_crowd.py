"""Writes the synthetic crowd as a folder in COCO 2017's layout."""

import json
import multiprocessing
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from ca_hrnet_plugin.evaluation import crowd_index
from ca_hrnet_plugin.evaluation.coco_files import read_annotations, read_json

from .coco_format import CATEGORY, annotations, detections
from .scene import SceneOptions, draw_scene

DETECTIONS_FILE = 'person_detection_results/val2017_drawn_boxes.json'
# A link to DETECTIONS_FILE, for configs of COCO.
STOCK_DETECTIONS_FILE = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'
_SPLITS = ('train2017', 'val2017')
_FIRST_IMAGE_ID = (1, 1_000_001)  # of each split
_JPEG_QUALITY = 92
_ARGUMENTS_FILE = 'synthetic_crowd.json'  # written first, to identify the folder's content
_CHUNK = 8  # images that a worker takes at a time


def make_synthetic_crowd(
    out_dir: str | Path,
    num_train: int = 2000,
    num_val: int = 300,
    seed: int = 0,
    num_workers: int | None = None,
    progress: bool = True,
    **options,
) -> dict[str, dict[str, float]]:
    """Draws crowds and writes them as MMPose's COCO configs read them.

    The folder holds ``train2017/``, ``val2017/``, ``annotations/person_keypoints_{train,val}2017.json`` and the person
    detections of val2017. The same arguments give the same bytes, whatever ``num_workers`` is. A complete folder is
    left unchanged; the folder of an interrupted run is completed.

    Args:
        out_dir (str | Path): The folder, such as ``data/coco``.
        num_train (int): Images in train2017.
        num_val (int): Images in val2017.
        seed (int): Another seed gives another crowd.
        num_workers (int, optional): Processes that draw; one per processor by default.
        progress (bool): Whether to show a progress bar.
        **options: As in ``SceneOptions``.

    Returns:
        dict[str, dict[str, float]]: For each split, the number of images, people and labelled keypoints, the share of
        hidden keypoints, and the mean crowd index of images of two or more people.

    Raises:
        ValueError: An argument is out of its range.
        FileExistsError: The folder holds something else.
    """
    options = SceneOptions(**options)
    num_images = (num_train, num_val)
    for split, num in zip(_SPLITS, num_images, strict=True):
        if not 1 <= num < 1_000_000:
            raise ValueError(f'{num} images for {split}: give 1 to 999999')
    if seed < 0:
        raise ValueError(f'seed={seed}: give 0 or more')
    if num_workers is not None and num_workers < 1:
        raise ValueError(f'num_workers={num_workers}: give 1 or more')

    out_dir = Path(out_dir)
    _claim(out_dir, dict(num_train=num_train, num_val=num_val, seed=seed, **asdict(options)))
    annotation_files = [out_dir / f'annotations/person_keypoints_{split}.json' for split in _SPLITS]
    if not all(file.exists() for file in (out_dir / DETECTIONS_FILE, *annotation_files)):
        drawn = [[], []]
        for split, image in _drawn(out_dir, num_images, seed, options, num_workers, progress):
            drawn[split].append(image)
        # Written at the end, so that existing files are complete.
        _write_json(out_dir / DETECTIONS_FILE, [box for image in drawn[1] for box in image.detections])
        link = out_dir / STOCK_DETECTIONS_FILE
        link.unlink(missing_ok=True)
        link.symlink_to(Path(DETECTIONS_FILE).name)
        for file, images in zip(annotation_files, drawn, strict=True):
            _write_json(file, _annotation_file(images))
    return {split: _summary(file) for split, file in zip(_SPLITS, annotation_files, strict=True)}


def _claim(out_dir: Path, arguments: dict) -> None:
    """Prepares the folder for this crowd, unless it holds something else."""
    file = out_dir / _ARGUMENTS_FILE
    text = json.dumps(arguments, indent=1)
    if file.exists():
        made_with = read_json(file, 'another folder')
        if not isinstance(made_with, dict):
            raise ValueError(f'{file} does not say what the folder holds: take another folder')
        for name, value in json.loads(text).items():
            if (existing := made_with.get(name)) != value:
                raise FileExistsError(
                    f'{out_dir} holds a crowd with {name}={existing!r}, not {value!r}: take another folder'
                )
    elif out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise FileExistsError(f'{out_dir} exists and is not a synthetic crowd: take a new or empty folder')
    else:
        out_dir.mkdir(parents=True, exist_ok=True)
        _write_text(file, text)
    for folder in (*_SPLITS, 'annotations', Path(DETECTIONS_FILE).parent):
        (out_dir / folder).mkdir(parents=True, exist_ok=True)


class _Drawn(NamedTuple):
    image: dict
    annotations: list[dict]
    detections: list[dict]


def _drawn(
    out_dir: Path,
    num_images: tuple[int, int],
    seed: int,
    options: SceneOptions,
    num_workers: int | None,
    progress: bool,
) -> Iterator[tuple[int, _Drawn]]:
    """Draws all images in worker processes; yields split and annotations, in order."""
    tasks = [(split, index) for split, num in enumerate(num_images) for index in range(num)]
    # Forked workers need not import torch and MMPose again, which takes longer than drawing a thousand images.
    method = 'fork' if 'fork' in multiprocessing.get_all_start_methods() else None
    context = multiprocessing.get_context(method)
    draw = partial(_draw_image, out_dir, seed, options)
    with ProcessPoolExecutor(num_workers or os.cpu_count(), context, _start_worker) as pool:
        try:
            results = pool.map(draw, tasks, chunksize=_CHUNK)
            seconds = 0.1 if sys.stderr.isatty() else 60
            results = tqdm(results, 'drawing', len(tasks), unit='image', mininterval=seconds, disable=not progress)
            for task, image in zip(tasks, results, strict=True):
                yield task[0], image
        finally:
            pool.shutdown(cancel_futures=True)  # or an interrupted run would first draw the rest


def _start_worker() -> None:
    cv2.setNumThreads(0)  # the processes already use all processors
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends them


def _draw_image(out_dir: Path, seed: int, options: SceneOptions, task: tuple[int, int]) -> _Drawn:
    split, index = task
    rng = np.random.default_rng([seed, split, index])
    scene = draw_scene(rng, options)
    image_id = _FIRST_IMAGE_ID[split] + index
    name = f'{image_id:012d}.jpg'
    jpeg = cv2.imencode('.jpg', scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
    (out_dir / _SPLITS[split] / name).write_bytes(jpeg)
    truth = annotations(scene, image_id, options.min_area)
    width, height = options.image_size
    image = dict(id=image_id, file_name=name, width=width, height=height, crowdIndex=round(crowd_index(truth), 2))
    return _Drawn(image, truth, detections(rng, truth, image_id, options.image_size) if split == 1 else [])


def _annotation_file(images: list[_Drawn]) -> dict:
    return dict(
        info=dict(description='Synthetic crowd: images, keypoints and boxes are drawn, detections too'),
        licenses=[],
        images=[image.image for image in images],
        annotations=[annotation for image in images for annotation in image.annotations],
        categories=[CATEGORY],
    )


def _write_json(file: Path, content) -> None:
    _write_text(file, json.dumps(content, separators=(',', ':')))


def _write_text(file: Path, text: str) -> None:
    temporary = file.with_suffix('.part')
    temporary.write_text(text)
    temporary.replace(file)


def _summary(annotation_file: Path) -> dict[str, float]:
    num_keypoints = len(CATEGORY['keypoints'])
    content = read_annotations(annotation_file, num_keypoints, of_images=['crowdIndex'], of_annotations=['keypoints'])
    people = content['annotations']
    visibility = np.array([person['keypoints'][2::3] for person in people])
    company = Counter(person['image_id'] for person in people)
    crowd_indices = [image['crowdIndex'] for image in content['images'] if company[image['id']] > 1]
    return dict(
        images=len(content['images']),
        people=len(people),
        keypoints=int((visibility > 0).sum()),
        hidden=float((visibility == 1).sum() / max(1, (visibility > 0).sum())),
        crowd_index=float(np.mean(crowd_indices)) if crowd_indices else 0.0,
    )
