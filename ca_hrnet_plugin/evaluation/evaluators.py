"""Evaluators of a config in each form that MMEngine takes, and the figures that they give."""

import copy

from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR, Registry
from mmpose.evaluation.metrics import CocoMetric, PoseTrack18Metric
from mmpose.registry import METRICS

from .coco_files import is_number


def class_of(registry: Registry, config: dict) -> type:
    """The class of a config's type, in the registry of its scope or of the current one.

    Raises:
        ValueError: The registry has no such type.
    """
    kind = config.get('type')
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(config.get('_scope_')) as scoped:
            kind = scoped.get(kind)
        if kind is None:
            raise ValueError(
                f'{config["type"]} is not in the registry {scoped.name}: import its module (custom_imports)'
            )
    return kind if isinstance(kind, type) else object


def is_coco_metric(config: dict) -> bool:
    """Whether a metric is MMPose's CocoMetric or derived from it, and evaluates by OKS, as PoseTrack's does not.

    Raises:
        ValueError: It is not in the registry.
    """
    kind = class_of(METRICS, config)
    return issubclass(kind, CocoMetric) and not issubclass(kind, PoseTrack18Metric)


def type_name(config: dict) -> str:
    """The name of a config's type, a string or a class, without module and scope."""
    kind = config.get('type')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def metric_configs(evaluator: dict | list | None) -> list[dict]:
    """The configs of an evaluator's metrics: it may be a metric, a list of metrics, or have them as ``metrics``."""
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    metrics = evaluator if isinstance(evaluator, list | tuple) else [evaluator]
    return [metric for metric in metrics if isinstance(metric, dict)]


def inner_metric(metric: dict) -> dict:
    """The metric in a KeypointPartitionMetric, whose annotations are those of the data set; others unchanged."""
    return {**metric['metric'], 'ann_file': None} if type_name(metric) == 'KeypointPartitionMetric' else metric


def build_evaluator(evaluator: dict | list) -> Evaluator:
    """Builds the evaluator of a config, as MMEngine's Runner does."""
    evaluator = copy.deepcopy(evaluator)
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        return EVALUATOR.build(dict(dict(type='Evaluator'), **evaluator))
    return Evaluator(evaluator)


def coco_figures(metrics: dict[str, float]) -> dict[str, float]:
    """COCO's figures without their prefix, such as ``'AP'`` for ``'coco/AP'``; empty where the metrics have no AP.

    If KeypointPartitionMetric adds figures of parts of the keypoints, those of all keypoints are taken: ``'coco/AP'``
    or ``'all/coco/AP'``, which may have the prefix of a data set.

    Raises:
        ValueError: The metrics have figures of several data sets, or of parts of the keypoints alone.
    """
    prefixes = [key.removesuffix('AP') for key in metrics if key == 'AP' or key.endswith('/AP')]
    shortest = min((prefix.count('/') for prefix in prefixes), default=0)
    whole = [prefix for prefix in prefixes if prefix.count('/') == shortest]
    if len(whole) > 1 or shortest > 1:
        parts = prefixes if shortest > 1 else whole
        whole = [prefix for prefix in parts if 'all' in prefix.split('/')]
    if prefixes and len(whole) != 1:
        names = ', '.join(f'{prefix}AP' for prefix in prefixes)
        raise ValueError(
            f'there are several figures of AP ({names}): test on one data set at a time, and with all keypoints in a '
            'partition named all'
        )
    return {
        key.removeprefix(prefix): value
        for prefix in whole
        if is_number(metrics[f'{prefix}AP'])
        for key, value in metrics.items()
        if key.startswith(prefix) and is_number(value)
    }
