"""Composes a scene: people, where they stand, things that hide them, and the camera's image."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from .backdrop import backdrop, noise
from .body import Bodies, pose_bodies, random_builds
from .camera import Camera
from .layout import place_people
from .photo import composed, photographed
from .pose import random_pose
from .props import Prop, distractors, occluders, seat
from .render import SUPERSAMPLING, Palette, ground_shadow, majority, paint, random_light, rasterise
from .shapes import Mesh, join
from .wardrobe import MATERIALS, dress, random_outfits

MAX_PEOPLE = 12
_DETAILED_FROM = 70  # pixels of height
MIN_IMAGE_SIDE, MAX_IMAGE_SIDE = 64, 2048


@dataclass(frozen=True)
class SceneOptions:
    """The difficulties of a scene.

    Args:
        people (tuple[int, int]): Least and most people in an image, 1 to 12; as in COCO, small groups are more common.
        crowd_index (float): Crowd index to aim at in every image of two or more people, from 0 to 1: CrowdPose's mean
            over people of the joints of others in a person's box / own joints. A single person has 0.
        occluders (float): Mean number of things in front of people in an image.
        distractors (float): Mean number of limb-like things in an image: branches, posts, trunks, stray limbs.
        clutter (float): How busy the background is, from 0 to 1.
        contrast (float): From 0, where people hardly stand out, to 1.
        truncation (float): Share of images whose border cuts through people.
        facing (float): The largest turn of a body from the camera, in degrees from 0 to 180.
        upright (bool): Whether to draw no people upside down.
        min_area (float): People with a smaller visible area in pixels have a box and no keypoints; 32 x 32 in COCO.
        image_size (tuple[int, int]): Width and height in pixels.

    Raises:
        ValueError: An option is out of its range.
    """

    people: tuple[int, int] = (1, MAX_PEOPLE)
    crowd_index: float = 0.5
    occluders: float = 0.8
    distractors: float = 1.2
    clutter: float = 0.6
    contrast: float = 0.8
    truncation: float = 0.3
    facing: float = 180
    upright: bool = False
    min_area: float = 0
    image_size: tuple[int, int] = (256, 256)

    def __post_init__(self):
        least, most = self.people
        if not 1 <= least <= most <= MAX_PEOPLE:
            raise ValueError(f'people={least} to {most}: give two numbers from 1 to {MAX_PEOPLE}, the smaller first')
        if min(self.image_size) < MIN_IMAGE_SIDE or max(self.image_size) > MAX_IMAGE_SIDE:
            width, height = self.image_size
            raise ValueError(
                f'image_size={width}x{height}: each side must be {MIN_IMAGE_SIDE} to {MAX_IMAGE_SIDE} pixels'
            )
        limits = dict(clutter=1, contrast=1, truncation=1, occluders=20, distractors=20, facing=180, min_area=2048**2)
        for name, limit in limits.items():
            value = getattr(self, name)
            if not 0 <= value <= limit:
                raise ValueError(f'{name}={value}: must be from 0 to {limit}')
        reach = min(1.0, 0.3 * (self.people[1] - 1))  # beyond it, too many people are hidden entirely
        if not 0 <= self.crowd_index <= reach:
            raise ValueError(
                f'crowd_index={self.crowd_index}: must be from 0 to {reach:.1f}, '
                f'more is out of reach with at most {self.people[1]} people'
            )


class Scene(NamedTuple):
    """An image and its ground truth."""

    image: np.ndarray  # (H, W, 3) uint8, RGB
    instances: np.ndarray  # (H, W) uint8: 1 + the person that a pixel shows, or 0
    keypoints: np.ndarray  # (P, 17, 3): x and y in pixels, and COCO's visibility


def _seats(rng: np.random.Generator, poses: list[str], roots: np.ndarray, bodies: Bodies) -> list[Prop]:
    return [
        seat(rng, bodies.pelvis[person], np.deg2rad(roots[person, 2]), bodies.stature[person])
        for person, pose in enumerate(poses)
        if pose == 'sitting'
    ]


def _keypoints(
    bodies: Bodies, camera: Camera, instances: np.ndarray, shown: np.ndarray, surface_depth: np.ndarray
) -> np.ndarray:
    """The positions of the keypoints, and whether the camera sees them, (P, 17, 3).

    A keypoint is visible if its pixel shows its own person, and at least half of the pixel shows a surface no farther
    in front of it than the flesh is deep. Otherwise another person, a thing or the person's own body hides it.
    """
    height, width = instances.shape
    pixels, depth = camera.project(bodies.landmarks)
    pixels = pixels.round(2)
    inside = ((pixels >= 0) & (pixels <= (width - 1, height - 1))).all(axis=-1)
    x, y = np.where(inside[..., None], pixels.round(), 0).astype(int).transpose(2, 0, 1)
    person = np.arange(1, len(pixels) + 1)[:, None]
    free = (shown[:, y, x] == person) & (surface_depth[:, y, x] > depth - bodies.flesh)
    seen = (instances[y, x] == person) & (free.mean(axis=0) >= 0.5)
    visibility = np.where(inside, 1 + seen, 0)
    return np.concatenate([np.where(inside[..., None], pixels, 0), visibility[..., None]], axis=-1)


def draw_scene(rng: np.random.Generator, options: SceneOptions) -> Scene:
    """Draws a scene. The same state of ``rng`` and the same options give the same scene."""
    size = options.image_size
    num_people = int(rng.integers(options.people[0], options.people[1] + 1, size=2).min())
    poses, angles, roots = zip(
        *(random_pose(rng, options.facing, options.upright) for _ in range(num_people)), strict=True
    )
    roots = np.array(roots)
    bodies = pose_bodies(np.array(angles), roots, *random_builds(rng, num_people))
    truncated = bool(rng.random() < options.truncation)
    bodies, camera = place_people(rng, bodies, size, options.crowd_index, truncated)
    props = _seats(rng, poses, roots, bodies)
    props += occluders(rng, rng.poisson(options.occluders), bodies, camera)
    props += distractors(rng, rng.poisson(options.distractors), bodies)

    background, ground = backdrop(rng, camera, size, options.clutter)
    light = random_light(rng)
    outfits = random_outfits(rng, num_people)
    heights = camera.focal * bodies.stature / camera.project(bodies.pelvis)[1]  # in pixels
    people = dress(bodies, outfits, heights > _DETAILED_FROM, 1)
    mesh, palette, owner = _assembled(people, outfits.colors, props)
    blended = rng.uniform(0.2, 0.9) * (1 - options.contrast)  # at low contrast, people have the colours behind them
    palette = palette._replace(colors=palette.colors * (1 - blended) + np.array(cv2.mean(background)[:3]) * blended)

    buffers = rasterise(mesh, camera, size, light)
    shown, surface_depth = buffers.samples(owner)
    instances = majority(shown, surface_depth)
    lit = np.where(ground, ground_shadow(mesh, camera, size, light), np.uint8(255))
    background = cv2.multiply(background, cv2.merge([lit] * 3), scale=1 / 255)
    texture = noise(rng, 'rough', (size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING))
    image = composed(background, paint(buffers, palette, light, texture))
    return Scene(
        photographed(rng, image, options.contrast),
        instances,
        _keypoints(bodies, camera, instances, shown, surface_depth),
    )


def _assembled(people: Mesh, colors: np.ndarray, props: list[Prop]) -> tuple[Mesh, Palette, np.ndarray]:
    """The mesh of everything, its palette, and the owner of each row of the palette: 1 + person, or 0."""
    num_people = len(colors)
    first_prop = 1 + num_people * len(MATERIALS)
    meshes = [people]
    meshes += [prop.mesh._replace(surface=prop.mesh.surface + first_prop + i) for i, prop in enumerate(props)]
    colors = np.concatenate([np.zeros((1, 2, 3)), colors.reshape(-1, 2, 3), *([prop.colors] for prop in props)])
    roughness = np.full(len(colors), 0.12)
    roughness[first_prop:] = [prop.roughness for prop in props]
    owner = np.zeros(len(colors), np.uint8)
    owner[1:first_prop] = np.repeat(np.arange(1, 1 + num_people), len(MATERIALS))
    return join(meshes), Palette(colors, roughness), owner
