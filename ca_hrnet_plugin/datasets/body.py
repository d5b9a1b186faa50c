"""The body around the skeleton: rings of flesh on bones, joined to limbs, trunk, head, hair and skirt."""

from typing import NamedTuple

import numpy as np

from .shapes import NUM_SIDES, cross, loft_rings, unit
from .skeleton import BONE_INDEX, BONES, LANDMARKS, forward_kinematics, rotations

# Rings of each tube from one end to the other: bone (or two, where a joint bends the flesh), centre in the bone's
# frame, half width, half depth, and where the ring is tilted the rise of its back. Fractions of the stature.
_TRUNK_TUBES = {
    'torso': (
        ('pelvis', (0, -0.060, 0), 0.022, 0.024),
        ('pelvis', (0, -0.042, -0.004), 0.070, 0.058),
        ('pelvis', (0, 0, -0.008), 0.094, 0.070),
        ('pelvis', (0, 0.050, -0.002), 0.086, 0.060),
        ('pelvis+chest', (0, 0.105, 0.002), 0.077, 0.053),
        ('chest', (0, 0.050, 0.004), 0.083, 0.058),
        ('chest', (0, 0.105, 0.008), 0.094, 0.066),
        ('chest', (0, 0.155, 0.002), 0.102, 0.058),
        ('chest', (0, 0.182, -0.004), 0.098, 0.044),
        ('chest', (0, 0.200, -0.006), 0.068, 0.037),
        ('chest', (0, 0.214, -0.004), 0.036, 0.031),
    ),
    'neck': (
        ('chest', (0, 0.195, -0.006), 0.036, 0.034),
        ('chest+head', (0, 0.225, 0), 0.030, 0.030),
        ('head', (0, 0.035, -0.002), 0.029, 0.031),
    ),
    'head': (
        ('head', (0, 0.006, 0.036), 0.010, 0.010),
        ('head', (0, 0.012, 0.032), 0.021, 0.022),
        ('head', (0, 0.030, 0.020), 0.034, 0.041),
        ('head', (0, 0.052, 0.012), 0.042, 0.053),
        ('head', (0, 0.076, 0.008), 0.045, 0.057),
        ('head', (0, 0.100, 0.004), 0.044, 0.056),
        ('head', (0, 0.122, 0.002), 0.033, 0.043),
        ('head', (0, 0.136, 0.001), 0.004, 0.004),
    ),
    'nose': (
        ('head', (0, 0.078, 0.064), 0.003, 0.003),
        ('head', (0, 0.060, 0.071), 0.008, 0.010),
        ('head', (0, 0.052, 0.067), 0.002, 0.002),
    ),
    'mouth': (
        ('head', (0, 0.030, 0.059), 0.003, 0.002),
        ('head', (0, 0.034, 0.060), 0.015, 0.004),
        ('head', (0, 0.038, 0.061), 0.003, 0.002),
    ),
    'hair': (
        ('head', (0, 0.066, -0.006), 0.0485, 0.060, -0.036),
        ('head', (0, 0.094, -0.004), 0.0500, 0.062, -0.024),
        ('head', (0, 0.122, -0.002), 0.0390, 0.050, -0.010),
        ('head', (0, 0.144, -0.002), 0.0040, 0.005),
    ),
    'long_hair': (
        ('head', (0, 0.110, -0.020), 0.046, 0.046),
        ('head', (0, 0.060, -0.026), 0.054, 0.044),
        ('head', (0, 0.010, -0.030), 0.054, 0.036),
        ('head+chest', (0, -0.050, -0.046), 0.048, 0.026),
        ('chest', (0, 0.120, -0.066), 0.022, 0.012),
    ),
    'bun': (
        ('head', (0, 0.090, -0.072), 0.004, 0.004),
        ('head', (0, 0.100, -0.074), 0.024, 0.022),
        ('head', (0, 0.122, -0.072), 0.026, 0.024),
        ('head', (0, 0.138, -0.066), 0.004, 0.004),
    ),
    'brim': (
        ('head', (0, 0.103, 0.040), 0.004, 0.006),
        ('head', (0, 0.104, 0.040), 0.047, 0.068, 0.010),
        ('head', (0, 0.109, 0.040), 0.047, 0.066, 0.010),
        ('head', (0, 0.113, 0.040), 0.004, 0.006),
    ),
    'beard': (
        ('head', (0, -0.006, 0.044), 0.006, 0.006),
        ('head', (0, 0.004, 0.040), 0.026, 0.026),
        ('head', (0, 0.026, 0.020), 0.039, 0.043),
        ('head', (0, 0.048, 0.006), 0.044, 0.046),
    ),
}
_LIMB_TUBES = {
    'ear': (
        ('head', (0.045, 0.050, -0.004), 0.003, 0.004),
        ('head', (0.047, 0.062, -0.004), 0.006, 0.010),
        ('head', (0.048, 0.078, -0.004), 0.006, 0.011),
        ('head', (0.046, 0.086, -0.004), 0.002, 0.003),
    ),
    'eye': (
        ('head', (0.019, 0.073, 0.056), 0.002, 0.003),
        ('head', (0.019, 0.079, 0.056), 0.010, 0.008),
        ('head', (0.019, 0.084, 0.056), 0.002, 0.003),
    ),
    'iris': (
        ('head', (0.019, 0.074, 0.062), 0.001, 0.001),
        ('head', (0.019, 0.079, 0.061), 0.005, 0.005),
        ('head', (0.019, 0.084, 0.062), 0.001, 0.001),
    ),
    'eyebrow': (
        ('head', (0.020, 0.090, 0.056), 0.013, 0.006),
        ('head', (0.020, 0.095, 0.053), 0.012, 0.006),
    ),
    'arm': (
        ('upper_arm', (-0.012, 0.032, 0), 0.006, 0.008),
        ('upper_arm', (-0.008, 0.022, 0), 0.026, 0.030),
        ('upper_arm', (0, -0.006, 0), 0.034, 0.037),
        ('upper_arm', (0.001, -0.060, 0.001), 0.031, 0.034),
        ('upper_arm', (0, -0.125, 0.002), 0.026, 0.029),
        ('upper_arm', (0, -0.165, 0), 0.023, 0.025),
        ('upper_arm+forearm', (0, -0.186, -0.002), 0.023, 0.024),
        ('forearm', (0, -0.024, 0), 0.025, 0.025),
        ('forearm', (0, -0.060, 0), 0.024, 0.024),
        ('forearm', (0, -0.105, 0), 0.018, 0.019),
        ('forearm', (0, -0.138, 0), 0.014, 0.016),
    ),
    'hand': (
        ('forearm', (0, -0.136, 0), 0.013, 0.015),
        ('hand', (0, -0.008, 0), 0.012, 0.016),
        ('hand', (0, -0.034, 0.001), 0.012, 0.025),
        ('hand', (-0.003, -0.062, 0.001), 0.010, 0.025),
        ('hand', (-0.009, -0.088, 0), 0.008, 0.021),
        ('hand', (-0.016, -0.104, 0), 0.004, 0.010),
    ),
    'thumb': (
        ('hand', (0, -0.012, 0.012), 0.009, 0.010),
        ('hand', (-0.006, -0.036, 0.034), 0.008, 0.009),
        ('hand', (-0.010, -0.060, 0.042), 0.004, 0.005),
    ),
    'leg': (
        ('pelvis+thigh', (0.056, 0.030, -0.004), 0.034, 0.050),
        ('pelvis+thigh', (0.054, -0.004, -0.004), 0.050, 0.060),
        ('thigh', (0.002, -0.050, -0.003), 0.052, 0.059),
        ('thigh', (0, -0.120, 0.002), 0.047, 0.052),
        ('thigh', (0, -0.190, 0.003), 0.038, 0.042),
        ('thigh', (0, -0.225, 0.002), 0.034, 0.037),
        ('thigh+shin', (0, -0.245, 0.002), 0.033, 0.036),
        ('shin', (0, -0.025, 0), 0.032, 0.034),
        ('shin', (0, -0.075, -0.006), 0.034, 0.037),
        ('shin', (0, -0.130, -0.006), 0.029, 0.031),
        ('shin', (0, -0.190, -0.001), 0.021, 0.023),
        ('shin', (0, -0.236, 0), 0.019, 0.021),
    ),
    'foot': (
        ('foot', (0, 0.012, -0.004), 0.020, 0.024),
        ('foot', (0, -0.008, 0.004), 0.023, 0.034),
        ('foot', (0, -0.018, 0.022), 0.024, 0.054, 0.008),
        ('foot', (0.002, -0.030, 0.034), 0.028, 0.074),
        ('foot', (0.002, -0.040, 0.034), 0.027, 0.073),
        ('foot', (0.002, -0.041, 0.034), 0.003, 0.008),
    ),
}
_DOWNWARDS = ('arm', 'hand', 'thumb', 'leg', 'foot', 'long_hair', 'skirt')


