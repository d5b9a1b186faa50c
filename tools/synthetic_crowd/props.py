"""Things in the scene: seats, things in front of people, and things that look like limbs."""

from typing import NamedTuple

import numpy as np

from .body import Bodies
from .camera import Camera
from .shapes import Mesh, box, join, leaves, tube


class Prop(NamedTuple):
    """A thing and its two RGB colours; its mesh counts palette rows from 0."""

    mesh: Mesh
    colors: np.ndarray  # (2, 3)
    roughness: float  # how strongly its surface varies


_WOOD = np.array([(96, 70, 48), (70, 56, 44), (128, 104, 80), (58, 48, 42)])
_PAINT = np.array(
    [(150, 152, 150), (60, 66, 70), (170, 60, 48), (50, 88, 120), (206, 196, 170), (214, 170, 50), (90, 110, 84)]
)
_LEAF = np.array([(62, 88, 40), (84, 112, 50), (50, 72, 44), (104, 118, 58), (120, 92, 48)])
_LIMB = np.array([(224, 172, 130), (198, 134, 92), (112, 70, 46), (70, 74, 82), (38, 52, 92), (86, 60, 44)])


def _up(height: float) -> np.ndarray:
    return np.array([0, height, 0])


def _prop(rng: np.random.Generator, mesh: Mesh, tones: np.ndarray, roughness: float) -> Prop:
    base = tones[rng.integers(len(tones))] * rng.normal(1, 0.12) + rng.normal(0, 6, 3)
    return Prop(mesh, np.stack([base * rng.uniform(0.4, 1.3), base]).clip(5, 250), roughness)


def seat(rng: np.random.Generator, pelvis: np.ndarray, yaw: float, stature: float) -> Prop:
    """A stool, bench or chair under a person who sits facing ``yaw`` radians."""
    top = pelvis[1] - 0.062 * stature
    forward = np.array([np.sin(yaw), 0, np.cos(yaw)])
    width, depth = rng.uniform(0.34, 0.5) + (rng.random() < 0.3) * rng.uniform(0.3, 0.8), rng.uniform(0.32, 0.42)
    middle = pelvis * (1, 0, 1) - forward * 0.03
    if rng.random() < 0.4:
        parts = [box(middle + _up(top / 2), (width, top, depth), yaw, 0)]
    else:
        parts = [box(middle + _up(top - 0.03), (width, 0.06, depth), yaw, 0)]
        sideways = np.array([forward[2], 0, -forward[0]])
        for x, z in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            foot = middle + sideways * (x * (width / 2 - 0.03)) + forward * (z * (depth / 2 - 0.03))
            parts.append(tube(np.stack([foot, foot + _up(top)]), np.full(2, 0.02), 0))
    if rng.random() < 0.4:
        parts.append(box(middle - forward * (depth / 2) + _up(top + 0.22), (width, 0.44, 0.05), yaw, 0))
    return _prop(rng, join(parts), np.concatenate([_WOOD, _PAINT]), 0.15)


def _bush(rng: np.random.Generator, at: np.ndarray) -> Prop:
    size = np.array([rng.uniform(0.25, 0.7), rng.uniform(0.2, 0.6), 0.25])
    num = int(140 * size[0] * size[1] / 0.2)
    ball = rng.normal(size=(num, 3))
    ball *= (rng.random((num, 1)) ** 0.4) / np.sqrt((ball * ball).sum(axis=1, keepdims=True))
    mesh = leaves(
        at + _up(size[1] * 0.85) + ball * size,
        rng.uniform(0.05, 0.11, num),
        np.stack([rng.uniform(-np.pi, np.pi, num), rng.uniform(-1, 1, num)], axis=1),
        0,
    )
    return _prop(rng, mesh, _LEAF, 0.5)


def _crate(rng: np.random.Generator, at: np.ndarray) -> Prop:
    size = rng.uniform((0.3, 0.3, 0.3), (1.1, 1.0, 0.6))
    stripes = rng.choice((0.0, rng.uniform(2, 10)))
    return _prop(rng, box(at + _up(size[1] / 2), size, rng.uniform(-0.6, 0.6), 0, stripes), _PAINT, 0.2)


def _post(rng: np.random.Generator, at: np.ndarray) -> Prop:
    lean = rng.normal(0, 0.06, 3) * (1, 0, 1)
    height, radius = rng.uniform(1.2, 5), rng.uniform(0.025, 0.09)
    path = at + np.linspace(0, height, 4)[:, None] * (np.array([0, 1, 0]) + lean)
    mesh = tube(path, np.full(4, radius), 0, rng.choice((0.0, rng.uniform(1, 4))))
    return _prop(rng, mesh, np.concatenate([_PAINT, _WOOD]), 0.2)


def _fence(rng: np.random.Generator, at: np.ndarray) -> Prop:
    height, length, gap = rng.uniform(0.6, 1.1), rng.uniform(1.2, 3), rng.uniform(0.14, 0.4)
    ends = np.array([(-length / 2, 0, 0), (length / 2, 0, rng.normal(0, 0.3))]) + at
    rails = [tube(ends + _up(height * level), np.full(2, 0.025), 0) for level in (0.35, 0.95)]
    steps = np.linspace(0, 1, int(length / gap) + 1)[:, None]
    feet = ends[0] + steps * (ends[1] - ends[0])
    bars = [tube(np.stack([foot, foot + _up(height)]), np.full(2, 0.018), 0) for foot in feet]
    return _prop(rng, join(rails + bars), np.concatenate([_PAINT, _WOOD]), 0.15)


