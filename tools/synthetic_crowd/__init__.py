"""Draws a synthetic crowd, and writes it in the COCO format that MMPose's configs read."""

from .contact_sheet import contact_sheet
from .scene import SceneOptions
from .synthetic_crowd import make_synthetic_crowd

__all__ = ['SceneOptions', 'contact_sheet', 'make_synthetic_crowd']