class _Ring(NamedTuple):
    tube: str
    side: str  # '', 'left' or 'right'
    bones: tuple[str, str]
    center: tuple[float, float, float]  # in the frame of the first bone
    a: tuple[float, float, float]
    b: tuple[float, float, float]


def _rings() -> list[_Ring]:
    tubes = [('', name, rings) for name, rings in _TRUNK_TUBES.items()]
    tubes += [(side, name, rings) for side in ('left', 'right') for name, rings in _LIMB_TUBES.items()]
    table = []
    for side, name, rings in tubes:
        for bones, (x, y, z), width, depth, *tilt in rings:
            first, _, second = bones.partition('+')
            pair = [f'{side}_{bone}' if f'{side}_{bone}' in BONE_INDEX else bone for bone in (first, second or first)]
            sign = 1 if name in _DOWNWARDS else -1  # so that a x b points along the tube
            b = (0, -sign * tilt[0] if tilt else 0, sign * depth)
            table.append(_Ring(name, side, tuple(pair), (-x if side == 'right' else x, y, z), (width, 0, 0), b))
    return table


_SKIRT_RINGS = np.array([(-0.10, 0.040), (0.20, 0.058), (0.6, 0.070), (1.0, 0.080)])  # place along the thighs, radius


def _joined_tubes(names: list[str]) -> tuple[np.ndarray, ...]:
    """What joins rings, given the tube of each: pairs of rings, strip places, and each ring's neighbours."""
    pairs = np.array([(i, i + 1) for i in range(len(names) - 1) if names[i] == names[i + 1]])
    places = [(i - names.index(names[i]) + 0.5) / (names.count(names[i]) - 1) for i, _ in pairs]
    neighbours = np.arange(len(names))[:, None].repeat(2, axis=1)  # of an end ring one is the ring itself
    neighbours[pairs[:, 1], 0] = pairs[:, 0]
    neighbours[pairs[:, 0], 1] = pairs[:, 1]
    return pairs, np.array(places), neighbours


