"""The figure by which a run keeps its best checkpoint: whether validation gives it."""

from collections.abc import Collection

from mmengine.config import Config
from mmengine.registry import METRICS
from mmpose.evaluation.metrics import CocoMetric

from ..evaluation import CrowdCocoMetric
from ..evaluation.evaluators import class_of, metric_configs
from .report import Report

FIGURES = ('AP', 'AP .5', 'AP .75', 'AR', 'AR .5', 'AR .75', 'instances')


def check_best(cfg: Config, parts: Collection[str], report: Report) -> None:
    """Checks ``save_best`` against MMPose's COCO metrics; MMEngine raises a KeyError after the first validation.

    Args:
        cfg (Config): A whole config, whose default scope is the current one.
        parts (Collection[str]): Which of ``'train'``, ``'val'`` and ``'test'`` will run.
        report (Report): Where problems go.
    """
    names = ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('save_best')
    if 'val' not in parts or cfg.get('val_cfg') is None or not names:
        return
    prefixes = []
    for metric in metric_configs(cfg.get('val_evaluator')):
        try:
            kind = class_of(METRICS, metric)
        except Exception:  # a problem that check_data reports
            return
        if kind not in (CocoMetric, CrowdCocoMetric) or metric.get('format_only'):
            return  # others name their figures as they like
        prefixes.append(metric.get('prefix') or kind.default_prefix)
    if not prefixes:
        return
    for name in names if isinstance(names, list | tuple) else [names]:
        prefix, _, figure = str(name).rpartition('/')
        figure = figure.partition('(')[0].rstrip()  # such as AP of 'AP (M)' and of 'AP (crowd easy)'
        if name != 'auto' and (prefix not in prefixes or figure not in FIGURES):
            report.problems.append(
                f'default_hooks.checkpoint.save_best={name!r} is no figure of val_evaluator: give one such as '
                f"'{prefixes[0]}/AP'"
            )
