from .crowd_coco_metric import CrowdCocoMetric
from .crowd_index import crowd_index
from .paired_bootstrap import Interval, paired_bootstrap
from .split_eval import AREAS, Split, SplitEval, evaluate_results, level_splits, load_results

__all__ = [
    'AREAS',
    'CrowdCocoMetric',
    'Interval',
    'Split',
    'SplitEval',
    'crowd_index',
    'evaluate_results',
    'level_splits',
    'load_results',
    'paired_bootstrap',
]
