"""Solid shapes as triangles: lofts (rings joined to tubes and rounded bodies), boxes and leaves.

Everything has y up and lengths in metres. Triangles run anticlockwise as seen from outside.
"""

from typing import NamedTuple

import numpy as np

NUM_SIDES = 8  # of a loft: corners of each of its rings
_ANGLES = np.arange(NUM_SIDES) * (2 * np.pi / NUM_SIDES)
_COS, _SIN = np.cos(_ANGLES)[:, None], np.sin(_ANGLES)[:, None]
_NEXT = np.roll(np.arange(NUM_SIDES), -1)
_STRIP_TRIANGLES = np.concatenate(  # between the corners of one ring, 0 to N - 1, and of the next, N to 2 N - 1
    [
        np.stack([np.arange(NUM_SIDES), _NEXT, _NEXT + NUM_SIDES], axis=1),
        np.stack([np.arange(NUM_SIDES), _NEXT + NUM_SIDES, np.arange(NUM_SIDES) + NUM_SIDES], axis=1),
    ]
)


class Mesh(NamedTuple):
    """Triangles with all attributes for shading."""

    vertices: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3), of unit length
    pattern: np.ndarray  # (V,): the second colour shows where the fraction is below a half
    surface: np.ndarray  # (V,): row of the palette, the same for all corners of a triangle
    triangles: np.ndarray  # (F, 3) vertex indices


def join(meshes: list[Mesh]) -> Mesh:
    """Joins meshes into one mesh."""
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    *attributes, triangles = zip(*meshes, strict=True)
    triangles = np.concatenate([indices + start for indices, start in zip(triangles, starts, strict=True)])
    return Mesh(*(np.concatenate(parts) for parts in attributes), triangles)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) scaled to length 1; zero stays zero."""
    return vectors / np.maximum(np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True)), 1e-12)


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The cross product over the last axis: np.cross, without its overhead for small arrays."""
    (ax, ay, az), (bx, by, bz) = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def loft_rings(center: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The corners of elliptic rings, and the tangents around them.

    Args:
        center (np.ndarray): Centres, (..., R, 3).
        a (np.ndarray): First half axes, (..., R, 3).
        b (np.ndarray): Second half axes, (..., R, 3); ``a x b`` points along the loft.

    Returns:
        tuple[np.ndarray, np.ndarray]: Corners and tangents, both (..., R, NUM_SIDES, 3).
    """
    a, b = a[..., None, :], b[..., None, :]
    return center[..., None, :] + _COS * a + _SIN * b, _COS * b - _SIN * a


def strips(vertices: np.ndarray, normals: np.ndarray, pattern: np.ndarray, surface: np.ndarray) -> Mesh:
    """A mesh of strips, each between two rings.

    Args:
        vertices (np.ndarray): Corners of both rings of each strip, (K, 2, NUM_SIDES, 3).
        normals (np.ndarray): Their normals, (K, 2, NUM_SIDES, 3).
        pattern (np.ndarray): Their place in the pattern, (K, 2, NUM_SIDES).
        surface (np.ndarray): Row of the palette of each strip, (K,).

    Returns:
        Mesh: Strips that share no vertex, so that surfaces change sharply from one to the next.
    """
    num_strips = len(surface)
    starts = np.arange(num_strips) * (2 * NUM_SIDES)
    return Mesh(
        vertices.reshape(-1, 3),
        normals.reshape(-1, 3),
        pattern.reshape(-1),
        np.repeat(surface, 2 * NUM_SIDES),
        (_STRIP_TRIANGLES + starts[:, None, None]).reshape(-1, 3),
    )


def _tangents(points: np.ndarray) -> np.ndarray:
    """The vectors from the previous point to the next point, along the first axis."""
    padded = np.concatenate([points[:1], points, points[-1:]])
    return padded[2:] - padded[:-2]


def tube(path: np.ndarray, radii: np.ndarray, surface: int, stripes_per_metre: float = 0.0) -> Mesh:
    """A round tube along a path (R, 3) with a radius at each point (R,), open at its ends."""
    along = unit(_tangents(path))
    helper = np.where(np.abs(along[:, :1]) < 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    a = unit(cross(along, helper))
    corners, around = loft_rings(path, a * radii[:, None], cross(along, a) * radii[:, None])
    normals = unit(cross(around, _tangents(corners)))
    length = np.concatenate([[0.0], np.cumsum(np.sqrt((np.diff(path, axis=0) ** 2).sum(axis=1)))])
    pattern = np.repeat(length[:, None] * stripes_per_metre + 0.75, NUM_SIDES, axis=1)
    pairs = np.stack([np.arange(len(path) - 1), np.arange(1, len(path))], axis=1)
    return strips(corners[pairs], normals[pairs], pattern[pairs], np.full(len(pairs), surface))


def _quads(corners: np.ndarray, normals: np.ndarray, pattern: np.ndarray, surface: int) -> Mesh:
    """Flat quadrangles (N, 4, 3) with a normal each (N, 3)."""
    starts = 4 * np.arange(len(corners))[:, None, None]
    return Mesh(
        corners.reshape(-1, 3),
        np.repeat(normals, 4, axis=0),
        pattern.reshape(-1),
        np.full(4 * len(corners), surface),
        (np.array([[0, 1, 2], [0, 2, 3]]) + starts).reshape(-1, 3),
    )


_BOX_FACES = np.array(
    [
        [(-1, -1, 1), (1, -1, 1), (1, 1, 1), (-1, 1, 1)],
        [(1, -1, -1), (-1, -1, -1), (-1, 1, -1), (1, 1, -1)],
        [(1, -1, 1), (1, -1, -1), (1, 1, -1), (1, 1, 1)],
        [(-1, -1, -1), (-1, -1, 1), (-1, 1, 1), (-1, 1, -1)],
        [(-1, 1, 1), (1, 1, 1), (1, 1, -1), (-1, 1, -1)],
        [(-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1)],
    ],
    dtype=float,
)


def box(center, size, yaw: float, surface: int, stripes_per_metre: float = 0.0) -> Mesh:
    """A box of ``size`` (3,) about ``center`` (3,), turned by ``yaw`` radians about the vertical."""
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    half = _BOX_FACES * (np.asarray(size) / 2)
    pattern = half[..., 1] * stripes_per_metre + 0.75
    return _quads(half @ turn.T + center, _BOX_FACES.mean(axis=1) @ turn.T, pattern, surface)


def leaves(centers: np.ndarray, sizes: np.ndarray, tilt: np.ndarray, surface: int) -> Mesh:
    """Flat leaves at centres (N, 3) that roughly face z, with half lengths (N,) and tilts in radians (N, 2)."""
    cos, sin = np.cos(tilt[:, 0]), np.sin(tilt[:, 0])
    lean = tilt[:, 1]
    long = np.stack([cos, sin, np.sin(lean)], axis=1) * sizes[:, None]
    wide = np.stack([-sin, cos, 0 * cos], axis=1) * sizes[:, None] * 0.45
    corners = centers[:, None] + np.stack([-long, -wide, long, wide], axis=1)
    normals = unit(np.stack([np.sin(lean), 0.4 + 0 * lean, np.cos(lean)], axis=1))
    return _quads(corners, normals, np.full((len(centers), 4), 0.75), surface)
