"""Descriptions of keypoints and numbers of annotations that MMPose takes in silence, and that make no sense."""

import re
from collections.abc import Iterator

import numpy as np

from ..messages import and_more

SMALLEST = 1  # of a box's sides in pixels, and of an area in square pixels


def keypoint_problems(metainfo: dict, content: dict, path: str) -> Iterator[str]:
    """Yields what is wrong with a data set's description of its keypoints, also beside the names in a file.

    Args:
        metainfo (dict): MMPose's parsed metainfo of the data set.
        content (dict): What the annotation file holds.
        path (str): The annotation file.
    """
    num_keypoints, names = metainfo['num_keypoints'], list(metainfo['keypoint_id2name'].values())
    for key, name in dict(sigmas='sigmas', dataset_keypoint_weights='joint_weights').items():
        if len(metainfo.get(key, names)) not in (0, num_keypoints):  # without OKS, data sets need none
            yield f'metainfo has {len(metainfo[key])} {name} for {num_keypoints} keypoints: give one for each'
    flipped = metainfo['flip_indices']
    for index, other in enumerate(flipped):
        if flipped[other] != index:
            yield (
                f'swap in metainfo leads from {names[index]} to {names[other]} and not back, so the flip test adds a '
                'false peak: give both'
            )
            break
    used = {annotation['category_id'] for annotation in content['annotations']}
    for category in content['categories']:
        in_file = category.get('keypoints') if category['id'] in used else None
        if not isinstance(in_file, list) or not in_file:
            continue
        if len(in_file) != num_keypoints:
            yield f'{path} lists {len(in_file)} keypoints, and metainfo has {num_keypoints}: describe the same ones'
            continue
        ours, theirs = [_plain(name) for name in names], [_plain(name) for name in in_file]
        if ours != theirs and sorted(ours) == sorted(theirs):
            wrong = next(index for index in range(num_keypoints) if ours[index] != theirs[index])
            yield f'keypoint {wrong} is {in_file[wrong]} in {path} and {names[wrong]} in metainfo: use one order'


def _plain(name) -> str:
    """A keypoint's name however it is spelt: left_hand, Left Hand, left-hand."""
    return re.sub(r'[^a-z0-9]', '', str(name).lower())


def head_problems(model: dict | None, metainfo: dict, key: str) -> Iterator[str]:
    """Yields whether the head of a top-down model has another number of keypoints than its data set."""
    model = model or {}
    kind, num_keypoints = model.get('type'), metainfo['num_keypoints']
    is_topdown = getattr(kind, '__name__', str(kind)).rpartition('.')[2] == 'TopdownPoseEstimator'
    # A network of several data sets gives some of its keypoints, and UDP may have offsets beside heatmaps.
    chooses = 'output_keypoint_indices' in (model.get('test_cfg') or {})
    out_channels = (model.get('head') or {}).get('out_channels')
    if not is_topdown or chooses or not isinstance(out_channels, int):
        return
    if out_channels not in (num_keypoints, 3 * num_keypoints):
        yield f'model.head.out_channels={out_channels}, and {key} has {num_keypoints} keypoints: give the head as many'


def annotation_problems(annotations: list[dict], path: str, use_area: bool) -> Iterator[str]:
    """Yields a line for each kind of number that makes no sense.

    Args:
        annotations (list[dict]): The annotations that are used, with keypoints and boxes.
        path (str): Their file.
        use_area (bool): Whether an evaluator divides by areas.
    """
    kinds = {
        'a negative v': ('give 0, 1 or 2', lambda person: min(person['keypoints'][2::3]) < 0),
        'keypoints but no v over 0': (
            'give v of 1 or 2 to labelled keypoints',
            lambda person: max(person['keypoints'][2::3]) <= 0,
        ),
        'a box of less than a pixel': (
            'give left, top, width and height in pixels',
            lambda person: min(person['bbox'][2:]) < SMALLEST,
        ),
    }
    if use_area:
        kinds[f'an area of at most {SMALLEST}'] = (
            'give square pixels, such as half of the box, or use_area=False for OKS',
            lambda person: person.get('area', np.inf) <= SMALLEST,
        )
    for kind, (hint, is_wrong) in kinds.items():
        ids = [person['id'] for person in annotations if is_wrong(person)]
        if ids:
            yield f'annotation {ids[0]} of {path} has {kind}{and_more(ids[1:])}: {hint}'
    coordinates = [max(person['keypoints'][0::3] + person['keypoints'][1::3]) for person in annotations]
    if coordinates and max(coordinates) <= 1:
        yield f'{path} has all keypoints between 0 and 1, as YOLO writes them: give pixels'
