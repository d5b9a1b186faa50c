"""A contact sheet: many images of a COCO folder in one picture, with and without their annotations drawn."""

from pathlib import Path

import cv2
import numpy as np

from ca_hrnet_plugin.evaluation.coco_files import read_annotations

from .coco_format import CATEGORY

_LEFT, _RIGHT, _MIDDLE, _HIDDEN = (255, 160, 60), (60, 120, 255), (90, 220, 90), (255, 255, 255)  # BGR
_ZOOM = 2


def _with_skeletons(image: np.ndarray, people: list[dict], limbs: list[list[int]], names: list[str]) -> np.ndarray:
    """A copy of the enlarged image with skeletons; a hidden keypoint is a white ring."""
    image = image.copy()
    colors = [_LEFT if 'left' in name else _RIGHT if 'right' in name else _MIDDLE for name in names]
    for person in people:
        keypoints = np.array(person['keypoints']).reshape(-1, 3)
        points = [tuple(point) for point in (keypoints[:, :2] * _ZOOM).round().astype(int).tolist()]
        for first, second in np.array(limbs) - 1:
            if keypoints[first, 2] and keypoints[second, 2]:
                color = colors[first] if colors[first] == colors[second] else _MIDDLE
                cv2.line(image, points[first], points[second], color, 1, cv2.LINE_AA)
        for point, color, visible in zip(points, colors, keypoints[:, 2], strict=True):
            if visible:
                cv2.circle(
                    image, point, 3, color if visible == 2 else _HIDDEN, cv2.FILLED if visible == 2 else 1, cv2.LINE_AA
                )
    return image


def contact_sheet(data_root: str | Path, out_file: str | Path, columns: int = 6, rows: int = 4) -> None:
    """Writes the first images of val2017 as one picture; every other row repeats the row above with annotations.

    Args:
        data_root (str | Path): Folder in COCO 2017's layout.
        out_file (str | Path): A picture file, such as a JPEG or PNG.
        columns (int): Images side by side.
        rows (int): Rows, an even number.

    Raises:
        ValueError: The annotations are invalid or have no images, or an image cannot be read.
        OSError: The picture cannot be written.
    """
    data_root = Path(data_root)
    ann_file = data_root / 'annotations/person_keypoints_val2017.json'
    content = read_annotations(ann_file, len(CATEGORY['keypoints']), ['images'], ['file_name'], ['keypoints'])
    lines = []
    images = content['images'][: columns * rows // 2]
    if not images:
        raise ValueError(f'{ann_file} has no images')
    for first in range(0, len(images), columns):
        pairs = []
        for image in images[first : first + columns]:
            people = [person for person in content['annotations'] if person['image_id'] == image['id']]
            file = data_root / 'val2017' / image['file_name']
            picture = cv2.imread(str(file))
            if picture is None:
                raise ValueError(f'image {image["id"]} of {ann_file} cannot be read: {file}')
            picture = cv2.resize(picture, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC)
            pairs.append((picture, _with_skeletons(picture, people, CATEGORY['skeleton'], CATEGORY['keypoints'])))
        blank = np.zeros_like(pairs[0][0])
        pairs += [(blank, blank)] * (columns - len(pairs))
        lines += [np.hstack(line) for line in zip(*pairs, strict=True)]
    if not cv2.imwrite(str(out_file), np.vstack(lines)):
        raise OSError(f'{out_file}: OpenCV cannot write a picture there')
