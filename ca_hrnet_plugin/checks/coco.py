"""COCO's JSON files, checked as they are read: what would end a run late, or falsify its figures, is told in one line.

MMPose, xtcocotools and COCOeval take much of it in silence: an id that is there twice loses one annotation, a NaN is
near every detection, people without a box are left out of training.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from reprlib import repr as short

import numpy as np

# In pixels, or square pixels. Larger numbers are nobody's, and overflow in COCOeval.
LARGEST = 1e9


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
        num_keypoints (int, optional): How many keypoints each person has; any number by default.
        needed (Collection[str]): Which lists the file must have; the others of the three may be missing.
        of_images (Collection[str]): What each image must have besides its id.
        of_annotations (Collection[str]): What each annotation must have besides its ids. The rest may be missing, but
            not wrong.

    Raises:
        ValueError: It does not; the message names the file and the first id.
    """
    content = read_json(path, 'COCO annotations')
    lacking = set(needed) - set(content if isinstance(content, dict) else ())
    if lacking or not isinstance(content, dict):
        raise ValueError(f'{path} holds no COCO annotations (no {", ".join(sorted(lacking))})')
    for part in ('images', 'annotations', 'categories'):
        _check_ids(content.setdefault(part, []), part, path)
    for image in content['images']:
        for key in of_images:
            if not _is_image_field(key, image.get(key)):
                raise ValueError(f'image {image["id"]} of {path} has {key} {short(image.get(key))}')
    for annotation in content['annotations']:
        trouble = _trouble_with_ids(annotation) or annotation_trouble(annotation, num_keypoints, of_annotations)
        if trouble:
            raise ValueError(f'annotation {annotation["id"]} of {path} {trouble}')
    return content


def annotation_trouble(
    annotation: Mapping, num_keypoints: int | None = None, needed: Collection[str] = ()
) -> str | None:
    """Says what is wrong in an annotation, ids apart; None where nothing is.

    Args:
        annotation (Mapping): Of COCO.
        num_keypoints (int, optional): How many keypoints it has; any number by default.
        needed (Collection[str]): What must not be missing.
    """
    if 'keypoints' in annotation or 'keypoints' in needed:
        keypoints = annotation.get('keypoints', [])
        if not isinstance(keypoints, list | tuple) or len(keypoints) % 3:
            return f'has keypoints {short(keypoints)}: give x, y and v of each'
        if not are_numbers(keypoints):
            faulty = next(value for value in keypoints if not is_number(value))
            return f'has {short(faulty)} among its keypoints: give x, y and v of each, in pixels'
        if num_keypoints is not None and len(keypoints) != 3 * num_keypoints:
            return (
                f'has {len(keypoints) // 3} keypoints, for {num_keypoints} sigmas: '
                'give keypoint annotations, and the sigmas of their data set'
            )
    if 'bbox' in annotation or 'bbox' in needed:
        bbox = annotation.get('bbox')
        if not is_box(bbox):
            return f'has bbox {short(bbox)}: give left, top, width and height in pixels'
    for key in ('area', 'num_keypoints'):
        if key not in annotation and key in needed:
            return f'has no {key}' + (': give use_area=False' if key == 'area' else '')
        if key in annotation and not is_number(annotation[key]):
            return f'has {key} {short(annotation[key])}'
    if annotation.get('iscrowd', 0) not in (0, 1):
        return f'has iscrowd {short(annotation["iscrowd"])}: give 0 or 1'
    return None


