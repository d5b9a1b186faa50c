import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_crowd.body import Bodies, pose_bodies, random_builds
from synthetic_crowd.pose import random_pose
from synthetic_crowd.skeleton import BONES, KEYPOINT_NAMES

KEYPOINT = {name: index for index, name in enumerate(KEYPOINT_NAMES)}
LIMBS = [
    (f'{side}_{a}', f'{side}_{b}')
    for side in ('left', 'right')
    for a, b in (('shoulder', 'elbow'), ('hip', 'knee'), ('elbow', 'wrist'), ('knee', 'ankle'))
]


def people(seed: int, num_people: int = 3) -> tuple[Bodies, Bodies]:
    """The same people in random poses, and upright at rest."""
    rng = np.random.default_rng(seed)
    builds = random_builds(rng, num_people)
    _, angles, roots = zip(*(random_pose(rng) for _ in range(num_people)), strict=True)
    at_rest = pose_bodies(np.zeros((num_people, len(BONES), 3)), np.zeros((num_people, 3)), *builds)
    return pose_bodies(np.array(angles), np.array(roots), *builds), at_rest


def length(bodies: Bodies, a: str, b: str) -> np.ndarray:
    return np.linalg.norm(bodies.landmarks[:, KEYPOINT[a]] - bodies.landmarks[:, KEYPOINT[b]], axis=-1)


def bend(bodies: Bodies, a: str, b: str, c: str) -> np.ndarray:
    """Degrees by which b -> c turns away from a -> b."""
    first, second = (bodies.landmarks[:, KEYPOINT[end]] - bodies.landmarks[:, KEYPOINT[b]] for end in (a, c))
    cosine = -(first * second).sum(axis=-1) / np.linalg.norm(first, axis=-1) / np.linalg.norm(second, axis=-1)
    return np.rad2deg(np.arccos(cosine.clip(-1, 1)))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_people_keep_their_bones_bend_as_people_do_and_stand_on_the_ground(seed):
    posed, at_rest = people(seed)
    for limb in LIMBS:
        np.testing.assert_allclose(length(posed, *limb), length(at_rest, *limb), rtol=1e-9)
        mirrored = [end.replace('left', 'right') for end in limb]
        np.testing.assert_allclose(length(posed, *limb), length(posed, *mirrored), rtol=1e-9)
    for side in ('left', 'right'):
        assert (bend(posed, f'{side}_shoulder', f'{side}_elbow', f'{side}_wrist') < 146).all()
        assert (bend(posed, f'{side}_hip', f'{side}_knee', f'{side}_ankle') < 141).all()
    lowest = posed.corners[..., 1].min(axis=(1, 2))
    assert (np.abs(lowest) < 0.06).all()  # a skirt may hang lower than the feet
    assert (posed.landmarks[..., 1] > 0).all()