_RINGS = _rings()
_BONE = np.array([[BONE_INDEX[bone] for bone in ring.bones] for ring in _RINGS])  # (R, 2)
_CENTER, _A, _B = (np.array([getattr(ring, name) for ring in _RINGS], dtype=float) for name in ('center', 'a', 'b'))
_OFFSET = np.array([bone.offset for bone in BONES], dtype=float)
_PARENT = np.array([BONE_INDEX.get(bone.parent, 0) for bone in BONES])
_TUBES = [f'{ring.side} {ring.tube}' for ring in _RINGS] + [' skirt'] * len(_SKIRT_RINGS)

# Strips are what the body's surface is made of, each between two rings. STRIP_PLACES says how far along its tube each
# lies, from 0 to 1; garments end by it.
STRIP_RINGS, STRIP_PLACES, _NEIGHBOURS = _joined_tubes(_TUBES)
STRIP_TUBES = np.array([_TUBES[i].split(' ')[1] for i, _ in STRIP_RINGS])

_LANDMARK_BONE = np.array([BONE_INDEX[landmark.bone] for landmark in LANDMARKS])
_LANDMARK_OFFSET = np.array([landmark.offset for landmark in LANDMARKS], dtype=float)
_FLESH = np.array([landmark.flesh for landmark in LANDMARKS])


