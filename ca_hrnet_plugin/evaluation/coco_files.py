"""COCO's JSON files, checked as they are read: what would end a run late, or falsify its figures, is told in one line.

MMPose, xtcocotools and COCOeval take much of it in silence: an id that is there twice loses one annotation, a NaN is
near every detection, people without a box are left out of training.
"""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from numbers import Real
from pathlib import Path

import numpy as np

# In pixels, or square pixels. Larger numbers are nobody's, and overflow in COCOeval.
LARGEST = 1e9


class InvalidFileError(ValueError):
    """A file does not hold what it should: its ``troubles`` are a line each, and its message is the first."""

    def __init__(self, troubles: list[str]):
        super().__init__(troubles[0])
        self.troubles = troubles


def and_more(rest) -> str:
    """What a line that tells the first of several ends with."""
    return f' (and {len(rest)} more like it)' if rest else ''


def read_json(path: str | Path, wanted: str):
    """What is in a JSON file.

    Raises:
        ValueError: It is not JSON; the message says that ``wanted`` is.
    """
    try:
        return json.loads(Path(path).read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not JSON ({error}): give {wanted}') from error


def read_annotations(
    path: str | Path,
    num_keypoints: int | None = None,
    needed: Collection[str] = ('images', 'annotations', 'categories'),
    of_images: Collection[str] = (),
    of_annotations: Collection[str] = (),
) -> dict:
    """COCO annotations, which hold what is asked for and nothing that is wrong.

    Args:
        path (str | Path): The file.
        num_keypoints (int, optional): How many keypoints each person has; by default they are not read.
        needed (Collection[str]): Which lists the file must have; the others of the three may be missing.
        of_images (Collection[str]): What each image must have besides its id.
        of_annotations (Collection[str]): What each annotation must have besides its ids. The rest may be missing, but
            not wrong.

    Raises:
        InvalidFileError: They do not; each line names the file and the first id.
        ImportError: pydantic is not installed.
    """
    fields = _coco_fields()
    adapter = fields.annotations_adapter(num_keypoints, needed, of_images, of_annotations)
    wanted = f'COCO annotations{"" if num_keypoints is None else f" of {num_keypoints} keypoints"}, in pixels'
    content = fields.read_checked(adapter, Path(path).read_bytes(), path, wanted)
    troubles = []
    for part in ('images', 'annotations', 'categories'):
        counts = Counter(record['id'] for record in content.setdefault(part, []))
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            trouble = f'{path}: {part} has id {twice[0]} twice{and_more(twice[1:])}'
            troubles.append(f'{trouble}: COCO takes the last for both, so give each its own')
    if troubles:
        raise InvalidFileError(troubles)
    return content


def read_detections(
    source: str | Path | Sequence[dict], content: dict, ann_file: str | Path, num_keypoints: int | None = None
) -> list[dict]:
    """A COCO result of the images of its annotations.

    Args:
        source (str | Path | Sequence[dict]): The file, or what is in it.
        content (dict): The annotations.
        ann_file (str | Path): Their file.
        num_keypoints (int, optional): How many keypoints each detection has; boxes alone by default.

    Raises:
        InvalidFileError: It is no such result, or of other images or keypoints.
        ImportError: pydantic is not installed.
    """
    fields = _coco_fields()
    wanted = 'COCO person detections' if num_keypoints is None else f'a COCO result of {num_keypoints} keypoints'
    if isinstance(source, str | Path):
        path, data = source, Path(source).read_bytes()
    else:
        path, data = 'results', json.dumps(list(source), default=lambda number: number.item()).encode()
    detections = fields.read_checked(fields.detections_adapter(num_keypoints), data, path, wanted)
    listed = {image['id'] for image in content['images']}
    strange = [one['image_id'] for one in detections if one['image_id'] not in listed]
    boxless = [index for index, one in enumerate(detections) if 'bbox' not in one]
    if strange:
        trouble = f'{path} is of another data set: its image {strange[0]} is not in {ann_file}{and_more(strange[1:])}'
        raise InvalidFileError([f'{trouble}; give the annotation file that it was made with'])
    if boxless and 'bbox' in detections[0]:  # by which xtcocotools takes all of them for boxes
        raise InvalidFileError([f'detection number {boxless[0]} of {path} has no bbox: give one to all or to none'])
    return detections


def needed_by_oks(use_area: bool, iou_type: str) -> set[str]:
    """What COCOeval needs of each annotation, with CocoMetric's arguments."""
    needed = dict(area=use_area, num_keypoints=iou_type == 'keypoints_crowd')
    return {'keypoints', 'bbox'} | {name for name, is_needed in needed.items() if is_needed}


def left_out(content: dict) -> tuple[Counter, list[dict]]:
    """Which annotations MMPose's top-down data sets leave out: how many for which reason, and those that stay."""
    images = {image['id']: image for image in content['images']}
    reasons, rest = Counter(), []
    for annotation in content['annotations']:
        if annotation['image_id'] not in images:
            reason = 'of images that are not listed'
        elif 'bbox' not in annotation or 'keypoints' not in annotation:
            reason = 'without bbox or keypoints'
        elif annotation.get('iscrowd'):
            reason = 'crowd regions'
        elif annotation.get('num_keypoints') == 0 or not _any_placed(annotation['keypoints']):
            reason = 'without a labelled keypoint'
        else:
            rest.append(annotation)
            continue
        reasons[reason] += 1
    # As MMPose clips boxes, and in its precision.
    boxes = np.array([annotation['bbox'] for annotation in rest], dtype=float).reshape(-1, 4)
    edges = np.array([(images[one['image_id']]['width'], images[one['image_id']]['height']) for one in rest])
    edges = edges.reshape(-1, 2) - 1
    start, end = (
        np.clip(corner, 0, edges).astype(np.float32) for corner in (boxes[:, :2], boxes[:, :2] + boxes[:, 2:])
    )
    inside = (end - start > 0).all(axis=1)
    if not inside.all():
        reasons['with an empty box or one outside the image'] = int((~inside).sum())
    return reasons, [annotation for annotation, is_inside in zip(rest, inside, strict=True) if is_inside]


def unreached(content: dict) -> Counter:
    """How many annotations COCOeval leaves out, being of images or categories that are not listed."""
    images, categories = ({record['id'] for record in content[part]} for part in ('images', 'categories'))
    reasons = Counter()
    for annotation in content['annotations']:
        if annotation['image_id'] not in images:
            reasons['of images that are not listed'] += 1
        elif annotation['category_id'] not in categories:
            reasons['of categories that are not listed'] += 1
    return reasons


def is_number(value) -> bool:
    """Whether it is a number that a picture can have: no NaN, infinity or giant."""
    return isinstance(value, Real) and -LARGEST <= value <= LARGEST


def _coco_fields():
    try:
        from . import coco_fields
    except ImportError as error:
        extra = "COCO files are checked with pydantic, an extra of this plugin: pip install 'pydantic>=2.8'"
        raise ImportError(f'{extra} ({error})') from error
    return coco_fields


def _any_placed(keypoints: list) -> bool:
    return max(keypoints[0::3] + keypoints[1::3], default=0) > 0
