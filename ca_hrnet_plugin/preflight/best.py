"""The figures by which a run keeps its best checkpoint, stops early and lowers its learning rate."""

from collections import Counter
from collections.abc import Collection, Iterator

from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import METRICS
from mmpose.evaluation import metrics

from ..evaluation import CrowdCocoMetric, level_splits
from ..evaluation.evaluators import class_of, metric_configs, type_name
from ..evaluation.split_eval import COCO_FIGURES
from .report import Report

COCO_CROWD = ('AP', 'AP .5', 'AP .75', 'AR', 'AR .5', 'AR .75', 'AP(E)', 'AP(M)', 'AP(H)')
LEVELS = ('crowd_levels', 'hidden_levels', 'overlap_levels')
PCK = {'bbox': 'PCK', 'head': 'PCKh', 'torso': 'tPCK'}  # by norm_item
MPII_PARTS = ('Head', 'Shoulder', 'Elbow', 'Wrist', 'Hip', 'Knee', 'Ankle')
JHMDB_PARTS = ('Head', 'Sho', 'Elb', 'Wri', 'Hip', 'Knee', 'Ank')
LOWER_IS_BETTER = ('EPE', 'NME')  # ends of names


def check_best(cfg: Config, parts: Collection[str], report: Report) -> None:
    """Checks the figures of MMPose's metrics, and what hooks and schedules monitor.

    With a wrong figure or rule, a run ends after the first validation or test, never stops early, or keeps its worst
    checkpoint.

    Args:
        cfg (Config): A whole config, whose default scope is the current one.
        parts (Collection[str]): Which of ``'train'``, ``'val'`` and ``'test'`` will run.
        report (Report): Where problems go.
    """
    for part in ('val', 'test'):
        if part not in parts or cfg.get(f'{part}_cfg') is None:
            continue
        figures = _all_figures(cfg.get(f'{part}_evaluator'))
        repeated = [name for name, count in Counter(figures).items() if count > 1]
        if repeated:
            report.problems.append(
                f'{repeated[0]!r} is a figure of two metrics of {part}_evaluator: give each a prefix'
            )
        if part == 'val':
            _check_monitored(cfg, figures, report)


def _check_monitored(cfg: Config, figures: list[str], report: Report) -> None:
    for key, name, rule in _monitored(cfg) if figures else ():
        figure = figures[0] if name == 'auto' else name
        better = 'less' if figure.endswith(LOWER_IS_BETTER) else 'greater'
        if figure not in figures:
            example = next(figure for figure in figures if ' ' not in figure)
            report.problems.append(f'{key}={name!r} is no figure of val_evaluator: give one such as {example!r}')
        elif not _prefers(better, figure, rule):
            place, given = key.rpartition('.')[0], 'needs a rule' if rule is None else f'has rule={rule!r}'
            report.problems.append(f'{place} {given} for {figure!r}: give rule={better!r}')


def _prefers(better: str, figure: str, rule: str | None) -> bool:
    """Whether MMEngine prefers the better value of a figure; without a rule, it infers one from the figure's name."""
    try:
        is_better = CheckpointHook(save_best=figure, rule=rule).is_better_than[figure]
    except (ValueError, KeyError):
        return False
    return is_better(0, 1) == (better == 'less')


def _all_figures(evaluator: dict | list | None) -> list[str]:
    """The figures of an evaluator, in its order; empty if those of a metric are unknown."""
    figures = []
    for metric in metric_configs(evaluator):
        try:
            figures += _figures(metric)
        except Exception:  # figures of a third-party metric, or a problem that check_data reports
            return []
    return figures


def _figures(metric: dict) -> list[str]:
    """The figures of a metric of MMPose, under the names that they have in a run.

    Raises:
        LookupError: The metric is none of those whose figures are known here.
    """
    kind = class_of(METRICS, metric)
    if metric.get('format_only'):
        return []
    if kind is metrics.KeypointPartitionMetric:
        inner = _figures(metric['metric'])
        return [f'{part}/{name}' for part in metric['partitions'] for name in inner]
    if kind in (metrics.CocoMetric, metrics.CocoWholeBodyMetric, CrowdCocoMetric):
        names = [*(COCO_CROWD if metric.get('iou_type') == 'keypoints_crowd' else COCO_FIGURES)]
        if kind is CrowdCocoMetric:
            levels = level_splits(**{name: metric[name] for name in LEVELS if name in metric})
            levels = [f'({level.measure} {level.name})' for level in levels]
            names += [f'{name} {level}' for level in levels for name in ('AP', 'AR', 'instances')]
    elif kind is metrics.MpiiPCKAccuracy:
        names = [*(f'{part} PCK' for part in MPII_PARTS), 'PCK', 'PCK@0.1']
    elif kind in (metrics.PCKAccuracy, metrics.JhmdbPCKAccuracy):
        items = metric.get('norm_item', 'bbox')
        parts = () if kind is metrics.PCKAccuracy else JHMDB_PARTS
        names = [PCK[item] for item in ([items] if isinstance(items, str) else items)]
        names = [figure for name in names for figure in (*(f'{part} {name}' for part in parts), name)]
    elif kind in (metrics.AUC, metrics.EPE, metrics.NME):
        names = [kind.__name__]
    else:
        raise LookupError(kind)
    prefix = metric.get('prefix') or kind.default_prefix
    return [f'{prefix}/{name}' if prefix else name for name in names]


def _monitored(cfg: Config) -> Iterator[tuple[str, str, str | None]]:
    """Yields each figure that a run needs: its key in the config, its name, and its rule or None."""
    hooks = {f'default_hooks.{name}': hook for name, hook in (cfg.get('default_hooks') or {}).items()}
    hooks |= {f'custom_hooks.{index}': hook for index, hook in enumerate(cfg.get('custom_hooks') or [])}
    for key, hook in hooks.items():
        hook = hook or {}
        names, rules = hook.get('save_best') or [], hook.get('rule')
        names = [names] if isinstance(names, str) else names
        rules = [rules] * len(names) if rules is None or isinstance(rules, str) else rules
        for name, rule in zip(names, rules, strict=False):
            yield f'{key}.save_best', name, rule
        if type_name(hook) == 'EarlyStoppingHook':
            yield f'{key}.monitor', hook.get('monitor'), hook.get('rule')
    schedules = cfg.get('param_scheduler') or []
    parts = schedules.values() if isinstance(schedules, dict) and 'type' not in schedules else [schedules]
    for part in parts:  # a schedule, or a list of them, for each optimizer
        for schedule in part if isinstance(part, list | tuple) else [part]:
            if type_name(schedule).startswith('ReduceOnPlateau') and schedule.get('by_epoch', True):
                yield 'param_scheduler.monitor', schedule.get('monitor', 'loss'), schedule.get('rule', 'less')
