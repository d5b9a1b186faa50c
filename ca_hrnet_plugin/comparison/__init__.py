"""Trains, tests and compares networks: the steps of tools/compare.py, which a script can take by itself.

:func:`attention_variants` names the networks, :func:`write_configs` writes a config for each run,
:func:`remaining_runs` lists what is left to do, and :func:`run_all` does it. :mod:`ca_hrnet_plugin.reporting` reads the
result.
"""

from ..reporting.comparison_files import ComparisonFiles
from .configs import write_configs
from .folds import write_folds
from .launch import Launch, Progress, remaining_runs, run_all, start_tests
from .start import different_features, different_results, filled_networks, pretrained_networks
from .variants import attention_variants, read_config

__all__ = [
    'ComparisonFiles',
    'Launch',
    'Progress',
    'attention_variants',
    'different_features',
    'different_results',
    'filled_networks',
    'pretrained_networks',
    'read_config',
    'remaining_runs',
    'run_all',
    'start_tests',
    'write_configs',
    'write_folds',
]
