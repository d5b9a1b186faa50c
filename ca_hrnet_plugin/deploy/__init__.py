"""From a trained network to one that only infers, in PyTorch or as an ONNX graph."""

from .check import check_onnx, read_crops
from .fuse import fuse_for_inference
from .many_people import predict_people
from .onnx_graph import RUNTIMES, export_onnx, load_onnx

__all__ = ['RUNTIMES', 'check_onnx', 'export_onnx', 'fuse_for_inference', 'load_onnx', 'predict_people', 'read_crops']
