"""The skeleton: bones, the range of each joint, and the places of the 17 COCO keypoints.

Body frames have x to the person's left, y up and z forward. Lengths are fractions of the stature (proportions after
Drillis and Contini, 1966); angles are degrees: flexion (forward), abduction (sideways, away from the body) and twist.
"""

from typing import NamedTuple

import numpy as np


class Bone(NamedTuple):
    """A rigid part that turns about the joint at its origin, and the anatomical range of that joint."""

    name: str
    parent: str | None
    offset: tuple[float, float, float]  # of the joint, in the parent's frame
    flexion_sign: int  # of flexion as a turn about x: +1 bends upright bones forward and hanging bones back
    flexion: tuple[float, float]
    abduction: tuple[float, float] = (0, 0)
    twist: tuple[float, float] = (0, 0)


_TRUNK = (
    Bone('pelvis', None, (0, 0, 0), 1, (0, 0)),
    Bone('chest', 'pelvis', (0, 0.11, 0), 1, (-20, 50), (-25, 25), (-35, 35)),
    Bone('head', 'chest', (0, 0.22, 0), 1, (-40, 40), (-30, 30), (-65, 65)),
)
_LIMBS = (
    Bone('upper_arm', 'chest', (0.106, 0.176, 0), -1, (-45, 175), (-10, 160), (-70, 70)),
    Bone('forearm', 'upper_arm', (0, -0.186, 0), -1, (0, 145), (0, 0), (-60, 60)),
    Bone('hand', 'forearm', (0, -0.146, 0), -1, (-60, 60), (-20, 20), (-40, 40)),
    Bone('thigh', 'pelvis', (0.056, 0, 0), -1, (-20, 120), (-15, 50), (-30, 40)),
    Bone('shin', 'thigh', (0, -0.245, 0), 1, (0, 140)),
    Bone('foot', 'shin', (0, -0.246, 0), -1, (-45, 25)),
)


def _on_side(bone: Bone, side: str) -> Bone:
    parent = bone.parent if bone.parent in ('chest', 'pelvis') else f'{side}_{bone.parent}'
    x, y, z = bone.offset
    return bone._replace(name=f'{side}_{bone.name}', parent=parent, offset=(x if side == 'left' else -x, y, z))


BONES = _TRUNK + tuple(_on_side(bone, side) for side in ('left', 'right') for bone in _LIMBS)
BONE_INDEX = {bone.name: index for index, bone in enumerate(BONES)}
JOINT_RANGES = np.array([(bone.flexion, bone.abduction, bone.twist) for bone in BONES], dtype=float)  # (J, 3, 2)

# Turns all the conventions above into right-handed rotations about x, z and y.
_SIGNS = np.array([(bone.flexion_sign, *((-1, -1) if bone.name.startswith('right') else (1, 1))) for bone in BONES])


class Landmark(NamedTuple):
    """A COCO keypoint on the body."""

    name: str
    bone: str
    offset: tuple[float, float, float]  # in the bone's frame
    flesh: float  # largest depth under the surface, as a fraction of the stature


LANDMARKS = (
    Landmark('nose', 'head', (0, 0.060, 0.078), 0.025),
    *(
        Landmark(f'{side}_eye', 'head', (sign * 0.019, 0.079, 0.060), 0.02)
        for side, sign in (('left', 1), ('right', -1))
    ),
    *(Landmark(f'{side}_ear', 'head', (sign * 0.046, 0.068, 0), 0.02) for side, sign in (('left', 1), ('right', -1))),
    *(
        Landmark(f'{side}_{name}', f'{side}_{bone}', (0, 0, 0), flesh)
        for name, bone, flesh in (
            ('shoulder', 'upper_arm', 0.065),
            ('elbow', 'forearm', 0.05),
            ('wrist', 'hand', 0.04),
            ('hip', 'thigh', 0.095),
            ('knee', 'shin', 0.06),
            ('ankle', 'foot', 0.05),
        )
        for side in ('left', 'right')
    ),
)
KEYPOINT_NAMES = tuple(landmark.name for landmark in LANDMARKS)


def rotations(angles: np.ndarray) -> np.ndarray:
    """The rotation matrices (..., 3, 3) of flexion, abduction and twist in radians (..., 3): Rz @ Rx @ Ry."""
    cx, cz, cy = np.moveaxis(np.cos(angles), -1, 0)
    sx, sz, sy = np.moveaxis(np.sin(angles), -1, 0)
    rows = (
        (cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy),
        (sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy),
        (-cx * sy, sx, cx * cy),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def forward_kinematics(angles: np.ndarray, root: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Turns every bone, from the pelvis outwards.

    Args:
        angles (np.ndarray): Flexion, abduction and twist of each bone in degrees, (P, J, 3).
        root (np.ndarray): Orientation of each pelvis in the world, (P, 3, 3).
        scale (np.ndarray): Metres per unit along the axes of each bone, (P, J, 3).

    Returns:
        tuple[np.ndarray, np.ndarray]: Orientations, (P, J, 3, 3), and origins in metres from the pelvis, (P, J, 3).
    """
    local = rotations(np.deg2rad(angles * _SIGNS))
    orientation = np.empty_like(local)
    origin = np.zeros_like(angles)
    for index, bone in enumerate(BONES):
        if bone.parent is None:
            orientation[:, index] = root @ local[:, index]
            continue
        parent = BONE_INDEX[bone.parent]
        orientation[:, index] = orientation[:, parent] @ local[:, index]
        offset = scale[:, parent] * bone.offset
        origin[:, index] = origin[:, parent] + (orientation[:, parent] @ offset[..., None])[..., 0]
    return orientation, origin
