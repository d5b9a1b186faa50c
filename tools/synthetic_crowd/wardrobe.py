"""What people wear: skin, hair, garments, their colours and patterns."""

from typing import NamedTuple

import numpy as np

from .body import STRIP_PLACES, STRIP_RINGS, STRIP_TUBES, Bodies
from .shapes import Mesh, strips

MATERIALS = ('skin', 'hair', 'top', 'bottom', 'shoes', 'eye', 'iris', 'lips', 'hat')
SKIN, HAIR, TOP, BOTTOM, SHOES, EYE, IRIS, LIPS, HAT = range(len(MATERIALS))

# Colours are RGB.
_SKIN_TONES = np.array(
    [(255, 224, 196), (240, 200, 165), (224, 172, 130), (198, 134, 92), (150, 98, 64), (112, 70, 46), (78, 50, 36)]
)
_HAIR_TONES = np.array(
    [
        (24, 20, 18),
        (48, 34, 26),
        (84, 56, 36),
        (128, 88, 52),
        (190, 152, 96),
        (150, 68, 36),
        (150, 146, 142),
        (30, 26, 30),
    ]
)
_CLOTH_TONES = np.array(
    [
        *((32, 34, 40), (70, 74, 82), (128, 130, 134), (226, 224, 218), (38, 52, 92), (64, 92, 140), (120, 150, 190)),
        *((142, 40, 42), (196, 72, 58), (60, 92, 62), (112, 124, 72), (196, 160, 96), (150, 120, 90), (98, 62, 110)),
        *((214, 150, 160), (222, 180, 60), (46, 120, 124), (86, 60, 44)),
    ]
)

_MATERIAL_OF_TUBE = {
    **dict.fromkeys(('torso', 'arm', 'skirt'), TOP),
    **dict.fromkeys(('neck', 'head', 'nose', 'ear', 'hand', 'thumb', 'leg'), SKIN),
    **dict.fromkeys(('hair', 'long_hair', 'bun', 'beard', 'eyebrow'), HAIR),
    **dict(brim=HAT, mouth=LIPS, eye=EYE, iris=IRIS, foot=SHOES),
}
_STRIP_MATERIAL = np.array([_MATERIAL_OF_TUBE[tube] for tube in STRIP_TUBES])
_ALWAYS = ~np.isin(STRIP_TUBES, ('skirt', 'hair', 'long_hair', 'bun', 'beard', 'brim'))
_IS_DETAIL = np.isin(STRIP_TUBES, ('eye', 'iris', 'eyebrow', 'nose', 'mouth', 'ear', 'thumb'))
_IS_TORSO, _IS_ARM, _IS_LEG, _IS_SKIRT, _IS_HAIR = (
    tube == STRIP_TUBES for tube in ('torso', 'arm', 'leg', 'skirt', 'hair')
)


class Outfits(NamedTuple):
    """What P people wear."""

    material: np.ndarray  # (P, S): index in MATERIALS of each strip of the body
    worn: np.ndarray  # (P, S): whether the strip is there
    colors: np.ndarray  # (P, M, 2, 3): the two RGB colours of each material
    stripes: np.ndarray  # (P, M, 2): stripes per metre, sideways and upwards
    looseness: np.ndarray  # (P, M): metres between a material and the body


def _tones(rng: np.random.Generator, tones: np.ndarray, num: int, jitter: float) -> np.ndarray:
    light = rng.normal(1, jitter, (num, 1))
    return (tones[rng.integers(len(tones), size=num)] * light + rng.normal(0, 60 * jitter, (num, 3))).clip(8, 250)


