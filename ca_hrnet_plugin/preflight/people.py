"""Checks for keypoint descriptions and annotation values that make no sense but that MMPose accepts silently."""

import re
from collections.abc import Iterator, Sequence
from reprlib import repr as short

import numpy as np

from ..evaluation.evaluators import type_name
from ..messages import and_more

SMALLEST = 1  # of a box's sides in pixels, and of an area in square pixels
BOXES = 'give [left, top, width, height] in pixels'
SIDES = {'left': 'right', 'l': 'r'}


def keypoint_problems(metainfo: dict, key: str, content: dict, path: str, flips: bool, has_oks: bool) -> Iterator[str]:
    """Yields problems with a data set's description of its keypoints, including conflicts with the names in a file.

    Args:
        metainfo (dict): MMPose's parsed metainfo of the data set.
        key (str): The data set's loader in the config.
        content (dict): What the annotation file holds.
        path (str): The annotation file.
        flips (bool): Whether images are flipped to train or to test.
        has_oks (bool): Whether people of the file are evaluated by OKS, which needs sigmas.
    """
    num_keypoints, names = metainfo['num_keypoints'], list(metainfo['keypoint_id2name'].values())
    owner, keys = f'metainfo of {key}', list(metainfo['keypoint_id2name'])
    if keys != list(range(num_keypoints)):
        yield f'{owner} has keypoint_info of keys {short(keys)}: number the keypoints 0, 1, 2 and so on, in this order'
        return
    for attribute, name in dict(sigmas='sigmas', dataset_keypoint_weights='joint_weights').items():
        number = np.size(metainfo.get(attribute, names))
        if number != num_keypoints and (number or (name == 'sigmas' and has_oks)):
            yield f'{owner} has {number} {name} for {num_keypoints} keypoints: give one for each'
    wrong = [sigma for sigma in np.ravel(metainfo.get('sigmas', ())) if sigma <= 0 or sigma > 1]
    if wrong:
        yield f'{owner} has a sigma of {wrong[0]:g}: OKS divides by it, so give each over 0 and at most 1, such as 0.05'
    flipped, spelt = metainfo['flip_indices'], [str(name).lower() for name in names]
    mirrored = [re.sub('left|(?<![a-z])l(?![a-z])', lambda side: SIDES[side[0]], name) for name in spelt]
    for index, name in enumerate(mirrored if flips else ()):
        if name != spelt[index] and name in spelt and flipped[index] == index:
            yield (
                f'{owner} has no swap for {names[index]} and {names[spelt.index(name)]}, and flipped images exchange '
                'them: give swap to both'
            )
            break
    for index, other in enumerate(flipped):
        if flipped[other] != index:
            yield (
                f'swap in {owner} leads from {names[index]} to {names[other]} and not back, so the flip test adds a '
                'false peak: give both'
            )
            break
    used = {annotation['category_id'] for annotation in content['annotations']}
    for category in content['categories']:
        in_file = category.get('keypoints') if category['id'] in used else None
        if not isinstance(in_file, list) or not in_file:
            continue
        if len(in_file) != num_keypoints:
            yield f'{path} lists {len(in_file)} keypoints, and {owner} has {num_keypoints}: describe the same ones'
            continue
        ours, theirs = [_plain(name) for name in names], [_plain(name) for name in in_file]
        if ours != theirs and sorted(ours) == sorted(theirs):
            wrong = next(index for index in range(num_keypoints) if ours[index] != theirs[index])
            yield f'keypoint {wrong} is {in_file[wrong]} in {path} and {names[wrong]} in {owner}: use one order'


def _plain(name) -> str:
    """A keypoint's name however it is spelt: left_hand, Left Hand, left-hand."""
    return re.sub(r'[^a-z0-9]', '', str(name).lower())


def head_problems(model: dict | None, dataset_keypoints: int, pipeline: Sequence[dict], key: str) -> Iterator[str]:
    """Yields a problem if the head of a model has a different number of keypoints from what a data set gives."""
    model = model or {}
    # A network of several data sets gives some of its keypoints, and UDP may have offsets beside heatmaps.
    chooses = 'output_keypoint_indices' in (model.get('test_cfg') or {})
    head = model.get('head') or {}
    # Of regression heads, of bottom-up heads, and of the others.
    name = next((name for name in ('num_joints', 'num_keypoints') if name in head), 'out_channels')
    number = head.get(name)
    is_known = type_name(model) in ('TopdownPoseEstimator', 'BottomupPoseEstimator') and isinstance(number, int)
    if chooses or not is_known:
        return
    converters = [transform for transform in pipeline if type_name(transform) == 'KeypointConverter']
    num_keypoints = converters[-1].get('num_keypoints') if converters else dataset_keypoints
    if number not in (num_keypoints, 3 * num_keypoints):
        giver = f'KeypointConverter of {key} gives' if converters else f'{key} has'
        yield f'model.head.{name}={number}, and {giver} {num_keypoints} keypoints: give the head as many'