def check_detections(
    detections, name: str | Path, content: dict, ann_file: str | Path, num_keypoints: int | None = None
) -> None:
    """Checks a COCO result file against its annotations.

    Args:
        detections: What is in the file.
        name (str | Path): The file.
        content (dict): The annotations.
        ann_file (str | Path): Their file.
        num_keypoints (int, optional): How many keypoints each detection has; boxes alone by default.

    Raises:
        ValueError: It is no such result, or of other images or keypoints.
    """
    kind = 'COCO person detections' if num_keypoints is None else 'a COCO keypoint result'
    wanted = 'bbox' if num_keypoints is None else 'keypoints'
    if not isinstance(detections, list) or not detections:
        raise ValueError(f'{name} holds no detections: give {kind}, a list of dicts')
    image_ids = {image['id'] for image in content['images']}
    with_boxes = isinstance(detections[0], dict) and 'bbox' in detections[0]
    for index, detection in enumerate(detections):
        lacking = {'image_id', 'category_id', wanted, 'score'} - set(detection if isinstance(detection, dict) else ())
        if lacking:
            raise ValueError(f'{name} is not {kind}: a detection has no {", ".join(sorted(lacking))}')
        trouble = _trouble_with_ids(detection)
        if trouble:
            raise ValueError(f'detection {index} of {name} {trouble}')
        if detection['image_id'] not in image_ids:
            raise ValueError(
                f'{name} is of another data set: its image {detection["image_id"]} is not in {ann_file}; '
                'give the annotation file that it was made with'
            )
        where = f'detection {index} of {name}, in image {detection["image_id"]},'
        if not is_number(detection['score']):
            raise ValueError(f'{where} has score {short(detection["score"])}')
        if with_boxes and not is_box(detection.get('bbox')):
            raise ValueError(f'{where} has bbox {short(detection.get("bbox"))}: give left, top, width and height')
        if num_keypoints is not None:
            keypoints = detection['keypoints']
            if not isinstance(keypoints, list | tuple) or not are_numbers(keypoints):
                raise ValueError(f'{where} has keypoints {short(keypoints)}: give x, y and score of each')
            if len(keypoints) != 3 * num_keypoints:
                raise ValueError(
                    f'{name} has a detection of {len(keypoints) // 3} keypoints, and {ann_file} {num_keypoints}: '
                    'give the annotation file that it was made with'
                )


def needed_by_oks(use_area: bool, iou_type: str) -> set[str]:
    """What COCOeval needs of each annotation, with CocoMetric's arguments."""
    needed = {'keypoints', 'bbox'}
    if use_area:
        needed.add('area')
    if iou_type == 'keypoints_crowd':
        needed.add('num_keypoints')
    return needed


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
    listed = {part: {record['id'] for record in content[part]} for part in ('images', 'categories')}
    reasons = Counter()
    for annotation in content['annotations']:
        if annotation['image_id'] not in listed['images']:
            reasons['of images that are not listed'] += 1
        elif annotation['category_id'] not in listed['categories']:
            reasons['of categories that are not listed'] += 1
    return reasons


def is_number(value) -> bool:
    """Whether it is a number that a picture can have: no NaN, infinity or giant."""
    return isinstance(value, Real) and -LARGEST <= value <= LARGEST


def are_numbers(values: Iterable) -> bool:
    """Whether each of them is such a number."""
    try:
        return all(-LARGEST <= value <= LARGEST for value in values)
    except TypeError:
        return False


def is_box(value) -> bool:
    """Whether it is left, top, width and height; MMPose's detections may have more behind."""
    return isinstance(value, list | tuple) and len(value) == 4 and are_numbers(value)


def _check_ids(records, part: str, path: str | Path) -> None:
    seen = set()
    if not isinstance(records, list):
        raise ValueError(f'{path}: {part} is {short(records)}, and no list')
    for record in records:
        if not isinstance(record, dict) or not _is_id(record.get('id')):
            raise ValueError(f'{path}: {part} has {short(record)}, which has no id, a whole number from 0')
        if record['id'] in seen:
            raise ValueError(f'{path}: {part} has id {record["id"]} twice: COCO would take the last for both')
        seen.add(record['id'])


def _trouble_with_ids(record: Mapping) -> str | None:
    for key in ('image_id', 'category_id'):
        if not _is_id(record.get(key)):
            return f'has {key} {short(record.get(key))}: give an id, a whole number from 0'
    return None


def _is_image_field(key: str, value) -> bool:
    if key == 'file_name':
        return isinstance(value, str) and value != '' and value.isprintable()
    return is_number(value) and value > 0


def _is_id(value) -> bool:
    return isinstance(value, Integral) and 0 <= value < 2**63


def _any_placed(keypoints: list) -> bool:
    return max(keypoints[0::3] + keypoints[1::3], default=0) > 0