def random_outfits(rng: np.random.Generator, num_people: int) -> Outfits:
    """Draws an outfit for each of ``num_people``."""
    num = num_people

    def choose(values, weights):
        return rng.choice(values, size=num, p=weights)[:, None]

    sleeve = choose((0.0, 0.42, 0.72, 1.0), (0.12, 0.36, 0.08, 0.44))  # bare, short, three quarters, long
    legs = choose((0.30, 0.48, 0.80, 1.0), (0.12, 0.12, 0.06, 0.70))
    waist = rng.uniform(0.22, 0.42, num)[:, None]
    skirted = rng.random((num, 1)) < 0.22
    coat = ~skirted & (rng.random((num, 1)) < 0.10)
    dress = skirted & (rng.random((num, 1)) < 0.5)
    hem = rng.uniform(0.4, 1.0, num)[:, None]
    hair = choose(('none', 'short', 'long', 'bun', 'hat'), (0.07, 0.42, 0.26, 0.10, 0.15))
    bearded = ~skirted & (rng.random((num, 1)) < 0.16)

    material = np.tile(_STRIP_MATERIAL, (num, 1))
    material[_IS_ARM & (sleeve < STRIP_PLACES)] = SKIN
    material[_IS_LEG & (legs > STRIP_PLACES) & ~skirted] = BOTTOM
    material[_IS_TORSO & (waist > STRIP_PLACES) & ~dress] = BOTTOM
    material[_IS_SKIRT & ~dress & ~coat] = BOTTOM
    material[_IS_HAIR & (hair == 'hat')] = HAT

    worn = np.tile(_ALWAYS, (num, 1))
    worn |= _IS_SKIRT & (skirted | coat) & (hem > STRIP_PLACES)
    worn |= _IS_HAIR & (hair != 'none')
    for tube, is_worn in (
        ('long_hair', hair == 'long'),
        ('bun', hair == 'bun'),
        ('brim', hair == 'hat'),
        ('beard', bearded),
    ):
        worn |= (tube == STRIP_TUBES) & is_worn

    colors = np.empty((num, len(MATERIALS), 2, 3))
    for index, tones, jitter in (
        (SKIN, _SKIN_TONES, 0.05),
        (HAIR, _HAIR_TONES, 0.12),
        (TOP, _CLOTH_TONES, 0.16),
        (BOTTOM, _CLOTH_TONES[:13], 0.16),
        (SHOES, _CLOTH_TONES, 0.16),
        (HAT, _CLOTH_TONES, 0.16),
    ):
        colors[:, index] = _tones(rng, tones, num, jitter)[:, None]
    colors[:, EYE], colors[:, IRIS] = (225, 222, 218), (38, 26, 20)
    colors[:, LIPS] = colors[:, SKIN] * (0.86, 0.58, 0.58)

    stripes = np.zeros((num, len(MATERIALS), 2))
    for index, share in ((TOP, 0.4), (BOTTOM, 0.12)):
        patterned = rng.random(num) < share
        per_metre = rng.uniform(4, 16, num) * patterned
        slant = rng.choice((0, np.pi / 2, np.pi / 4), size=num, p=(0.6, 0.25, 0.15))
        stripes[:, index] = np.stack([np.sin(slant), np.cos(slant)], axis=1).round(3) * per_metre[:, None]
        colors[patterned, index, 1] = _tones(rng, _CLOTH_TONES, int(patterned.sum()), 0.1)

    looseness = np.zeros((num, len(MATERIALS)))
    looseness[:, TOP] = rng.uniform(0.004, 0.018, num)
    looseness[:, BOTTOM] = rng.uniform(0.003, 0.016, num)
    return Outfits(material, worn, colors, stripes, looseness)


def dress(bodies: Bodies, outfits: Outfits, detailed: np.ndarray, first_surface: int) -> Mesh:
    """The mesh of all people in their clothes.

    Args:
        bodies (Bodies): P people.
        outfits (Outfits): What they wear.
        detailed (np.ndarray): Whether to draw a person's face and thumbs, which are invisible from afar, (P,) bool.
        first_surface (int): Row of the palette of the first person's first material; the rest follow, person by person.

    Returns:
        Mesh: All people.
    """
    person, strip = np.nonzero(outfits.worn & (detailed[:, None] | ~_IS_DETAIL))
    material = outfits.material[person, strip]
    rings = STRIP_RINGS[strip]
    normals = bodies.normals[person[:, None], rings]
    corners = (
        bodies.corners[person[:, None], rings] + normals * outfits.looseness[person, material][:, None, None, None]
    )
    pattern = (bodies.cloth[person[:, None], rings] * outfits.stripes[person, material][:, None, None]).sum(axis=-1)
    return strips(corners, normals, pattern + 0.75, first_surface + person * len(MATERIALS) + material)
