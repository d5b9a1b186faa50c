"""CrowdPose's measure of how crowded an image is: Li et al., CVPR 2019 (https://arxiv.org/abs/1812.00324)."""

from collections.abc import Sequence

import numpy as np

MIN_LABELLED = 6


def crowd_index(annotations: Sequence[dict]) -> float:
    """The crowd index of an image: how many joints of other people a person's box contains, per joint of the person.

    It is the mean over people of (labelled joints of others inside the person's box) / (the person's own labelled
    joints). People with fewer than 6 labelled joints are left out of the mean, but their joints count for others.
    Regions marked ``iscrowd`` are ignored. A joint is labelled if its v is 1 or 2. A joint on the edge of a box counts
    as inside. CrowdPose publishes the value of each image, rounded to two decimals.

    Args:
        annotations (Sequence[dict]): All COCO annotations of one image, each with ``keypoints`` [x1, y1, v1, ...] of
            any number of joints and ``bbox`` [x, y, w, h], both in pixels of the image, and optionally ``iscrowd``.

    Returns:
        float: 0 or more, with no upper bound; 0 if no joint is in the box of another person, or without annotations.

    Raises:
        ValueError: The annotations belong to several images.
    """
    image_ids = {annotation['image_id'] for annotation in annotations if 'image_id' in annotation}
    if len(image_ids) > 1:
        raise ValueError(f'crowd_index got annotations of images {sorted(image_ids)}: give those of one image')
    people = [annotation for annotation in annotations if not annotation.get('iscrowd')]
    joints = [labelled_joints(person) for person in people]
    ratios = []
    for index, (person, own) in enumerate(zip(people, joints, strict=True)):
        if len(own) >= MIN_LABELLED:
            others = np.concatenate([*joints[:index], *joints[index + 1 :], np.empty((0, 3))])
            ratios.append(_num_inside(others, person['bbox']) / len(own))
    return float(np.mean(ratios)) if ratios else 0.0


def has_crowd_index(annotations: Sequence[dict]) -> bool:
    """Whether most people with labelled joints have enough of them; the crowd index leaves out the others."""
    numbers = [len(labelled_joints(person)) for person in annotations if not person.get('iscrowd')]
    num_enough, num_people = (sum(number >= least for number in numbers) for least in (MIN_LABELLED, 1))
    return num_enough >= max(num_people / 2, 1)


def labelled_joints(annotation: dict) -> np.ndarray:
    """The joints (x, y, v) of a COCO annotation with v = 1 or 2, (N, 3)."""
    joints = np.reshape(annotation.get('keypoints', []), (-1, 3))
    return joints[joints[:, 2] > 0]


def _num_inside(joints: np.ndarray, bbox: Sequence[float]) -> int:
    left, top, width, height = bbox
    x, y = joints[:, 0], joints[:, 1]
    return np.count_nonzero((left <= x) & (x <= left + width) & (top <= y) & (y <= top + height))
