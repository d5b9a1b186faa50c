"""A pinhole camera that looks at a group on the ground from somewhere along +z."""

from typing import NamedTuple

import numpy as np


class Camera(NamedTuple):
    """Maps world points in metres to pixels of the image, where whole numbers are the centres of pixels."""

    position: np.ndarray  # (3,)
    turn: np.ndarray  # (3, 3), world to camera; the camera looks along its -z and has y up
    focal: float  # pixels
    center: np.ndarray  # (2,), the principal point in pixels

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) in the camera's frame, in metres."""
        return (points - self.position) @ self.turn.T

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixel coordinates (..., 2) and depths in metres (...,) of world points (..., 3)."""
        in_camera = self.to_camera(points)
        depth = -in_camera[..., 2]
        return in_camera[..., :2] / depth[..., None] * (self.focal, -self.focal) + self.center, depth

    def rays(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The direction of the ray through each pixel in the world, per metre along the camera's axis.

        Args:
            size (tuple[int, int]): Width and height of the image in pixels.

        Returns:
            tuple[np.ndarray, np.ndarray, np.ndarray]: x, y and z, (H, W) float32 each.
        """
        x = ((np.arange(size[0]) - self.center[0]) / self.focal)[None].astype(np.float32)
        y = ((self.center[1] - np.arange(size[1])) / self.focal)[:, None].astype(np.float32)
        return tuple(x * right + y * up - back for right, up, back in self.turn.T.astype(np.float32))


def random_camera(rng: np.random.Generator) -> Camera:
    """A camera at a random height and distance, turned to the group about the origin, with a focal length of 1."""
    height = rng.uniform(0.6, 2.2) if rng.random() < 0.8 else rng.uniform(2.5, 4.5)
    distance = rng.uniform(4.5, 11)
    pitch, roll = np.arctan2(0.9 - height, distance), np.deg2rad(rng.normal(0, 2.5))
    cp, sp, cr, sr = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    turn = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return Camera(np.array([0.0, height, distance]), turn, 1.0, np.zeros(2))


def framed(camera: Camera, points: np.ndarray, size: tuple[int, int], fill: float, place: np.ndarray) -> Camera:
    """Zooms and shifts, as cropping a larger photo does, so that points lie within the image.

    Args:
        camera (Camera): The camera to zoom and shift.
        points (np.ndarray): World points to frame, (..., 3).
        size (tuple[int, int]): Width and height of the image in pixels.
        fill (float): Share of the image that the points span in the tighter direction; above 1, some are cut off.
        place (np.ndarray): Where the points lie in the remaining room, (2,), from 0, left or top, to 1.

    Returns:
        Camera: The camera with that frame.
    """
    pixels, _ = camera._replace(focal=1.0, center=np.zeros(2)).project(points.reshape(-1, 3))
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    focal = fill * (np.asarray(size) / (high - low)).min()
    room = np.asarray(size) - focal * (high - low)
    return camera._replace(focal=float(focal), center=place * room - 0.5 - focal * low)
