"""Renders meshes through a z-buffer, with deferred shading."""

from typing import NamedTuple

import cv2
import numpy as np

from .camera import Camera
from .shapes import Mesh

SUPERSAMPLING = 2  # rendered pixels along each side of a pixel of the image
_NUM_LEVELS = 128  # of brightness
_NEAR, _FAR = 0.5, 100.0  # metres


class Buffers(NamedTuple):
    """The content of each rendered pixel, (H, W) each, at SUPERSAMPLING times the size of the image."""

    surface: np.ndarray  # row of the palette, 0 if empty
    shade: np.ndarray  # light from 0 to 1
    pattern: np.ndarray  # Mesh.pattern
    metres: np.ndarray  # along the camera's axis; far away if empty

    def samples(self, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rendered pixels within each pixel of the image.

        Args:
            owner (np.ndarray): The person of each row of the palette, 0 for things.

        Returns:
            tuple[np.ndarray, np.ndarray]: The person in each, and metres from the camera, (samples, H, W) each.
        """
        return _blocks(owner[self.surface]), _blocks(self.metres)


def majority(shown: np.ndarray, metres: np.ndarray) -> np.ndarray:
    """The person that most samples of each pixel show, (H, W); on a tie, the nearest."""
    votes = sum((shown == other).astype(np.float32) for other in shown)
    return np.take_along_axis(shown, (votes - metres / (2 * _FAR)).argmax(axis=0)[None], axis=0)[0]


def _blocks(values: np.ndarray) -> np.ndarray:
    return np.stack(
        [values[row::SUPERSAMPLING, column::SUPERSAMPLING] for row, column in np.ndindex(SUPERSAMPLING, SUPERSAMPLING)]
    )


class Palette(NamedTuple):
    """The colours of surfaces; row 0 stands for empty pixels."""

    colors: np.ndarray  # (K, 2, 3), RGB
    roughness: np.ndarray  # (K,), how strongly a surface varies


class Light(NamedTuple):
    """The light in the scene."""

    direction: np.ndarray  # (3,), of unit length, towards the sun or lamp
    ambient: float  # share of light that comes from everywhere
    warm: np.ndarray  # (3,), RGB factors where it is bright
    cool: np.ndarray  # (3,), RGB factors in the shade


def random_light(rng: np.random.Generator) -> Light:
    """Sun, lamp or an overcast sky."""
    azimuth, elevation = rng.uniform(-np.pi, np.pi), np.deg2rad(rng.uniform(22, 80))
    direction = np.array(
        [np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth) * 0.9]
    )
    warmth = rng.normal(0.02, 0.05)
    return Light(
        direction / np.sqrt((direction**2).sum()),
        rng.uniform(0.28, 0.7),
        np.array([1 + warmth, 1, 1 - warmth]) * rng.uniform(1.0, 1.25),
        np.array([0.94 - warmth / 2, 0.97, 1.06]) * rng.uniform(0.10, 0.3),
    )


def _corners(points: np.ndarray, triangles: np.ndarray, camera: Camera, scale: float) -> np.ndarray:
    """The corners of triangles, (F, 3, 3): x and y in rendered pixels, and 1 / metres; NaN behind the camera."""
    pixels, metres = camera.project(points)
    metres[metres < _NEAR] = np.nan
    return np.column_stack([(pixels + 0.5) * scale - 0.5, 1 / metres])[triangles]


def _repeated(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Repeats each index ``counts`` times, and numbers the repetitions of each from 0."""
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(len(index)) - np.repeat(counts.cumsum() - counts, counts)


def _edges(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The extent of each edge in x and in y, (F, 3), and twice the area, (F,), negative if seen from the front."""
    following = corners[:, [1, 2, 0]] - corners
    run, rise = following[..., 0], following[..., 1]
    return run, rise, run[:, 0] * rise[:, 1] - rise[:, 0] * run[:, 1]


def _covered(corners: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scan conversion: triangle, x and y of each pixel with its centre in a triangle seen from the front, (N,) each."""
    faces = np.flatnonzero(_edges(corners)[2] < 0)
    corners = corners[faces]
    (x, y), (run, rise, _) = np.moveaxis(corners[..., :2], -1, 0), _edges(corners)
    top, bottom = np.ceil(y.min(axis=1)).clip(0, height), np.floor(y.max(axis=1)).clip(-1, height - 1)
    triangle, row = _repeated((bottom - top + 1).clip(0).astype(int))
    row = row + top[triangle]

    # Each row of a triangle is the stretch between its edges. Edges that go down the image are to the left.
    with np.errstate(divide='ignore', invalid='ignore'):
        edge_x = (x - y * (run / rise))[triangle] + row[:, None] * (run / rise)[triangle]
    left = np.ceil(np.where(rise[triangle] > 0, edge_x, 0).max(axis=1)).clip(0, width)
    right = np.floor(np.where(rise[triangle] < 0, edge_x, width - 1).min(axis=1)).clip(-1, width - 1)
    line, column = _repeated((right - left + 1).clip(0).astype(int))
    return faces[triangle[line]], (column + left[line]).astype(int), row[line].astype(int)


def rasterise(mesh: Mesh, camera: Camera, size: tuple[int, int], light: Light) -> Buffers:
    """Draws a mesh through a z-buffer.

    Args:
        mesh (Mesh): Everything in the scene, with rows of the palette from 1.
        camera (Camera): The camera.
        size (tuple[int, int]): Width and height of the image in pixels.
        light (Light): The light.

    Returns:
        Buffers: The content of each rendered pixel.
    """
    width, height = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    corners = _corners(mesh.vertices, mesh.triangles, camera, SUPERSAMPLING)
    triangle, x, y = _covered(corners, width, height)

    # Linear over the image, as factors of x, y and 1: each corner's share, times 1 / metres, and their sum.
    run, rise, area = _edges(corners)
    with np.errstate(divide='ignore', invalid='ignore'):
        planes = np.stack([-rise, run, rise * corners[..., 0] - run * corners[..., 1]], axis=1) / area[:, None, None]
    planes = planes[..., [1, 2, 0]] * corners[:, None, :, 2]  # opposite each corner is the edge after it
    per_x, per_y, constant = planes.sum(axis=-1).T
    nearness = per_x[triangle] * x + per_y[triangle] * y + constant[triangle]

    pixel = y * width + x
    nearest = np.full(width * height, 1 / _FAR)
    np.maximum.at(nearest, pixel, nearness)
    seen = np.flatnonzero(nearness == nearest[pixel])
    triangle, pixel, x, y = triangle[seen], pixel[seen], x[seen, None], y[seen, None]
    shares = (planes[triangle, 0] * x + planes[triangle, 1] * y + planes[triangle, 2]) / nearness[seen, None]

    lambert = (mesh.normals @ light.direction).clip(0)
    sky = 0.6 + 0.4 * mesh.normals[:, 1]
    light_there = light.ambient * sky + (1 - light.ambient) * lambert
    surface = np.zeros(width * height, np.int32)
    shade, pattern = np.zeros((2, width * height), np.float32)
    surface[pixel] = mesh.surface[mesh.triangles[triangle, 0]]
    shade[pixel] = (shares * light_there[mesh.triangles[triangle]]).sum(axis=1)
    pattern[pixel] = (shares * mesh.pattern[mesh.triangles[triangle]]).sum(axis=1)
    metres = (1 / nearest).astype(np.float32)
    return Buffers(*(values.reshape(height, width) for values in (surface, shade, pattern, metres)))


def ground_shadow(mesh: Mesh, camera: Camera, size: tuple[int, int], light: Light) -> np.ndarray:
    """The light that reaches the ground, (H, W) uint8, where the image shows ground."""
    height_over_ground = np.maximum(mesh.vertices[:, 1:2], 0)
    flat = mesh.vertices - light.direction / light.direction[1] * height_over_ground
    lit = mesh.normals @ light.direction > -0.3  # back faces cast the same shadow as front faces
    triangles = mesh.triangles[lit[mesh.triangles[:, 0]]]
    half = size[0] // 2, size[1] // 2  # the shadow is blurred anyway
    _, x, y = _covered(_corners(flat * (1, 0, 1), triangles, camera, 0.5), *half)
    shadow = np.full(half[::-1], 255, np.uint8)
    shadow[y, x] = 255 * (0.85 - 0.75 * (1 - light.ambient))
    shadow = cv2.GaussianBlur(shadow, (0, 0), (0.001 + 0.01 * light.ambient**2) * size[1])
    return cv2.resize(shadow, size, interpolation=cv2.INTER_LINEAR_EXACT)


def _ambient_occlusion(metres: np.ndarray) -> np.ndarray:
    """Darkens pixels that lie behind their surroundings (Luft et al., Unsharp masking the depth buffer)."""
    behind = metres - cv2.blur(metres, (8 * SUPERSAMPLING + 1, 8 * SUPERSAMPLING + 1))
    return 1 - cv2.min(cv2.max(behind, 0), 0.5)


def paint(buffers: Buffers, palette: Palette, light: Light, texture: np.ndarray) -> np.ndarray:
    """Colours the rendered pixels.

    Args:
        buffers (Buffers): The content of each rendered pixel.
        palette (Palette): The colours.
        light (Light): The light.
        texture (np.ndarray): Noise of the size of the buffers, mean 0, standard deviation 32.

    Returns:
        np.ndarray: RGB multiplied by coverage, and coverage, (H, W, 4) uint8 at the size of the image.
    """
    height, width = buffers.surface.shape
    size = (width // SUPERSAMPLING, height // SUPERSAMPLING)
    drawn = np.flatnonzero(buffers.surface)
    surface, shade, pattern = (values.take(drawn) for values in (buffers.surface, buffers.shade, buffers.pattern))
    second = (pattern * 2 + 2000).astype(np.int32) % 2 == 0
    shade = shade * _ambient_occlusion(buffers.metres).take(drawn)
    shade *= 1 + palette.roughness.astype(np.float32)[surface] * texture.take(drawn) / np.float32(64)
    level = (shade * _NUM_LEVELS).clip(0, _NUM_LEVELS - 1).astype(np.int32)

    brightness = light.cool + (light.warm - light.cool) * np.linspace(0, 1, _NUM_LEVELS)[:, None]
    shaded = np.full((len(palette.colors), 2, _NUM_LEVELS, 4), 255, np.uint8)  # each colour at each level, and coverage
    shaded[..., :3] = (palette.colors[:, :, None] * brightness).clip(0, 255)
    image = np.zeros(height * width, np.uint32)  # of four bytes
    image[drawn] = shaded.view(np.uint32).take((2 * surface + second) * _NUM_LEVELS + level)
    return cv2.resize(image.view(np.uint8).reshape(height, width, 4), size, interpolation=cv2.INTER_AREA)