class Bodies(NamedTuple):
    """P posed bodies in the world, in metres; each stands on the ground, y = 0, with its pelvis over the origin."""

    corners: np.ndarray  # (P, R, NUM_SIDES, 3), of the rings
    normals: np.ndarray  # (P, R, NUM_SIDES, 3)
    cloth: np.ndarray  # (P, R, NUM_SIDES, 2): sideways and upward place in an upright body, where patterns hang
    landmarks: np.ndarray  # (P, 17, 3), the COCO keypoints
    flesh: np.ndarray  # (P, 17): how deep under its surface each landmark lies at most
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
    """Draws statures in metres, (P,), and the metres for each unit along the axes of each bone, (P, J, 3).

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
        scale (np.ndarray): Metres for each unit along the axes of each bone, (P, J, 3).

    Returns:
        Bodies: Standing on the ground.
    """
    tilt, yaw = np.deg2rad(root), np.deg2rad(root)
    tilt[:, 2], yaw[:, :2] = 0, 0
    orientation, origin = forward_kinematics(angles, rotations(yaw) @ rotations(tilt), scale)
    center, a, b = _posed_rings(orientation, origin, scale)
    corners, around = loft_rings(center, a, b)
    along = corners[:, _NEIGHBOURS[:, 1]] - corners[:, _NEIGHBOURS[:, 0]]

    rest = np.zeros_like(origin)
    for index in range(1, len(BONES)):
        rest[:, index] = rest[:, _PARENT[index]] + _OFFSET[index] * scale[:, _PARENT[index]]
    cloth = np.zeros((*corners.shape[:3], 2))
    sides = np.cos(np.arange(NUM_SIDES) * (2 * np.pi / NUM_SIDES))
    num_rings = len(_RINGS)
    cloth[:, :num_rings] = (rest[:, _BONE[:, 0]] + _CENTER * scale[:, _BONE[:, 0]])[:, :, None, :2]
    cloth[:, :num_rings, :, 0] += sides * (_A[:, :1] * scale[:, _BONE[:, 0], :1])
    cloth[:, num_rings:, :, 0] = sides * _SKIRT_RINGS[:, 1:] * stature[:, None, None]
    cloth[:, num_rings:, :, 1] = -0.245 * _SKIRT_RINGS[:, :1] * stature[:, None, None]

    landmarks = origin[:, _LANDMARK_BONE] + _turn(
        orientation[:, _LANDMARK_BONE], _LANDMARK_OFFSET * scale[:, _LANDMARK_BONE]
    )
    lift = np.zeros((len(stature), 3))
    lift[:, 1] = -corners[:, :num_rings, :, 1].min(axis=(1, 2))
    bodies = Bodies(
        corners, unit(cross(around, along)), cloth, landmarks, _FLESH * stature[:, None], np.zeros_like(lift), stature
    )
    return bodies.moved(lift)


def _turn(orientation: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (orientation @ vectors[..., None])[..., 0]


def _posed_rings(orientation: np.ndarray, origin: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centres and half axes of all rings, (P, R, 3) each, those of the skirt last."""
    first, second = _BONE.T
    turn, size = orientation[:, first], scale[:, first]
    center = origin[:, first] + _turn(turn, _CENTER * size)
    a, b = _turn(turn, _A * size), _turn(turn, _B * size)

    # Where flesh bends, the second bone would put the ring elsewhere: take the middle.
    blended = np.flatnonzero(first != second)
    turn, size = orientation[:, second[blended]], scale[:, first[blended]]
    from_joint = (_CENTER[blended] - _OFFSET[second[blended]]) * size
    center[:, blended] = (center[:, blended] + origin[:, second[blended]] + _turn(turn, from_joint)) / 2
    a[:, blended] = (a[:, blended] + _turn(turn, _A[blended] * size)) / 2
    b[:, blended] = (b[:, blended] + _turn(turn, _B[blended] * size)) / 2

    # A skirt spans both thighs.
    left, right = BONE_INDEX['left_thigh'], BONE_INDEX['right_thigh']
    length = 0.245 * scale[:, left, 1]
    down = np.zeros((len(origin), len(_SKIRT_RINGS), 3))
    down[..., 1] = -_SKIRT_RINGS[:, 0] * length[:, None]
    ends = [origin[:, None, thigh] + _turn(orientation[:, None, thigh], down) for thigh in (left, right)]
    radius = _SKIRT_RINGS[:, 1:] * scale[:, None, 0, [0, 2]].mean(axis=-1, keepdims=True)
    pelvis = orientation[:, None, 0]
    span = (ends[0] - ends[1]) / 2
    skirt = ((ends[0] + ends[1]) / 2, span + pelvis[..., 0] * radius * 0.9, pelvis[..., 2] * radius)
    return tuple(np.concatenate(parts, axis=1) for parts in zip((center, a, b), skirt, strict=True))
