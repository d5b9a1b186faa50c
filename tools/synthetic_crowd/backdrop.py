"""The background: ground in perspective, and a street, park, room or blur beyond it."""

from functools import cache

import cv2
import numpy as np

from .camera import Camera

_TILE = 512  # pixels of a noise tile
_PAVING = 256  # pixels of a piece of ground
_TEXELS_PER_METRE = 96


@cache
def _noise_tile(kind: str, side: int = _TILE) -> np.ndarray:
    """Noise that wraps around, (side, side) int16, mean 0, standard deviation 32, the same in every process."""
    noise = np.random.default_rng(0).normal(0, 32, (side, side))
    falloff = {'grain': 0, 'rough': 1.0, 'cloud': 1.7}[kind]
    if falloff:
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing='ij'))
        frequency[0, 0] = np.inf
        noise = np.fft.irfft2(np.fft.rfft2(noise) / frequency**falloff)
        noise *= 32 / noise.std()
    return noise.round().clip(-127, 127).astype(np.int16)


def noise(rng: np.random.Generator, kind: str, size: tuple[int, int]) -> np.ndarray:
    """A random piece of noise, (height, width) int16 with mean 0 and standard deviation 32.

    Args:
        rng (np.random.Generator): Where the randomness comes from.
        kind (str): 'grain' (white), 'rough' (as of bark) or 'cloud' (smooth).
        size (tuple[int, int]): Width and height in pixels.
    """
    width, height = size
    tile = _noise_tile(kind)
    x, y = rng.integers(_TILE, size=2)
    if height > _TILE or width > _TILE:
        return tile.take(np.arange(y, y + height) % _TILE, axis=0).take(np.arange(x, x + width) % _TILE, axis=1)
    x, y = x % (_TILE - width + 1), y % (_TILE - height + 1)
    return tile[y : y + height, x : x + width]


def _add_noise(image: np.ndarray, pattern: np.ndarray, strength: float) -> np.ndarray:
    layer = cv2.convertScaleAbs(pattern, alpha=strength, beta=128)
    return cv2.addWeighted(image, 1, cv2.merge([layer] * 3), 1, -128)


