"""A synthetic crowd in COCO format: drawing people, and writing what MMPose's COCO configs read."""

from .contact_sheet import contact_sheet
from .scene import SceneOptions
from .synthetic_crowd import make_synthetic_crowd

__all__ = ['SceneOptions', 'contact_sheet', 'make_synthetic_crowd']
