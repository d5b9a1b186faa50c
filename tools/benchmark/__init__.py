"""The cost of coordinate attention: networks that differ only in their attention, measured side by side in one run."""

from .measure import count_kernels, measure_peak_memory, measure_saved_bytes
from .variants import ONLY_FOR, VARIANTS, build_pose_model
from .workloads import MODES, make_workload

__all__ = [
    'MODES',
    'ONLY_FOR',
    'VARIANTS',
    'build_pose_model',
    'count_kernels',
    'make_workload',
    'measure_peak_memory',
    'measure_saved_bytes',
]
