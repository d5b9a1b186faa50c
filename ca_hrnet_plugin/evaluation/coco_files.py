"""COCO's JSON files, checked as they are read: each kind of problem is one line of an error.

MMPose, xtcocotools and COCOeval silently accept many of these. A repeated id loses an annotation, NaN coordinates are
near every detection, and people without a box are left out of training.
"""

import gc
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, compress
from numbers import Real
from pathlib import Path
from reprlib import repr as short
from typing import NamedTuple

import numpy as np

from ..messages import and_more, counted

# In pixels, or square pixels. Larger numbers are mistakes, and overflow in COCOeval.
LARGEST = 1e9


class InvalidFileError(ValueError):
    """A file is invalid. ``problems`` has a line for each kind of problem, and the message is the first line."""

    def __init__(self, problems: list[str]):
        super().__init__(problems[0])
        self.problems = problems


class _Check(NamedTuple):
    """What the values of a field should be. It checks all records in one call, because a call for each is slow."""

    expected: str
    holds: Callable[[list], bool]


def _are_ids(values: list) -> bool:
    return set(map(type, values)) <= {int} and min(values, default=0) >= 0 and max(values, default=0) < 2**63


def _are_numbers(values: list) -> bool:
    if not set(map(type, values)) <= {int, float}:
        return False
    try:
        numbers = np.fromiter(values, float, len(values))
    except OverflowError:  # an integer over 1e308
        return False
    return bool((np.abs(numbers) <= LARGEST).all())  # False for NaN


def _are_sizes(values: list) -> bool:
    return _are_numbers(values) and min(values, default=1) > 0


def _are_flags(values: list) -> bool:
    return set(map(type, values)) <= {int, float, bool} and set(values) <= {0, 1}


def _are_file_names(values: list) -> bool:
    return set(map(type, values)) <= {str} and all(map(_FILE_NAME.fullmatch, values))


def _hold_numbers(values: list[list]) -> bool:
    return _are_numbers(list(chain.from_iterable(values)))


def _lists(expected: str, *lengths: int) -> tuple[_Check, _Check]:
    def are_lists(values: list) -> bool:
        return set(map(type, values)) <= {list} and set(map(len, values)) <= set(lengths)

    return _Check(expected, are_lists), _Check(_NUMBER.expected, _hold_numbers)


# Neither control characters nor halves of a surrogate pair, which no file system accepts.
_FILE_NAME = re.compile(r'[^\x00-\x1f\x7f\ud800-\udfff]+')
_ID = _Check('an integer from 0 to 2**63 - 1', _are_ids)
_NUMBER = _Check('a number from -1e9 to 1e9', _are_numbers)
_SIZE = _Check('a number over 0, up to 1e9', _are_sizes)
_FLAG = _Check('0 or 1', _are_flags)
_TEXT = _Check('text without control characters', _are_file_names)
# The checks of each field, in order; a value that fails a check skips the rest. Other fields are dropped, because
# xtcocotools mistakes results with a caption or a segmentation for something other than keypoints.
_IMAGE = dict(id=[_ID], file_name=[_TEXT], width=[_SIZE], height=[_SIZE], crowdIndex=[_NUMBER])
_ANNOTATION = dict(
    id=[_ID],
    image_id=[_ID],
    category_id=[_ID],
    bbox=_lists('4 numbers', 4),
    area=[_NUMBER],
    num_keypoints=[_NUMBER],
    iscrowd=[_FLAG],
)
_CATEGORY = dict(id=[_ID], keypoints=[])  # their names, if there are any
# MMPose uses the first four numbers of a box; some detectors append a score.
_DETECTION = dict(image_id=[_ID], category_id=[_ID], score=[_NUMBER], bbox=_lists('4 numbers, or 5 with a score', 4, 5))


def read_json(path: str | Path, wanted: str):
    """Reads a JSON file.

    Raises:
        InvalidFileError: The file is not JSON; the message asks for ``wanted``.
    """
    data = Path(path).read_bytes()
    is_collecting = gc.isenabled()
    gc.disable()  # JSON holds no cycles, and searching for them takes longer than reading a large file
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise InvalidFileError([f'{path} is not JSON ({error}): give {wanted}']) from error
    finally:
        if is_collecting:
            gc.enable()


