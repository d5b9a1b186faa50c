"""Turns a trained network into a faster network for inference, in PyTorch or as an ONNX graph."""

from .agreement import check_onnx, read_crops
from .freeze import Frozen, freeze_gates
from .fuse import fuse_for_inference
from .many_people import predict_people
from .onnx_graph import RUNTIMES, export_onnx, load_onnx

__all__ = [
    'RUNTIMES',
    'Frozen',
    'check_onnx',
    'export_onnx',
    'freeze_gates',
    'fuse_for_inference',
    'load_onnx',
    'predict_people',
    'read_crops',
]
