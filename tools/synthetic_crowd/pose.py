"""Random poses: joint angles around those of common activities, within the anatomical ranges."""

import numpy as np

from .skeleton import BONE_INDEX, BONES, JOINT_RANGES

Angles = dict[str, tuple[float, float, float]]  # of the bones that are not at rest: flexion, abduction, twist
Root = tuple[float, float]  # pitch and roll of the whole body

_NOISE = np.full((len(BONES), 3), 6.0)
_NOISE[BONE_INDEX['head']] = (9, 6, 22)
_NOISE[BONE_INDEX['chest']] = (6, 5, 9)


def _arms_at_rest(rng: np.random.Generator) -> Angles:
    """Each arm hangs, rests on the hip, is folded or holds something up."""
    angles = {}
    for side in ('left', 'right'):
        upper, fore = {
            0: ((rng.normal(0, 12), 10, 0), (rng.uniform(5, 35), 0, 0)),
            1: ((-25, 45, -35), (95, 0, 0)),
            2: ((25, 8, -55), (100, 0, -20)),
            3: ((rng.uniform(20, 50), 10, -20), (rng.uniform(90, 140), 0, 0)),
        }[rng.choice(4, p=(0.55, 0.15, 0.15, 0.15))]
        angles |= {f'{side}_upper_arm': upper, f'{side}_forearm': fore}
    return angles


def _standing(rng: np.random.Generator) -> tuple[Angles, Root]:
    left, right = rng.uniform(1, 10, 2)
    legs = {'left_thigh': (0, left, 10), 'right_thigh': (0, right, 10)}
    if rng.random() < 0.3:  # weight on one leg
        side = rng.choice(('left', 'right'))
        legs |= {f'{side}_thigh': (20, 8, 15), f'{side}_shin': (30, 0, 0)}
    return legs | _arms_at_rest(rng), (0, 0)


def _walking(rng: np.random.Generator) -> tuple[Angles, Root]:
    swing = np.sin(rng.uniform(0, 2 * np.pi))
    stride = rng.uniform(20, 35) if rng.random() < 0.8 else rng.uniform(45, 65)  # now and then a run
    angles = {'chest': (stride / 6, 0, 10 * swing)}
    for side, phase in (('left', swing), ('right', -swing)):
        angles |= {
            f'{side}_thigh': (stride * phase + stride / 5, 2, 0),
            f'{side}_shin': (stride * (0.9 - 0.7 * phase) * 0.8, 0, 0),
            f'{side}_foot': (-12 if phase < 0 else 8, 0, 0),
            f'{side}_upper_arm': (-stride * phase, 8, 0),
            f'{side}_forearm': (15 + stride, 0, 0),
        }
    return angles, (0, 0)


def _sitting(rng: np.random.Generator) -> tuple[Angles, Root]:
    angles = {'chest': (rng.uniform(-5, 25), 0, 0)} | _arms_at_rest(rng)
    for side in ('left', 'right'):
        angles |= {
            f'{side}_thigh': (rng.uniform(80, 95), rng.uniform(2, 25), 0),
            f'{side}_shin': (rng.uniform(65, 105), 0, 0),
        }
        if rng.random() < 0.6:  # hand on the knee
            angles |= {f'{side}_upper_arm': (rng.uniform(20, 50), 8, 0), f'{side}_forearm': (rng.uniform(20, 60), 0, 0)}
    return angles, (0, 0)


def _reaching(rng: np.random.Generator) -> tuple[Angles, Root]:
    angles, root = _standing(rng)
    angles['chest'] = (rng.uniform(-10, 30), rng.uniform(-15, 15), rng.uniform(-25, 25))
    for side in ('left', 'right'):
        if rng.random() < 0.7:
            angles |= {
                f'{side}_upper_arm': (rng.uniform(50, 170), rng.uniform(-10, 60), rng.uniform(-30, 30)),
                f'{side}_forearm': (rng.uniform(0, 50), 0, 0),
            }
    return angles, root


def _crouching(rng: np.random.Generator) -> tuple[Angles, Root]:
    angles = {'chest': (rng.uniform(15, 45), 0, 0)} | _arms_at_rest(rng)
    bend = rng.uniform(60, 110)
    for side in ('left', 'right'):
        angles |= {
            f'{side}_thigh': (bend + rng.normal(0, 8), rng.uniform(5, 30), 10),
            f'{side}_shin': (bend + 25 + rng.normal(0, 10), 0, 0),
            f'{side}_foot': (20, 0, 0),
        }
    return angles, (25, 0)


def _arms_wide(rng: np.random.Generator) -> tuple[Angles, Root]:
    angles, root = _standing(rng)
    for side in ('left', 'right'):
        angles |= {
            f'{side}_upper_arm': (rng.uniform(-10, 30), rng.uniform(60, 155), 0),
            f'{side}_forearm': (rng.uniform(0, 90), 0, rng.uniform(-60, 60)),
        }
    return angles, root


def _upside_down(rng: np.random.Generator) -> tuple[Angles, Root]:
    """A handstand or a cartwheel."""
    angles = {'head': (-20, 0, 0)}
    spread = rng.uniform(0, 45)
    for side in ('left', 'right'):
        angles |= {
            f'{side}_upper_arm': (170, rng.uniform(0, 15), 0),
            f'{side}_thigh': (rng.normal(0, 20), spread, 0),
            f'{side}_shin': (rng.uniform(0, 50), 0, 0),
        }
    return angles, (0, 180 + rng.normal(0, 15) if rng.random() < 0.7 else rng.choice((-1, 1)) * rng.uniform(95, 150))


POSES = {
    'standing': (0.28, _standing),
    'walking': (0.24, _walking),
    'sitting': (0.14, _sitting),
    'reaching': (0.14, _reaching),
    'arms_wide': (0.08, _arms_wide),
    'crouching': (0.07, _crouching),
    'upside_down': (0.05, _upside_down),
}


def random_pose(
    rng: np.random.Generator, facing: float = 180.0, upright: bool = False
) -> tuple[str, np.ndarray, np.ndarray]:
    """Draws a pose.

    Args:
        rng (np.random.Generator): Where the randomness comes from.
        facing (float): The largest turn of the body from the camera, in degrees.
        upright (bool): Whether to draw no pose upside down.

    Returns:
        tuple[str, np.ndarray, np.ndarray]: A key of ``POSES``; flexion, abduction and twist of every bone in degrees,
        (J, 3), within ``JOINT_RANGES``; pitch, roll and yaw of the whole body in degrees. At yaw 0 it faces the camera.
    """
    names = [name for name in POSES if not (upright and name == 'upside_down')]
    weights = np.array([POSES[name][0] for name in names])
    name = rng.choice(names, p=weights / weights.sum())
    posed, (pitch, roll) = POSES[name][1](rng)
    angles = rng.normal(0, _NOISE)
    for bone, values in posed.items():
        angles[BONE_INDEX[bone]] += values
    yaw = rng.normal(0, 35) if rng.random() < 0.45 else rng.uniform(-facing, facing)
    root = np.array([pitch + rng.normal(0, 3), roll + rng.normal(0, 3), np.clip(yaw, -facing, facing)])
    return str(name), np.clip(angles, JOINT_RANGES[..., 0], JOINT_RANGES[..., 1]), root
