"""Bodies: flesh on skeletons of any build in any pose."""

from typing import NamedTuple

import numpy as np

from .anatomy import DOWNWARD_TUBES, LIMB_TUBES, SKIRT_RINGS, TRUNK_TUBES
from .shapes import NUM_SIDES, cross, loft_rings, unit
from .skeleton import BONE_INDEX, BONES, LANDMARKS, forward_kinematics, rotations


class _Ring(NamedTuple):
    tube: str
    side: str  # '', 'left' or 'right'
    bones: tuple[str, str]
    center: tuple[float, float, float]  # in the frame of the first bone
    a: tuple[float, float, float]
    b: tuple[float, float, float]


def _rings() -> list[_Ring]:
    tubes = [('', name, rings) for name, rings in TRUNK_TUBES.items()]
    tubes += [(side, name, rings) for side in ('left', 'right') for name, rings in LIMB_TUBES.items()]
    table = []
    for side, name, rings in tubes:
        for bones, (x, y, z), width, depth, *tilt in rings:
            first, _, second = bones.partition('+')
            pair = [f'{side}_{bone}' if f'{side}_{bone}' in BONE_INDEX else bone for bone in (first, second or first)]
            sign = 1 if name in DOWNWARD_TUBES else -1  # so that a x b points along the tube
            b = (0, -sign * tilt[0] if tilt else 0, sign * depth)
            table.append(_Ring(name, side, tuple(pair), (-x if side == 'right' else x, y, z), (width, 0, 0), b))
    return table


def _joined_tubes(names: list[str]) -> tuple[np.ndarray, ...]:
    """How rings are joined, given the tube of each: pairs of rings, strip places, and each ring's neighbours."""
    pairs = np.array([(i, i + 1) for i in range(len(names) - 1) if names[i] == names[i + 1]])
    places = [(i - names.index(names[i]) + 0.5) / (names.count(names[i]) - 1) for i, _ in pairs]
    neighbours = np.arange(len(names))[:, None].repeat(2, axis=1)  # an end ring is one of its own neighbours
    neighbours[pairs[:, 1], 0] = pairs[:, 0]
    neighbours[pairs[:, 0], 1] = pairs[:, 1]
    return pairs, np.array(places), neighbours


_RINGS = _rings()
_SKIRT_RINGS = np.array(SKIRT_RINGS)
_BONE = np.array([[BONE_INDEX[bone] for bone in ring.bones] for ring in _RINGS])  # (R, 2)
_CENTER, _A, _B = (np.array([getattr(ring, name) for ring in _RINGS], dtype=float) for name in ('center', 'a', 'b'))
_OFFSET = np.array([bone.offset for bone in BONES], dtype=float)
_THIGH = -_OFFSET[BONE_INDEX['left_shin'], 1]  # its length
_PARENT = np.array([BONE_INDEX.get(bone.parent, 0) for bone in BONES])
_TUBES = [f'{ring.side} {ring.tube}' for ring in _RINGS] + [' skirt'] * len(_SKIRT_RINGS)

# The body's surface consists of strips, each between two rings. STRIP_PLACES is the position of each strip along its
# tube, from 0 to 1, which decides where garments end.
STRIP_RINGS, STRIP_PLACES, _NEIGHBOURS = _joined_tubes(_TUBES)
STRIP_TUBES = np.array([_TUBES[i].split(' ')[1] for i, _ in STRIP_RINGS])

_LANDMARK_BONE = np.array([BONE_INDEX[landmark.bone] for landmark in LANDMARKS])
_LANDMARK_OFFSET = np.array([landmark.offset for landmark in LANDMARKS], dtype=float)
_FLESH = np.array([landmark.flesh for landmark in LANDMARKS])


class Bodies(NamedTuple):
    """P posed bodies in the world, in metres; each stands on the ground, y = 0, with its pelvis over the origin."""

    corners: np.ndarray  # (P, R, NUM_SIDES, 3), of the rings
    normals: np.ndarray  # (P, R, NUM_SIDES, 3)
    cloth: np.ndarray  # (P, R, NUM_SIDES, 2): position sideways and upwards in an upright body, for patterns
    landmarks: np.ndarray  # (P, 17, 3), the COCO keypoints
    flesh: np.ndarray  # (P, 17): the largest depth of each landmark under the surface
    pelvis: np.ndarray  # (P, 3)
    stature: np.ndarray  # (P,)

    def moved(self, offset: np.ndarray) -> 'Bodies':
        """The bodies moved by ``offset`` (P, 3)."""
        return self._replace(
            corners=self.corners + offset[:, None, None],
            landmarks=self.landmarks + offset[:, None],
            pelvis=self.pelvis + offset,
        )


