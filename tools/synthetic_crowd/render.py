"""Renders meshes with OpenCV's rasteriser into what deferred shading needs, and shades them."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from .camera import Camera
from .shapes import Mesh

SUPERSAMPLING = 2  # rendered pixels along each side of a pixel of the image
_MAX_SURFACES = 4096
_NUM_LEVELS = 128  # of brightness
_NEAR, _FAR = 0.5, 100.0  # metres
_NOTHING = 1.0  # in a depth buffer


class Buffers(NamedTuple):
    """What each rendered pixel shows, at SUPERSAMPLING times the size of the image."""

    values: np.ndarray  # (H, W, 3) float32: row of the palette / _MAX_SURFACES, light from 0 to 1, and Mesh.pattern
    depth: np.ndarray  # (H, W) float32, as OpenGL has it: from 0 at _NEAR to 1 at _FAR, where nothing is

    def metres(self) -> np.ndarray:
        """Metres from the camera, (H, W)."""
        return _FAR * _NEAR / (_FAR - self.depth * (_FAR - _NEAR))

    def samples(self, owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rendered pixels within each pixel of the image.

        Args:
            owner (np.ndarray): Who owns each row of the palette, 0 for nobody.

        Returns:
            tuple[np.ndarray, np.ndarray]: Whom each shows, and metres from the camera; (samples, H, W) at image size.
        """
        shown = owner[np.where(self.depth < _NOTHING, _surface(self.values[..., 0]), 0)]
        return _blocks(shown), _blocks(self.metres())


def majority(shown: np.ndarray, metres: np.ndarray) -> np.ndarray:
    """Whom most samples of each pixel show, (H, W); of several as common, the nearest."""
    votes = sum((shown == other).astype(np.float32) for other in shown)
    return np.take_along_axis(shown, (votes - metres / (2 * _FAR)).argmax(axis=0)[None], axis=0)[0]


def _blocks(values: np.ndarray) -> np.ndarray:
    return np.stack(
        [values[row::SUPERSAMPLING, column::SUPERSAMPLING] for row, column in np.ndindex(SUPERSAMPLING, SUPERSAMPLING)]
    )


class Palette(NamedTuple):
    """The colours of surfaces; row 0 is nothing."""

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


def _settings(shading: int) -> 'cv2.TriangleRasterizeSettings':
    settings = cv2.TriangleRasterizeSettings().setShadingType(shading).setCullingMode(cv2.RASTERIZE_CULLING_CW)
    return settings.setGlCompatibleMode(cv2.RASTERIZE_COMPAT_INVDEPTH)