def read_annotations(
    path: str | Path,
    num_keypoints: int | None = None,
    needed: Collection[str] = ('images', 'annotations', 'categories'),
    of_images: Collection[str] = (),
    of_annotations: Collection[str] = (),
) -> dict:
    """Reads COCO annotations. Only fields that are checked are returned.

    Args:
        path (str | Path): The file.
        num_keypoints (int, optional): The number of keypoints of each person; by default keypoints are not read.
        needed (Collection[str]): The lists that the file must have; the others may be missing.
        of_images (Collection[str]): The fields that each image must have besides its id.
        of_annotations (Collection[str]): The fields that each annotation must have besides its ids. Other fields may
            be missing, but not invalid.

    Raises:
        InvalidFileError: Something is missing or invalid; each line names the file and the first record.
    """
    wanted = f'COCO annotations{"" if num_keypoints is None else f" of {num_keypoints} keypoints"}, in pixels'
    content = read_json(path, wanted)
    if type(content) is not dict:
        raise InvalidFileError([f'{path} is {short(content)}: give {wanted}'])
    parts = dict(
        images=('image', _IMAGE, {'id', *of_images}),
        annotations=(
            'annotation',
            _ANNOTATION | _keypoints(num_keypoints),
            {'id', 'image_id', 'category_id', *of_annotations},
        ),
        categories=('category', _CATEGORY, {'id'}),
    )
    problems = []
    for part, (name, fields, needed_fields) in parts.items():
        records = content.get(part, [])
        if part in needed and part not in content:
            problems.append(f'{path} has no {part}: give {wanted}')
        elif type(records) is not list:
            problems.append(f'{path} has {part} {short(records)} (should be a list): give {wanted}')
        else:
            problems += _problems(records, fields, needed_fields, name, path, wanted)
    if problems:
        raise InvalidFileError(problems)
    content = {part: content.get(part, []) for part in parts}
    for part, records in content.items():
        _drop_others(records, parts[part][1])
        counts = Counter(record['id'] for record in records)
        repeated = [record_id for record_id, count in counts.items() if count > 1]
        if repeated:
            problem = f'{path}: {part} has id {repeated[0]} twice{and_more(repeated[1:])}'
            problems.append(f'{problem}: COCO takes the last for both, so give each its own')
    if problems:
        raise InvalidFileError(problems)
    return content


def read_detections(
    source: str | Path | Sequence[dict], content: dict, ann_file: str | Path, num_keypoints: int | None = None
) -> list[dict]:
    """Reads a COCO result on the images of an annotation file.

    Args:
        source (str | Path | Sequence[dict]): The file, or its content.
        content (dict): The annotations, from :func:`read_annotations`.
        ann_file (str | Path): The annotation file.
        num_keypoints (int, optional): The number of keypoints of each detection; by default only boxes are read.

    Raises:
        InvalidFileError: The result is invalid, or belongs to other images or keypoints.
    """
    wanted = 'COCO person detections' if num_keypoints is None else f'a COCO result of {num_keypoints} keypoints'
    if isinstance(source, str | Path):
        path, detections = source, read_json(source, wanted)
    else:
        # A round trip through JSON turns NumPy numbers into plain numbers, and leaves the caller's records unchanged.
        path = 'results'
        detections = json.loads(json.dumps(list(source), default=lambda number: number.item()))
    if type(detections) is not list or not detections:
        raise InvalidFileError([f'{path} is {short(detections)}: give {wanted}'])
    fields = _DETECTION | _keypoints(num_keypoints)
    needed = set(fields) - ({'bbox'} if num_keypoints is not None else set())
    problems = _problems(detections, fields, needed, 'detection', path, wanted)
    if problems:
        raise InvalidFileError(problems)
    listed = {image['id'] for image in content['images']}
    unknown = [detection['image_id'] for detection in detections if detection['image_id'] not in listed]
    if unknown:
        problem = f'{path} is of another data set: its image {unknown[0]} is not in {ann_file}{and_more(unknown[1:])}'
        raise InvalidFileError([f'{problem}; give the annotation file that it was made with'])
    boxless = [index for index, detection in enumerate(detections) if 'bbox' not in detection]
    if boxless and 'bbox' in detections[0]:  # by which xtcocotools treats all detections as boxes
        raise InvalidFileError([f'detection number {boxless[0]} of {path} has no bbox: give a bbox to all or to none'])
    _drop_others(detections, fields)
    return detections


def needed_by_oks(use_area: bool, iou_type: str) -> set[str]:
    """The fields that COCOeval needs of each annotation, by CocoMetric's arguments."""
    needed = dict(area=use_area, num_keypoints=iou_type == 'keypoints_crowd')
    return {'keypoints', 'bbox'} | {name for name, is_needed in needed.items() if is_needed}