def _sign(rng: np.random.Generator, at: np.ndarray) -> Prop:
    height, yaw = rng.uniform(0.5, 1.5), rng.uniform(-0.5, 0.5)
    size = (rng.uniform(0.3, 0.9), rng.uniform(0.2, 0.5), 0.03)
    parts = [
        box(at + _up(height), size, yaw, 0, rng.choice((0.0, rng.uniform(5, 16)))),
        tube(np.stack([at, at + _up(height)]), np.full(2, 0.025), 0),
    ]
    return _prop(rng, join(parts), _PAINT, 0.1)


_OCCLUDERS = (_bush, _crate, _post, _fence, _sign)


def _limb(rng: np.random.Generator, at: np.ndarray) -> Prop:
    """A bent, tapering tube in the colours and sizes of arms and legs."""
    size = rng.uniform(0.25, 0.45)
    headings = np.cumsum(rng.normal((0, 0), (np.pi, 0.5)), axis=0)
    steps = np.stack([np.sin(headings), np.cos(headings), np.zeros(2)], axis=1) * size
    joints = at + _up(rng.uniform(0.3, 1.4)) + np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
    path = np.stack([joints[0], joints[0:2].mean(axis=0), joints[1], joints[1:].mean(axis=0), joints[2]])
    radii = np.array([0.060, 0.055, 0.042, 0.040, 0.02]) * rng.uniform(0.7, 1.3)
    return _prop(rng, tube(path, radii, 0), _LIMB, 0.15)


def _branch(rng: np.random.Generator, at: np.ndarray) -> Prop:
    """A crooked branch with twigs that enters from the side."""
    side = rng.choice((-1, 1))
    start = at + np.array([side * rng.uniform(0.5, 2.0), rng.uniform(0.8, 2.2), 0])
    steps = rng.normal((-side * 0.32, 0.03, 0), (0.08, 0.14, 0.06), (7, 3))
    path = start + np.cumsum(steps, axis=0)
    radii = np.linspace(rng.uniform(0.04, 0.08), 0.01, 7)
    parts = [tube(path, radii, 0)]
    for joint in rng.integers(1, 6, size=4):
        twig = rng.normal((-side * 0.1, 0.05, 0), (0.1, 0.12, 0.05), (3, 3))
        twig[0] = 0
        parts.append(tube(path[joint] + np.cumsum(twig, axis=0), radii[joint] * np.array([0.6, 0.4, 0.15]), 0))
    return _prop(rng, join(parts), _WOOD, 0.35)


def _trunk(rng: np.random.Generator, at: np.ndarray) -> Prop:
    """A tree trunk that forks as a body does into legs or arms."""
    lean = rng.normal(0, 0.25, (6, 3)) * (0.5, 0, 0.3)
    path = at + np.linspace(0, 3.2, 6)[:, None] * np.array([0, 1, 0]) + np.cumsum(lean, axis=0) * 0.4
    radius = rng.uniform(0.06, 0.16)
    fork = path[2] + np.linspace(0, 1.6, 4)[:, None] * (rng.choice((-1, 1)) * rng.uniform(0.3, 0.8), 1, 0)
    parts = [tube(path, radius * np.linspace(1.2, 0.6, 6), 0), tube(fork, radius * np.linspace(0.7, 0.25, 4), 0)]
    return _prop(rng, join(parts), _WOOD, 0.4)


_DISTRACTORS = (_limb, _branch, _trunk, _post)


def _crowded_spot(rng: np.random.Generator, bodies: Bodies) -> np.ndarray:
    """A place on the ground near a person."""
    return bodies.pelvis[rng.integers(len(bodies.pelvis))] * (1, 0, 1) + rng.normal(0, 0.25, 3) * (1, 0, 0)


def occluders(rng: np.random.Generator, num: int, bodies: Bodies, camera: Camera) -> list[Prop]:
    """Things on the ground between the camera and people."""
    props = []
    for _ in range(num):
        spot = _crowded_spot(rng, bodies)
        nearest = bodies.landmarks[..., 2].max() + 0.45
        step = max(nearest - spot[2], rng.uniform(0.45, 1.2)) if rng.random() < 0.7 else rng.uniform(0.45, 0.8)
        towards = (camera.position - spot) * (1, 0, 1)
        spot = spot + towards * min(step / towards[2], 0.5)
        props.append(_OCCLUDERS[rng.integers(len(_OCCLUDERS))](rng, spot))
    return props


def distractors(rng: np.random.Generator, num: int, bodies: Bodies) -> list[Prop]:
    """Things with the shapes, sizes and colours of limbs, most of them behind people."""
    return [
        _DISTRACTORS[rng.integers(len(_DISTRACTORS))](
            rng, _crowded_spot(rng, bodies) + rng.normal((0, 0, -0.9), (0.5, 0, 0.7))
        )
        for _ in range(num)
    ]
