"""The effects of a camera: haze, defocus, motion blur, exposure, vignetting, noise and compression."""

import cv2
import numpy as np

from .backdrop import noise


def composed(backdrop: np.ndarray, layer: np.ndarray) -> np.ndarray:
    """Lays a layer of coverage-weighted RGB and coverage, (H, W, 4), over a backdrop, (H, W, 3); uint8."""
    *image, coverage = cv2.split(layer)
    uncovered = cv2.merge([255 - coverage] * 3)
    return cv2.add(cv2.multiply(backdrop, uncovered, scale=1 / 255), cv2.merge(image))


def _motion_blur(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    end = rng.integers(length)
    ends = ((0, int(end)), (length - 1, int(length - 1 - end)))
    cv2.line(kernel, *(ends if rng.random() < 0.5 else [point[::-1] for point in ends]), 1)
    summed = cv2.filter2D(image, cv2.CV_16S, kernel)  # exact; a kernel of fractions gives other bits elsewhere
    return cv2.convertScaleAbs(summed, alpha=1 / kernel.sum())


def photographed(rng: np.random.Generator, image: np.ndarray, contrast: float) -> np.ndarray:
    """Makes a photo of a clean RGB image, (H, W, 3) uint8; keypoints stay where they are.

    Args:
        rng (np.random.Generator): Where the randomness comes from.
        image (np.ndarray): The scene.
        contrast (float): From 0, where most of it is lost in haze or darkness, to 1, where none is.
    """
    height, width = image.shape[:2]
    if rng.random() < 0.12:
        image = _motion_blur(rng, image)
    if rng.random() < 0.25:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.2))

    haze = rng.uniform(20, 230)
    kept = 1 - rng.uniform(0.35, 0.85) * (1 - contrast)
    gamma = rng.lognormal(0, 0.15)
    curve = ((np.arange(256) / 255) ** gamma * 255 * kept + haze * (1 - kept)) * rng.uniform(0.85, 1.1)
    tint = rng.normal(1, 0.03, 3)
    image = cv2.LUT(image, (curve[:, None] * tint).round().clip(0, 255).astype(np.uint8)[None])

    if rng.random() < 0.4:
        y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        dim = 1 - rng.uniform(0.08, 0.22) * (x * x + y * y)
        image = cv2.multiply(image, cv2.merge([(dim * 255).astype(np.uint8)] * 3), scale=1 / 255)

    grain = noise(rng, 'grain', (width * 3, height)).reshape(height, width, 3)
    strength = rng.uniform(0.02, 0.12) if rng.random() < 0.75 else rng.uniform(0.15, 0.4)
    image = cv2.addWeighted(image, 1, grain, strength, 0, dtype=cv2.CV_8U)
    if rng.random() < 0.2:
        quality = int(rng.integers(25, 60))
        image = cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    return image
