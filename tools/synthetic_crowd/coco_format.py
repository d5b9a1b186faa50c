"""The ground truth of a scene, and detections as of a person detector, as COCO's dictionaries."""

import numpy as np
from pycocotools import mask as coco_mask

from .scene import Scene
from .skeleton import KEYPOINT_NAMES

_LIMBS = (
    ('left_ankle', 'left_knee'),
    ('left_knee', 'left_hip'),
    ('right_ankle', 'right_knee'),
    ('right_knee', 'right_hip'),
    ('left_hip', 'right_hip'),
    ('left_shoulder', 'left_hip'),
    ('right_shoulder', 'right_hip'),
    ('left_shoulder', 'right_shoulder'),
    ('left_shoulder', 'left_elbow'),
    ('right_shoulder', 'right_elbow'),
    ('left_elbow', 'left_wrist'),
    ('right_elbow', 'right_wrist'),
    ('left_eye', 'right_eye'),
    ('nose', 'left_eye'),
    ('nose', 'right_eye'),
    ('left_eye', 'left_ear'),
    ('right_eye', 'right_ear'),
    ('left_ear', 'left_shoulder'),
    ('right_ear', 'right_shoulder'),
)
CATEGORY = dict(
    supercategory='person',
    id=1,
    name='person',
    keypoints=list(KEYPOINT_NAMES),
    skeleton=[[1 + KEYPOINT_NAMES.index(name) for name in limb] for limb in _LIMBS],
)


def annotations(scene: Scene, image_id: int, min_area: float = 0) -> list[dict]:
    """The annotations of all people with at least one visible pixel.

    Box, area and segmentation are those of the visible silhouette, as in COCO.

    Args:
        scene (Scene): The scene.
        image_id (int): The image's id. Annotation ids start at 100 times this id.
        min_area (float): People with fewer visible pixels have no labelled keypoints.

    Returns:
        list[dict]: As in ``person_keypoints_*.json``.
    """
    people = np.unique(scene.instances)
    people = people[people > 0]
    if not len(people):
        return []
    masks = (scene.instances == people[:, None, None]).transpose(1, 2, 0)
    rles = coco_mask.encode(np.asfortranarray(masks.view(np.uint8)))
    areas = coco_mask.area(rles)
    labelled = np.where((areas >= min_area)[:, None, None], scene.keypoints[people - 1], 0)
    return [
        dict(
            id=100 * image_id + index,
            image_id=image_id,
            category_id=CATEGORY['id'],
            iscrowd=0,
            bbox=bbox,
            area=int(area),
            segmentation=dict(size=rle['size'], counts=rle['counts'].decode()),
            num_keypoints=int((keypoints[:, 2] > 0).sum()),
            keypoints=[int(value) if value == int(value) else value for value in keypoints.ravel().tolist()],
        )
        for index, (keypoints, rle, bbox, area) in enumerate(
            zip(labelled, rles, coco_mask.toBbox(rles).tolist(), areas, strict=True)
        )
    ]


def detections(rng: np.random.Generator, truth: list[dict], image_id: int, size: tuple[int, int]) -> list[dict]:
    """Boxes as of a good person detector: slightly off, some missed, some doubled, some false.

    The smaller the visible silhouette and the less of its box it fills, the more likely it is missed, and the lower the
    score and precision of its box. False boxes, and second boxes of the same person, mostly have low scores.

    Args:
        rng (np.random.Generator): Where the randomness comes from.
        truth (list[dict]): Annotations of the image.
        image_id (int): The image's id.
        size (tuple[int, int]): Width and height of the image in pixels.

    Returns:
        list[dict]: As in COCO's result format, best score first.
    """

    def detection(bbox: np.ndarray, spread: float, score: float) -> dict:
        x, y, width, height = bbox
        corners = np.array([x, y, x + width, y + height]) + rng.normal(0, spread, 4) * (width, height, width, height)
        low, high = np.sort(corners.reshape(2, 2), axis=0).clip(0, size)
        low = np.minimum(low, np.array(size) - 1)
        bbox = np.concatenate([low, np.maximum(high - low, 1)]).round(2).tolist()
        return dict(image_id=image_id, category_id=CATEGORY['id'], bbox=bbox, score=round(float(score), 4))

    boxes = []
    for annotation in truth:
        bbox = np.array(annotation['bbox'])
        filled = annotation['area'] / (bbox[2] * bbox[3])
        ease = min(1.0, (annotation['area'] ** 0.5 / 32) ** 0.5) * min(1.0, filled / 0.35)
        if rng.random() < 0.02 + 0.5 * (1 - ease) ** 2:
            continue
        boxes.append(detection(bbox, 0.035 + 0.07 * (1 - ease), rng.beta(1 + 30 * ease, 2.5)))
        if rng.random() < 0.12:
            boxes.append(detection(bbox, 0.12, rng.beta(1.5, 6)))
    for _ in range(rng.poisson(0.6)):
        height = size[1] * rng.uniform(0.1, 0.9)
        width = height * rng.uniform(0.25, 0.7)
        x, y = rng.uniform(0, 1, 2) * np.maximum((size[0] - width, size[1] - height), 0)
        boxes.append(detection(np.array([x, y, width, height]), 0.0, rng.beta(1.2, 7)))
    return sorted(boxes, key=lambda box: -box['score'])