def _in_front(triangles: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """The triangles that lie wholly in front of the camera."""
    behind = vertices[:, 2] > -_NEAR
    return (triangles[~behind[triangles].any(axis=1)] if behind.any() else triangles).astype(np.int32)


def _rasteriser_vertices(points: np.ndarray, camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """World points (V, 3) in the rasteriser's frame: 90 degrees high, looking at the middle of the image."""
    x, y, z = camera.to_camera(points).T
    width, height = size
    shift = camera.center + 0.5 - (width / 2, height / 2)
    half = height / 2
    return np.stack([(camera.focal * x - shift[0] * z) / half, (camera.focal * y + shift[1] * z) / half, z], axis=1)


@lru_cache(maxsize=1)
def _canvas(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Memory to draw in, kept for the next scene: to get it from the system takes as long as to draw."""
    return np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)


def rasterise(mesh: Mesh, camera: Camera, size: tuple[int, int], light: Light) -> Buffers:
    """Draws a mesh through a z-buffer.

    Args:
        mesh (Mesh): Everything in the scene; rows of the palette from 1.
        camera (Camera): Who looks.
        size (tuple[int, int]): Width and height of the image in pixels.
        light (Light): What shines.

    Returns:
        Buffers: What each rendered pixel shows, until the next call.
    """
    width, height = size[0] * SUPERSAMPLING, size[1] * SUPERSAMPLING
    vertices = _rasteriser_vertices(mesh.vertices, camera, size)
    lambert = (mesh.normals @ light.direction).clip(0)
    sky = 0.6 + 0.4 * mesh.normals[:, 1]
    shade = light.ambient * sky + (1 - light.ambient) * lambert
    attributes = np.stack([mesh.surface / _MAX_SURFACES, shade, mesh.pattern], axis=1).astype(np.float32)
    values, depth = _canvas(width, height)
    depth[:] = _NOTHING  # values hold where something is nearer
    cv2.triangleRasterize(
        vertices.astype(np.float32),
        _in_front(mesh.triangles, vertices),
        attributes,
        values,
        depth,
        np.eye(4, dtype=np.float32),
        np.pi / 2,
        _NEAR,
        _FAR,
        _settings(cv2.RASTERIZE_SHADING_SHADED),
    )
    return Buffers(values, depth)


def _surface(values: np.ndarray) -> np.ndarray:
    return (values * _MAX_SURFACES + np.float32(0.5)).astype(np.int32)


def ground_shadow(mesh: Mesh, camera: Camera, size: tuple[int, int], light: Light) -> np.ndarray:
    """How much light reaches the ground, (H, W) uint8, where the image shows ground."""
    height_over_ground = np.maximum(mesh.vertices[:, 1:2], 0)
    flat = mesh.vertices - light.direction / light.direction[1] * height_over_ground
    vertices = _rasteriser_vertices(flat * (1, 0, 1), camera, size)
    lit = mesh.normals @ light.direction > -0.3  # what faces away casts the same shadow as what is before it
    depth = np.full((size[1] // 2, size[0] // 2), _NOTHING, np.float32)  # it is blurred anyway
    cv2.triangleRasterizeDepth(
        vertices.astype(np.float32),
        _in_front(mesh.triangles[lit[mesh.triangles[:, 0]]], vertices),
        depth,
        np.eye(4, dtype=np.float32),
        np.pi / 2,
        _NEAR,
        _FAR,
        _settings(cv2.RASTERIZE_SHADING_WHITE),
    )
    left = 255 * (0.85 - 0.75 * (1 - light.ambient))
    shadow = np.where(depth < _NOTHING, np.uint8(left), np.uint8(255))
    shadow = cv2.GaussianBlur(shadow, (0, 0), (0.001 + 0.01 * light.ambient**2) * size[1])
    return cv2.resize(shadow, size, interpolation=cv2.INTER_LINEAR_EXACT)


def _ambient_occlusion(metres: np.ndarray) -> np.ndarray:
    """Darkens what lies behind its surroundings (Luft et al., Unsharp masking the depth buffer)."""
    behind = metres - cv2.blur(metres, (8 * SUPERSAMPLING + 1, 8 * SUPERSAMPLING + 1))
    return 1 - cv2.min(cv2.max(behind, 0), 0.5)


def paint(buffers: Buffers, palette: Palette, light: Light, texture: np.ndarray) -> np.ndarray:
    """Colours what the buffers hold.

    Args:
        buffers (Buffers): What each rendered pixel shows.
        palette (Palette): The colours.
        light (Light): What shines.
        texture (np.ndarray): Noise of the size of the buffers, mean 0, standard deviation 32.

    Returns:
        np.ndarray: RGB multiplied by coverage, and coverage, (H, W, 4) uint8 at the size of the image.
    """
    height, width = buffers.depth.shape
    size = (width // SUPERSAMPLING, height // SUPERSAMPLING)
    there = np.flatnonzero(buffers.depth < _NOTHING)
    surface, shade, pattern = buffers.values.reshape(-1, 3).take(there, axis=0).T
    surface = _surface(surface)
    second = (pattern * 2 + 2000).astype(np.int32) % 2 == 0
    shade = shade * _ambient_occlusion(buffers.metres()).take(there)
    shade *= 1 + palette.roughness.astype(np.float32)[surface] * texture.take(there) / np.float32(64)
    level = (shade * _NUM_LEVELS).clip(0, _NUM_LEVELS - 1).astype(np.int32)

    brightness = light.cool + (light.warm - light.cool) * np.linspace(0, 1, _NUM_LEVELS)[:, None]
    shaded = np.full((len(palette.colors), 2, _NUM_LEVELS, 4), 255, np.uint8)  # each colour at each level, and coverage
    shaded[..., :3] = (palette.colors[:, :, None] * brightness).clip(0, 255)
    image = np.zeros(height * width, np.uint32)  # of four bytes
    image[there] = shaded.view(np.uint32).take((2 * surface + second) * _NUM_LEVELS + level)
    return cv2.resize(image.view(np.uint8).reshape(height, width, 4), size, interpolation=cv2.INTER_AREA)