def random_builds(rng: np.random.Generator, num_people: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws statures in metres, (P,), and metres per unit along the axes of each bone, (P, J, 3).

    About one in six is a child, with a child's large head and short legs.
    """
    child = rng.random(num_people) < 0.16
    stature = np.where(child, rng.uniform(0.95, 1.45, num_people), rng.normal(1.70, 0.09, num_people).clip(1.48, 1.98))
    youth = np.where(child, (1.5 - stature) / 0.55, 0.0)
    shoulders, hips, legs = rng.normal(1, 0.06, (3, num_people)).clip(0.88, 1.14)
    girth = rng.lognormal(0, 0.13, num_people).clip(0.8, 1.45)
    legs = legs**0.5 - 0.10 * youth
    scale = np.ones((num_people, len(BONES), 3))
    for name, index in BONE_INDEX.items():
        thickness = girth**0.8
        if name == 'head':
            scale[:, index] *= (1 + 0.38 * youth)[:, None]
        elif name == 'pelvis':
            scale[:, index, 0] *= hips * girth**0.6
            scale[:, index, 2] *= girth
        elif name == 'chest':
            scale[:, index, 0] *= shoulders * girth**0.4
            scale[:, index, 2] *= girth
        elif 'hand' not in name and 'foot' not in name:
            scale[:, index, 0] *= thickness
            scale[:, index, 2] *= thickness
            scale[:, index, 1] *= legs if 'thigh' in name or 'shin' in name else 1 - 0.05 * youth
    return stature, scale * stature[:, None, None]


def pose_bodies(angles: np.ndarray, root: np.ndarray, stature: np.ndarray, scale: np.ndarray) -> Bodies:
    """Puts flesh on posed skeletons by linear blend skinning of the rings.

    Args:
        angles (np.ndarray): Flexion, abduction and twist of each bone in degrees, (P, J, 3).
        root (np.ndarray): Pitch, roll and yaw of each body in degrees, (P, 3).
        stature (np.ndarray): Metres, (P,).
        scale (np.ndarray): Metres per unit along the axes of each bone, (P, J, 3).

    Returns:
        Bodies: The bodies, standing on the ground.
    """
    tilt, yaw = np.deg2rad(root), np.deg2rad(root)
    tilt[:, 2], yaw[:, :2] = 0, 0
    orientation, origin = forward_kinematics(angles, rotations(yaw) @ rotations(tilt), scale)
    center, a, b = _posed_rings(orientation, origin, scale)
    corners, around = loft_rings(center, a, b)
    along = corners[:, _NEIGHBOURS[:, 1]] - corners[:, _NEIGHBOURS[:, 0]]

    landmarks = origin[:, _LANDMARK_BONE] + _turn(
        orientation[:, _LANDMARK_BONE], _LANDMARK_OFFSET * scale[:, _LANDMARK_BONE]
    )
    lift = np.zeros((len(stature), 3))
    lift[:, 1] = -corners[:, : len(_RINGS), :, 1].min(axis=(1, 2))
    bodies = Bodies(
        corners,
        unit(cross(around, along)),
        _cloth(scale),
        landmarks,
        _FLESH * stature[:, None],
        np.zeros_like(lift),
        stature,
    )
    return bodies.moved(lift)


def _cloth(scale: np.ndarray) -> np.ndarray:
    """The position of each corner of a body at rest, sideways and upwards in metres, (P, R, NUM_SIDES, 2)."""
    rest = np.zeros_like(scale)
    for index in range(1, len(BONES)):
        rest[:, index] = rest[:, _PARENT[index]] + _OFFSET[index] * scale[:, _PARENT[index]]
    bone = _BONE[:, 0]
    center = (rest[:, bone] + _CENTER * scale[:, bone])[..., :2]
    width = _A[:, 0] * scale[:, bone, 0]
    thigh = scale[:, BONE_INDEX['left_thigh']]
    skirt_center = np.stack(
        [0 * thigh[:, :1] * _SKIRT_RINGS[:, 0], -_THIGH * thigh[:, 1:2] * _SKIRT_RINGS[:, 0]], axis=-1
    )
    center = np.concatenate([center, skirt_center], axis=1)
    width = np.concatenate([width, thigh[:, :1] * _SKIRT_RINGS[:, 1]], axis=1)
    cloth = center[:, :, None].repeat(NUM_SIDES, axis=2)
    cloth[..., 0] += width[..., None] * np.cos(np.arange(NUM_SIDES) * (2 * np.pi / NUM_SIDES))
    return cloth


def _turn(orientation: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (orientation @ vectors[..., None])[..., 0]


def _posed_rings(orientation: np.ndarray, origin: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centres and half axes of all rings, (P, R, 3) each, those of the skirt last."""
    first, second = _BONE.T
    turn, size = orientation[:, first], scale[:, first]
    center = origin[:, first] + _turn(turn, _CENTER * size)
    a, b = _turn(turn, _A * size), _turn(turn, _B * size)

    # Where flesh bends, the second bone would put the ring elsewhere, so take the middle.
    blended = np.flatnonzero(first != second)
    turn, size = orientation[:, second[blended]], scale[:, first[blended]]
    from_joint = (_CENTER[blended] - _OFFSET[second[blended]]) * size
    center[:, blended] = (center[:, blended] + origin[:, second[blended]] + _turn(turn, from_joint)) / 2
    a[:, blended] = (a[:, blended] + _turn(turn, _A[blended] * size)) / 2
    b[:, blended] = (b[:, blended] + _turn(turn, _B[blended] * size)) / 2

    skirt = _skirt(orientation, origin, scale)
    return tuple(np.concatenate(parts, axis=1) for parts in zip((center, a, b), skirt, strict=True))


def _skirt(orientation: np.ndarray, origin: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    left, right = BONE_INDEX['left_thigh'], BONE_INDEX['right_thigh']
    down = np.zeros((len(origin), len(_SKIRT_RINGS), 3))
    down[..., 1] = -_THIGH * _SKIRT_RINGS[:, 0] * scale[:, left, 1:2]
    ends = [origin[:, None, thigh] + _turn(orientation[:, None, thigh], down) for thigh in (left, right)]
    radius = _SKIRT_RINGS[:, 1:] * scale[:, None, 0, [0, 2]].mean(axis=-1, keepdims=True)
    pelvis = orientation[:, None, 0]
    span = (ends[0] - ends[1]) / 2
    return (ends[0] + ends[1]) / 2, span + pelvis[..., 0] * radius * 0.9, pelvis[..., 2] * radius
