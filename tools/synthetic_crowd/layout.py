"""Places people and frames them, so that the image has the requested crowding."""

import numpy as np

from ca_hrnet_plugin.evaluation import crowd_index

from .body import Bodies
from .camera import Camera, framed, random_camera
from .shapes import NUM_SIDES

_SPACINGS = (0.03, 2.5)  # smallest and largest distance of neighbours across the view, in metres
_NUM_BISECTIONS = 4
_NUM_UPPER_BODY = 13  # keypoints, from the nose to the hips


def place_people(
    rng: np.random.Generator, bodies: Bodies, size: tuple[int, int], target: float, truncated: bool
) -> tuple[Bodies, Camera]:
    """Spreads people over the ground and frames them.

    People stand behind each other at separate depths. They are moved apart sideways until the crowd index of their
    projected joints is closest to the target.

    Args:
        rng (np.random.Generator): Where the randomness comes from.
        bodies (Bodies): People at the origin.
        size (tuple[int, int]): Width and height of the image in pixels.
        target (float): The requested crowd index.
        truncated (bool): Whether the border of the image cuts through people.

    Returns:
        tuple[Bodies, Camera]: The people where they stand, and the camera that sees them.
    """
    num_people = len(bodies.stature)
    camera = random_camera(rng)
    depth = np.cumsum(rng.uniform(0.4, 1.0, num_people))
    depth -= depth.mean()
    across = rng.permutation(num_people) - (num_people - 1) / 2 + rng.uniform(-0.35, 0.35, num_people)
    fill = rng.uniform(1.3, 2.2) if truncated else rng.uniform(0.72, 0.95)
    place = rng.uniform(0.05, 0.95, 2)
    focus = (rng.integers(num_people), rng.integers(_NUM_UPPER_BODY))

    def frame(points: np.ndarray, landmarks: np.ndarray) -> Camera:
        view = framed(camera, points, size, fill, place)
        if not truncated:
            return view
        shift = (0.2 + 0.6 * place) * size - view.project(landmarks[focus])[0]  # zoomed in on a person
        return view._replace(center=view.center + shift)

    def spread(spacing: float) -> np.ndarray:
        return np.stack([across * spacing, np.zeros(num_people), -depth / (1 + spacing)], axis=1)

    # The wider the spacing, the lower the crowd index: bisect for it.
    outline = bodies.corners[:, ::5, :: NUM_SIDES // 2]
    low, high = _SPACINGS
    for _ in range(_NUM_BISECTIONS if num_people > 1 else 0):
        spacing = (low * high) ** 0.5
        offset = spread(spacing)
        points, landmarks = outline + offset[:, None, None], bodies.landmarks + offset[:, None]
        if _expected_crowd_index(frame(points, landmarks), points, landmarks, size) > target:
            low = spacing
        else:
            high = spacing
    bodies = bodies.moved(spread((low * high) ** 0.5))
    return bodies, frame(bodies.corners, bodies.landmarks)


def _expected_crowd_index(view: Camera, outline: np.ndarray, landmarks: np.ndarray, size: tuple[int, int]) -> float:
    """The crowd index if no person hid another."""
    limits = np.asarray(size) - 1
    outline = view.project(outline)[0].clip(0, limits).reshape(len(landmarks), -1, 2)
    low, high = outline.min(axis=1), outline.max(axis=1)
    joints = view.project(landmarks)[0]
    inside = ((joints >= 0) & (joints <= limits)).all(axis=-1, keepdims=True)
    keypoints, bboxes = np.concatenate([joints, inside], axis=-1), np.concatenate([low, high - low], axis=-1)
    return crowd_index([dict(keypoints=points, bbox=bbox) for points, bbox in zip(keypoints, bboxes, strict=True)])