def _gradient(top, bottom, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(
        np.array([[top], [bottom]]).clip(0, 255).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR_EXACT
    )


def _color(rng: np.random.Generator, low: float, high: float, saturation: float) -> np.ndarray:
    return (rng.uniform(low, high) + rng.normal(0, saturation, 3)).clip(0, 255)


def _rectangle(image: np.ndarray, x: float, y: float, width: float, height: float, color) -> None:
    cv2.rectangle(
        image, (int(x), int(y)), (int(x + width), int(y + height)), [int(value) for value in color], cv2.FILLED
    )


def _street(rng: np.random.Generator, size: tuple[int, int], horizon: float, num_things: int) -> np.ndarray:
    width, height = size
    sky = _color(rng, 150, 240, 10) + np.array([-12, 0, 14])
    image = _gradient(sky - 25, sky, size)
    for _ in range(2 + num_things):
        wall = _color(rng, 60, 190, 13)
        w = rng.uniform(0.12, 0.5) * width
        x, y = rng.uniform(-0.2, 1) * width, horizon - rng.uniform(0.2, 1.1) * height
        _rectangle(image, x, y, w, height, wall)
        step, glass = rng.uniform(0.04, 0.1) * height, wall * rng.uniform(0.4, 0.75)
        for window_y in np.arange(y + step / 2, horizon, step * 1.5):
            for window_x in np.arange(x + step / 3, x + w - step / 2, step):
                _rectangle(image, window_x, window_y, step * 0.5, step * 0.8, glass)
    for _ in range(num_things):  # parked cars, kiosks, bins
        w, h = rng.uniform(0.05, 0.3) * width, rng.uniform(0.04, 0.16) * height
        _rectangle(image, rng.uniform(-0.1, 1) * width, horizon - h, w, 2 * h, _color(rng, 30, 220, 24))
    return image


def _park(rng: np.random.Generator, size: tuple[int, int], horizon: float, num_things: int) -> np.ndarray:
    width, height = size
    sky = _color(rng, 160, 245, 8) + np.array([-14, 0, 12])
    image = _gradient(sky - 20, sky, size)
    for _ in range(2 + num_things):
        x, radius = rng.uniform(0, width), rng.uniform(0.08, 0.25) * height
        y = horizon - rng.uniform(0.1, 0.8) * height
        green = np.array([70, 92, 44]) * rng.uniform(0.5, 1.3) + rng.normal(0, 10, 3)
        cv2.line(
            image, (int(x), int(y)), (int(x), height), (green * 0.6).clip(0, 255).tolist(), max(1, int(radius / 5))
        )
        blobs = np.stack([rng.normal(x, radius * 0.6, 14), rng.normal(y, radius * 0.5, 14)], axis=1).astype(int)
        light = np.linspace(0.7, 1.25, 14)[:, None] * green
        for (blob_x, blob_y), tone in zip(blobs.tolist(), light.clip(0, 255).tolist(), strict=True):
            cv2.circle(image, (blob_x, blob_y), int(radius * rng.uniform(0.2, 0.5)), tone, cv2.FILLED)
    hedge = np.array([64, 84, 46]) * rng.uniform(0.5, 1.3)
    _rectangle(image, 0, horizon - rng.uniform(0.02, 0.15) * height, width, height, hedge.clip(0, 255))
    return image


def _room(rng: np.random.Generator, size: tuple[int, int], horizon: float, num_things: int) -> np.ndarray:
    width, height = size
    wall = _color(rng, 90, 220, 11)
    image = _gradient(wall * 1.08, wall * 0.85, size)
    _rectangle(image, 0, horizon - 0.03 * height, width, height, wall * 0.6)
    for _ in range(num_things):
        w, h = rng.uniform(0.06, 0.35, 2) * (width, height)
        x, y = rng.uniform(-0.1, 1) * width, rng.uniform(0, 1) * max(horizon - h, 1)
        kind = rng.integers(3)
        frame, inside = _color(rng, 30, 220, 30), _color(rng, 30, 235, 35)
        if kind == 0:  # a picture, window or screen
            _rectangle(image, x, y, w, h, frame)
            _rectangle(image, x + 2, y + 2, w - 4, h - 4, inside)
        elif kind == 1:  # a shelf with books
            _rectangle(image, x, y, w, h, frame * 0.6)
            for shelf in np.linspace(y, y + h, 4)[:-1]:
                for book in np.arange(x + 1, x + w - 4, max(3, 0.012 * width)):
                    tall = h / 3 * rng.uniform(0.5, 0.9)
                    _rectangle(image, book, shelf + h / 3 - tall, max(2, 0.008 * width), tall, _color(rng, 30, 220, 45))
        else:  # a door or cupboard
            _rectangle(image, x, horizon - 0.55 * height, 0.2 * width, height, frame)
    return image


def _blur(rng: np.random.Generator, size: tuple[int, int], horizon: float, num_things: int) -> np.ndarray:
    """Out-of-focus lights and shapes, some with the sizes and colours of distant people."""
    width, height = size[0] // 4, size[1] // 4  # the blur leaves no finer details
    image = _gradient(_color(rng, 20, 200, 14), _color(rng, 20, 200, 14), (width, height))
    for _ in range(6 + 3 * num_things):
        center = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        axes = (int(rng.uniform(0.02, 0.10) * width), int(rng.uniform(0.03, 0.25) * height))
        cv2.ellipse(image, center, axes, 0, 0, 360, _color(rng, 20, 245, 24).tolist(), cv2.FILLED)
    image = cv2.GaussianBlur(image, (0, 0), 0.02 * height, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR_EXACT)


def _paving(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """A square of ground to repeat, (_PAVING, _PAVING, 3)."""
    image = np.full((_PAVING, _PAVING, 3), base.clip(20, 235), np.uint8)
    step = int(rng.choice((32, 64, 128)))
    line = (base * rng.uniform(0.65, 1.12)).clip(0, 255).tolist()
    kind = rng.integers(4)  # the fourth is bare
    if kind == 0:  # slabs
        for at in range(0, _PAVING, step):
            cv2.line(image, (at, 0), (at, _PAVING), line, 2)
            cv2.line(image, (0, at), (_PAVING, at), line, 2)
    elif kind == 1:  # planks
        for at in range(0, _PAVING, step // 2):
            _rectangle(image, 0, at, _PAVING, step // 2 - 2, (base * rng.uniform(0.88, 1.12)).clip(0, 255))
    elif kind == 2:  # chequers
        for at in range(0, _PAVING, step):
            for across in range(at % (2 * step), _PAVING, 2 * step):
                _rectangle(image, across, at, step - 1, step - 1, line)
    return image


def _laid(paving: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The endlessly repeated paving at texels x and y, (H, W) float32 each.

    Positions are whole 32nds of a texel, because cv2.warpPerspective rounds differently on other processors.
    """
    x, y = (np.rint(texels.clip(-1e6, 1e6) * 32).astype(np.int32) for texels in (x, y))
    whole = np.stack([x >> 5, y >> 5], axis=-1) % _PAVING
    fraction = ((y & 31) << 5 | (x & 31)).astype(np.uint16)
    return cv2.remap(paving, whole.astype(np.int16), fraction, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _ground(rng: np.random.Generator, x: np.ndarray, z: np.ndarray, footprint: np.ndarray, indoors: bool) -> np.ndarray:
    """The ground at x and z metres, where a pixel covers ``footprint`` metres; all (H, W)."""
    grass = np.array([92, 106, 60]) * rng.uniform(0.6, 1.25)
    base = grass if not indoors and rng.random() < 0.35 else _color(rng, 80, 180, 7)
    paving = _add_noise(_paving(rng, base), _noise_tile('rough', _PAVING), rng.uniform(0.05, 0.4))
    heading = rng.uniform(0, np.pi)
    cos, sin = np.float32(_TEXELS_PER_METRE * np.cos(heading)), np.float32(_TEXELS_PER_METRE * np.sin(heading))
    floor = _laid(paving, x * cos + z * sin, z * cos - x * sin)
    # Far away, details finer than a pixel would flicker, so they fade into the mean.
    kept = np.minimum(np.float32(6 / _TEXELS_PER_METRE) / footprint, np.float32(1))
    kept = (kept * 255).astype(np.uint8)
    mean = cv2.multiply(cv2.merge([255 - kept] * 3), (*base.clip(0, 255), 0), scale=1 / 255)
    return cv2.add(cv2.multiply(floor, cv2.merge([kept] * 3), scale=1 / 255), mean)


def backdrop(
    rng: np.random.Generator, camera: Camera, size: tuple[int, int], clutter: float
) -> tuple[np.ndarray, np.ndarray]:
    """Paints the background.

    Args:
        rng (np.random.Generator): Where the randomness comes from.
        camera (Camera): The camera, which decides where the ground is.
        size (tuple[int, int]): Width and height in pixels.
        clutter (float): How busy the background is, from 0 to 1.

    Returns:
        tuple[np.ndarray, np.ndarray]: RGB image, (H, W, 3) uint8, and the mask of the ground, (H, W) bool.
    """
    scenery = (_street, _park, _room, _blur)[rng.integers(4)]
    indoors = scenery is _room
    far = camera.position[2] + (rng.uniform(3, 5) if indoors else 40)  # where the ground ends
    x, y, z = camera.rays(size)
    height = np.float32(camera.position[1])
    ground = np.float32(far) * y < height * z  # where rays reach the ground before it ends
    horizon = np.count_nonzero(~ground) / size[0]  # the mean row where ground begins

    image = scenery(rng, size, horizon, round(8 * clutter))
    image = _add_noise(image, noise(rng, 'cloud', size), rng.uniform(0.1, 0.7) * (0.3 + 0.7 * clutter))
    image = _add_noise(image, noise(rng, 'rough', size), rng.uniform(0, 0.5) * clutter)
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.002, 0.009) * size[1], borderType=cv2.BORDER_REPLICATE)

    top = int(ground.any(axis=1).argmax())
    depth = height / np.maximum(-y[top:], np.float32(1e-6))  # metres along the camera's axis to the ground
    floor = _ground(rng, x[top:] * depth, z[top:] * depth, depth / np.float32(camera.focal), indoors)
    cv2.copyTo(floor, ground[top:].view(np.uint8), image[top:])
    return image, ground
