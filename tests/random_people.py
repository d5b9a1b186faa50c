"""Random people and detections of them: any number of annotations and results in COCO's format."""

import numpy as np

NUM_KEYPOINTS = 17


def make_annotations(num_images: int, people_per_image: float, rng: np.random.Generator) -> dict:
    """People in a row, near enough to overlap now and then, some of them small, some unlabelled, some crowd regions."""
    annotations = []
    for image_id in range(1, num_images + 1):
        for _ in range(rng.poisson(people_per_image)):
            width, height = rng.uniform(15, 120), rng.uniform(30, 300)
            x, y = rng.uniform(0, 400), rng.uniform(0, 150)
            keypoints = np.stack(
                [
                    rng.uniform(x, x + width, NUM_KEYPOINTS),
                    rng.uniform(y, y + height, NUM_KEYPOINTS),
                    rng.choice([0, 1, 2], NUM_KEYPOINTS, p=rng.dirichlet([1, 1, 3])),
                ],
                axis=1,
            )
            keypoints[:, 2] *= rng.random() < 0.8
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=image_id,
                    category_id=1,
                    bbox=[x, y, width, height],
                    area=0.6 * width * height,
                    keypoints=(keypoints * (keypoints[:, 2:] > 0)).ravel().tolist(),
                    num_keypoints=int(np.count_nonzero(keypoints[:, 2])),
                    iscrowd=int(rng.random() < 0.05),
                )
            )
    return dict(
        images=[dict(id=image_id, width=640, height=480, crowdIndex=0.5) for image_id in range(1, num_images + 1)],
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )


def make_detections(dataset: dict, noise: float, false_positives: float, rng: np.random.Generator) -> list[dict]:
    """Most people with joints off by ``noise`` of the person's size, scored by nearness, and some background."""
    detections = []
    for annotation in dataset['annotations']:
        if rng.random() < 0.1:
            continue
        off = noise * rng.gamma(2, 0.5)
        keypoints = np.reshape(annotation['keypoints'], (-1, 3)).astype(float)
        keypoints[:, :2] += rng.normal(0, off * annotation['area'] ** 0.5, (len(keypoints), 2))
        keypoints[:, 2] = rng.uniform(0.1, 1, len(keypoints))
        detections.append(
            dict(
                image_id=annotation['image_id'],
                category_id=1,
                keypoints=keypoints.ravel().tolist(),
                score=float(1 / (1 + off) * rng.uniform(0.5, 1)),
            )
        )
    for image in dataset['images']:
        for _ in range(rng.poisson(false_positives)):
            keypoints = rng.uniform([0, 0, 0.1], [rng.uniform(100, 600), rng.uniform(100, 400), 1], (NUM_KEYPOINTS, 3))
            detections.append(
                dict(
                    image_id=image['id'],
                    category_id=1,
                    keypoints=keypoints.ravel().tolist(),
                    score=float(rng.uniform(0, 0.6)),
                )
            )
    return detections
