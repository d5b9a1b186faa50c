from .crowd_coco_metric import CrowdCocoMetric
from .crowd_index import crowd_index
from .gate_statistics import GateStatistics, gate_statistics
from .paired_bootstrap import Interval, paired_bootstrap
from .people import training_people
from .split_eval import AREAS, Split, SplitEval, evaluate_results, level_splits, load_results

__all__ = [
    'AREAS',
    'CrowdCocoMetric',
    'GateStatistics',
    'Interval',
    'Split',
    'SplitEval',
    'crowd_index',
    'evaluate_results',
    'gate_statistics',
    'level_splits',
    'load_results',
    'paired_bootstrap',
    'training_people',
]