def annotation_problems(annotations: list[dict], content: dict, path: str) -> Iterator[str]:
    """Yields a line for each kind of number that makes no sense.

    Args:
        annotations (list[dict]): The annotations that are used, with keypoints and boxes.
        content (dict): What their file holds.
        path (str): Their file.
    """
    if not annotations:
        return
    joints = np.array([annotation['keypoints'] for annotation in annotations], float).reshape(len(annotations), -1, 3)
    points, v = joints[..., :2], joints[..., 2]
    boxes, sizes = _boxes(annotations, content)
    kinds = {
        'a negative v': ('give 0, 1 or 2', v.min(1) < 0),
        'keypoints but no v over 0': ('give v of 1 or 2 to labelled keypoints', v.max(1) <= 0),
        'a box of less than a pixel': (BOXES, boxes[:, 2:].min(1) < SMALLEST),
        "all keypoints between 0 and 1, as in YOLO's files": (
            'give pixels',
            (points.max((1, 2)) <= 1) & (points % 1 != 0).any((1, 2)),
        ),
    }
    lines = []
    for kind, (hint, is_wrong) in kinds.items():
        lines += _line([annotations[index]['id'] for index in np.flatnonzero(is_wrong)], path, kind, hint)
    if _are_outside(points, v, np.zeros_like(sizes), sizes):
        lines.append(
            f'most people of {path} have most keypoints outside their image: give pixels of images of the given size'
        )
    lines += _edges(boxes, sizes, path)
    if not lines and _are_outside(points, v, boxes[:, :2], boxes[:, :2] + boxes[:, 2:]):
        lines.append(
            f'most people of {path} have most keypoints outside their box, as where boxes are [centre x, centre y, '
            f'width, height]: {BOXES}'
        )
    yield from lines


def _are_outside(points: np.ndarray, v: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
    """Whether most people have most labelled keypoints outside an area of their own from start to end."""
    outside = ((points < start[:, None]) | (points > end[:, None])).any(2) & (v > 0)
    return np.mean(outside.sum(1) > (v > 0).sum(1) / 2) > 0.5


def area_problems(annotations: list[dict], path: str) -> Iterator[str]:
    """Yields a problem if evaluated annotations have an area, by which OKS divides, that makes no sense."""
    ids = [annotation['id'] for annotation in annotations if annotation.get('area', np.inf) <= SMALLEST]
    hint = 'give square pixels, such as half of the box, or use_area=False for OKS'
    yield from _line(ids, path, f'an area of at most {SMALLEST}', hint)


def detection_problems(detections: list[dict], content: dict, path: str) -> Iterator[str]:
    """Yields problems with the boxes of one or more detections on the images of an annotation file."""
    boxes, sizes = _boxes(detections, content)
    if (boxes[:, 2:] < 0).any():
        yield f'{path} has boxes of negative width or height: {BOXES}'
    elif np.median(boxes[:, 2:].min(1)) < SMALLEST:
        yield f'most boxes of {path} are smaller than a pixel: {BOXES}'
    yield from _edges(boxes, sizes, path)


def _edges(boxes: np.ndarray, sizes: np.ndarray, path: str) -> Iterator[str]:
    """Yields a problem if most boxes (N, 4), in images of widths and heights (N, 2), seem to hold edges, not sizes."""
    could_be_edges = ((boxes[:, 2:] > boxes[:, :2]) & (boxes[:, 2:] <= 1.02 * sizes)).all(1)
    leads_out = (boxes[:, :2] + boxes[:, 2:] > 1.02 * sizes).any(1)
    if leads_out.mean() > 0.5 and could_be_edges.mean() > 0.95:
        yield f'most boxes of {path} extend beyond their image, as [left, top, right, bottom] would: {BOXES}'


def _boxes(records: list[dict], content: dict) -> tuple[np.ndarray, np.ndarray]:
    """The boxes of records, (N, 4), and the widths and heights of their images, (N, 2)."""
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    boxes = np.array([record['bbox'][:4] for record in records], float)
    return boxes, np.array([sizes[record['image_id']] for record in records], float)


def _line(ids: list[int], path: str, kind: str, hint: str) -> Iterator[str]:
    if ids:
        yield f'annotation {ids[0]} of {path} has {kind}{and_more(ids[1:])}: {hint}'