def left_out(content: dict) -> tuple[Counter, list[dict]]:
    """Counts the annotations that MMPose's top-down data sets leave out, by reason, and returns the rest."""
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
    # Boxes are clipped as in MMPose, with its precision.
    boxes = np.array([annotation['bbox'] for annotation in rest], dtype=float).reshape(-1, 4)
    image_of = [images[annotation['image_id']] for annotation in rest]
    edges = np.array([(image['width'], image['height']) for image in image_of]).reshape(-1, 2) - 1
    start, end = (
        np.clip(corner, 0, edges).astype(np.float32) for corner in (boxes[:, :2], boxes[:, :2] + boxes[:, 2:])
    )
    inside = (end - start > 0).all(axis=1)
    if not inside.all():
        reasons['with an empty box or one outside the image'] = int((~inside).sum())
    return reasons, [annotation for annotation, is_inside in zip(rest, inside, strict=True) if is_inside]


def unreached(content: dict) -> Counter:
    """Counts the annotations that COCOeval leaves out, by reason: their image or category is not listed."""
    images, categories = ({record['id'] for record in content[part]} for part in ('images', 'categories'))
    reasons = Counter()
    for annotation in content['annotations']:
        if annotation['image_id'] not in images:
            reasons['of images that are not listed'] += 1
        elif annotation['category_id'] not in categories:
            reasons['of categories that are not listed'] += 1
    return reasons


def evaluated_categories(content: dict, ann_file: str | Path) -> set[int]:
    """The categories of the annotations that COCOeval evaluates.

    Raises:
        InvalidFileError: COCOeval evaluates no annotation of the file.
    """
    images, categories = ({record['id'] for record in content[part]} for part in ('images', 'categories'))
    evaluated = {
        annotation['category_id']
        for annotation in content['annotations']
        if annotation['image_id'] in images and counts(annotation)
    } & categories
    if not evaluated:
        if reasons := unreached(content):
            reason, hint = counted(reasons), 'list the images and the category of its people'
        else:
            reason, hint = 'no person has labelled keypoints and iscrowd 0', 'give annotations of people'
        raise InvalidFileError([f'{ann_file} leaves nothing to evaluate ({reason}): {hint}'])
    return evaluated


def counts(annotation: dict) -> bool:
    """Whether COCOeval counts an annotation: it counts neither crowd regions nor people without labelled keypoints."""
    return not annotation.get('iscrowd') and max(annotation.get('keypoints', [0, 0, 1])[2::3], default=0) > 0


def is_number(value) -> bool:
    """Whether a value is a number of plausible size: neither NaN nor infinite nor over :data:`LARGEST`."""
    return isinstance(value, Real) and -LARGEST <= value <= LARGEST


def _any_placed(keypoints: list) -> bool:
    return max(keypoints[0::3] + keypoints[1::3], default=0) > 0


def _keypoints(number: int | None) -> dict[str, Sequence[_Check]]:
    return {} if number is None else dict(keypoints=_lists(f'{number} of x, y and v', 3 * number))


def _drop_others(records: list[dict], fields: Mapping) -> None:
    for record in records:
        for field in record.keys() - fields.keys():
            del record[field]


def _problems(
    records: list,
    fields: Mapping[str, Sequence[_Check]],
    needed: Collection[str],
    name: str,
    path: str | Path,
    wanted: str,
) -> list[str]:
    """Describes each kind of problem in a line, in which a record is called ``name``."""

    def line(indices: Sequence[int], problem: str, hint: str = f'give {wanted}') -> str:
        record = records[indices[0]]
        record_id = record.get('id') if isinstance(record, dict) else None
        owner = record_id if type(record_id) is int else f'number {indices[0]}'
        return f'{name} {owner} of {path} {problem}{and_more(indices[1:])}: {hint}'

    strays = [index for index, record in enumerate(records) if type(record) is not dict]
    if strays:
        return [line(strays, f'is {short(records[strays[0]])}')]
    problems = []
    for field, checks in fields.items():
        hint = f'give {wanted}{", or use_area=False for OKS" if field == "area" else ""}'
        values = [record[field] for record in records if field in record]
        indices = range(len(records))
        if len(values) < len(records):
            indices = [index for index, record in enumerate(records) if field in record]
            if field in needed:
                missing = [index for index, record in enumerate(records) if field not in record]
                problems.append(line(missing, f'has no {field}', hint))
        for check in checks:
            if not check.holds(values):
                passed = [check.holds([value]) for value in values]
                failed = [index for index, has_passed in zip(indices, passed, strict=True) if not has_passed]
                shown = _shown(field, records[failed[0]][field], check)
                problems.append(line(failed, f'has {shown} (should be {check.expected})', hint))
                indices, values = list(compress(indices, passed)), list(compress(values, passed))
    return problems


def _shown(field: str, value, check: _Check) -> str:
    if check.holds is _hold_numbers:
        wrong = [entry for entry in value if not _are_numbers([entry])]
        return f'{short(wrong[0])} in {field}'
    if field == 'keypoints' and isinstance(value, list):
        return f'{len(value) / 3:g} keypoints'
    return f'{field} {short(value)}'
