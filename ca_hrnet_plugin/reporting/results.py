"""The figures of one network, read from what its runs left on disk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

import numpy as np
from mmengine.config import Config

from ..evaluation import AREAS, Split, SplitEval, evaluate_results
from ..evaluation.coco_files import read_json
from ..evaluation.evaluators import coco_figures
from .protocol import Protocol, tested_boxes
from .work_dir import read_metrics


@dataclass
class Result:
    """The figures of one network, and where they come from.

    Attributes:
        name (str): The network's name in tables.
        origin (str): Where the figures come from.
        figures (dict[str, float]): Fractions under CocoMetric's names, such as ``'AP .5'``; -1 without instances.
            With several runs, their means.
        evaluations (dict[str, SplitEval]): The evaluation of each run whose poses were read, for intervals. The key is
            what the wildcards of the source matched, such as a seed; it is empty for a single run.
        config (Path, optional): The config of the run, if its work dir has it.
        num_runs (int): The number of runs.
        boxes (str): ``'detected'`` or ``'ground truth'``, or empty if no config is known.
        deviations (dict[str, float]): With several runs, the sample standard deviation of each figure.
        runs (dict[str, dict[str, float]]): With several runs, the figures of each, by the keys of ``evaluations``.
    """

    name: str
    origin: str
    figures: dict[str, float]
    evaluations: dict[str, SplitEval] = field(default_factory=dict)
    config: Path | None = None
    num_runs: int = 1
    boxes: str = ''
    deviations: dict[str, float] = field(default_factory=dict)
    runs: dict[str, dict[str, float]] = field(default_factory=dict)


def read_result(
    name: str, source: str | Path, protocol: Protocol | None = None, splits: Sequence[Split] = AREAS
) -> Result:
    """Reads the figures of a network.

    Args:
        name (str): The network's name in tables.
        source (str | Path): A work dir; a JSON file of metrics (``mim test --out``); a COCO keypoint result; or a
            pattern such as ``'work_dirs/seed*'`` that matches one of these for each of several runs.
        protocol (Protocol, optional): The protocol for keypoint results, which require it.
        splits (Sequence[Split]): The splits to evaluate keypoint results on: COCO's area ranges by default, to which
            :func:`ca_hrnet_plugin.evaluation.level_splits` can be added.

    Raises:
        ValueError: The source cannot be read, or belongs to another data set.
    """
    source = str(source)
    runs = sorted(glob(source))  # noqa: PTH207  pathlib's takes no absolute pattern
    if runs and runs != [source]:
        return mean_of_runs({_matched(source, run): read_result(name, run, protocol, splits) for run in runs})
    path = Path(source)
    if path.is_dir():
        metrics, origin, config = read_metrics(path)
        boxes = tested_boxes(Config.fromfile(config)) if config.is_file() else ''
        return Result(name, origin, coco_figures(metrics), config=config, boxes=boxes)
    if not path.exists():
        raise ValueError(f'{source} does not exist: give a work dir, metrics of mim test --out, or a keypoint result')
    content = read_json(path, 'metrics of mim test --out, or a COCO keypoint result')
    if isinstance(content, dict):
        if not coco_figures(content):
            raise ValueError(f'{source} has no AP: give metrics of CocoMetric, as mim test --out writes them')
        return Result(name, f'metrics {source}', coco_figures(content))
    if protocol is None:
        raise ValueError(f'{source} holds poses and no figures: give the annotations to evaluate them on')
    return evaluate_poses(name, source, protocol, splits)


def evaluate_poses(
    name: str, poses: str | Sequence[dict], protocol: Protocol, splits: Sequence[Split] = AREAS
) -> Result:
    """Evaluates a COCO keypoint result, given as its file or its content; see :func:`read_result`."""
    sigmas = protocol.metainfo['sigmas']
    evaluation = evaluate_results(protocol.ann_file, poses, splits, protocol.iou_type, sigmas, protocol.use_area)
    origin = f'{poses if isinstance(poses, str) else "poses"} evaluated on {protocol.ann_file}'
    return Result(name, origin, evaluation.figures(), {'': evaluation}, boxes=protocol.boxes)


def _matched(pattern: str, path: str) -> str:
    """The text that the wildcards of a pattern matched in a path."""
    parts = re.split(r'(\*+|\?|\[[^]]+])', pattern)
    expression = ''.join('(.*)' if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return ' '.join(re.fullmatch(expression, path).groups())


def mean_of_runs(results: dict[str, Result]) -> Result:
    """The mean result of several runs, given by what tells them apart, such as a seed."""
    runs = list(results.values())
    names = set.intersection(*(set(run.figures) for run in runs))
    values = {name: np.array([run.figures[name] for run in runs]) for name in runs[0].figures if name in names}
    evaluations = {match: run.evaluations[''] for match, run in results.items() if run.evaluations}
    deviations = {}
    if len(runs) > 1:
        deviations = {name: float(value.std(ddof=1)) for name, value in values.items() if value.min() >= 0}
    return Result(
        runs[0].name,
        '; '.join(run.origin for run in runs),
        {name: float(value.mean()) for name, value in values.items()},
        evaluations,
        runs[0].config,
        len(runs),
        ' and '.join(sorted({run.boxes for run in runs} - {''})),
        deviations,
        {match: run.figures for match, run in results.items()},
    )
