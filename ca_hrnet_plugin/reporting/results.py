"""The figures of one row of the table, from whatever a user has of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

from ..evaluation import Split, SplitEval, evaluate_results
from ..evaluation.coco_files import read_json
from ..preflight import check_config
from .dump import read_dump
from .protocol import Protocol, coco_evaluators, tested_boxes
from .work_dir import coco_figures, read_metrics


@dataclass
class Result:
    """A row: its figures under CocoMetric's names as fractions, and where they are from.

    Of several runs the figures are the mean, and ``deviations`` the standard deviation, as of a sample.
    """

    name: str
    origin: str
    figures: dict[str, float]
    # Of result files, which alone can be resampled: by what the pattern of several runs matched, such as their seeds.
    evaluations: dict[str, SplitEval] = field(default_factory=dict)
    config: Path | None = None
    num_runs: int = 1
    boxes: str = ''  # 'ground truth' or 'detected', where a config says it
    deviations: dict[str, float] = field(default_factory=dict)


def read_result(name: str, source: str, protocol: Protocol | None = None, splits: Sequence[Split] = ()) -> Result:
    """Reads a row, or runs its test.

    Args:
        name (str): What the row is called.
        source (str): A work dir; a JSON file of metrics (``mim test --out``); a COCO keypoint result, or predictions
            (``mim test --dump``); ``CONFIG.py:CHECKPOINT``, which is tested now; or a pattern such as
            ``'work_dirs/seed*'``, of several runs of one network, which pair with another's by what it matches.
        protocol (Protocol, optional): What result files and predictions are evaluated by.
        splits (Sequence[Split]): What they are evaluated on.

    Raises:
        ValueError: The source cannot be read, or is of another data set.
    """
    runs = sorted(glob(source))  # noqa: PTH207  pathlib's takes no pattern that begins with a folder
    if runs and runs != [source]:
        return _averaged({_matched(source, run): read_result(name, run, protocol, splits) for run in runs})
    config, is_pair, checkpoint = source.partition('.py:')
    path = Path(source)
    if is_pair:
        return _tested(name, f'{config}.py', checkpoint, protocol, splits)
    if path.is_dir():
        metrics, origin, config = read_metrics(path)
        boxes = tested_boxes(Config.fromfile(config)) if config.is_file() else ''
        return Result(name, origin, coco_figures(metrics), config=config, boxes=boxes)
    if not path.exists():
        raise ValueError(f'{source} does not exist: give a work dir, a result file or CONFIG.py:CHECKPOINT')
    if path.suffix in ('.pkl', '.pickle'):
        return evaluated(name, source, read_dump(path, _needed(protocol, source)), protocol, splits)
    content = read_json(path, 'metrics of mim test --out, or a COCO keypoint result')
    if isinstance(content, dict):
        if not coco_figures(content):
            raise ValueError(f'{source} has no AP: give metrics of CocoMetric, as mim test --out writes them')
        return Result(name, f'metrics {source}', coco_figures(content))
    return evaluated(name, source, source, protocol, splits)


def evaluated(name: str, source: str, results, protocol: Protocol | None, splits: Sequence[Split]) -> Result:
    """A row of poses: a COCO keypoint result, its file or its content. ``source`` is what they are called."""
    protocol = _needed(protocol, source)
    sigmas = protocol.metainfo['sigmas']
    evaluation = evaluate_results(protocol.ann_file, results, splits, protocol.iou_type, sigmas, protocol.use_area)
    origin = f'evaluated {source} on {protocol.ann_file}'
    return Result(name, origin, evaluation.figures(), {'': evaluation}, boxes=protocol.boxes)


def _matched(pattern: str, path: str) -> str:
    """What the wildcards of a pattern matched in a path that it found."""
    parts = re.split(r'(\*+|\?|\[[^]]+])', pattern)
    expression = ''.join('(.*)' if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return ' '.join(re.fullmatch(expression, path).groups())


def _averaged(runs_by_match: dict[str, Result]) -> Result:
    runs = list(runs_by_match.values())
    names = set.intersection(*(set(run.figures) for run in runs))
    figures = {name: np.array([run.figures[name] for run in runs]) for name in runs[0].figures if name in names}
    return Result(
        runs[0].name,
        '; '.join(run.origin for run in runs),
        {name: float(values.mean()) for name, values in figures.items()},
        {match: one for match, run in runs_by_match.items() for one in run.evaluations.values()},
        runs[0].config,
        len(runs),
        ' and '.join(sorted({run.boxes for run in runs} - {''})),
        {name: float(values.std(ddof=1)) for name, values in figures.items() if len(runs) > 1 and values.min() >= 0},
    )


def _needed(protocol: Protocol | None, source: str) -> Protocol:
    if protocol is None:
        raise ValueError(f'{source} holds poses and no figures: give the annotations to evaluate them on')
    return protocol


def _tested(name: str, config: str, checkpoint: str, protocol: Protocol | None, splits: Sequence[Split]) -> Result:
    """Tests as ``mim test`` does, and leaves the keypoint result in the config's work dir, named by the checkpoint."""
    cfg = Config.fromfile(config)
    cfg.load_from = checkpoint
    cfg.setdefault('work_dir', f'work_dirs/{Path(config).stem}')
    problems = check_config(cfg, 'test').problems
    if problems:
        raise ValueError(f'cannot test {config}: {"; ".join(problems)}')
    prefix = Path(cfg.work_dir, Path(checkpoint).stem)
    for evaluator in coco_evaluators(cfg):
        evaluator['outfile_prefix'] = str(prefix)
    metrics = Runner.from_cfg(cfg).test()
    result_file = f'{prefix}.keypoints.json'
    if protocol is not None and Path(result_file).exists():
        result = evaluated(name, result_file, result_file, protocol, splits)
    else:
        result = Result(name, f'test of {checkpoint}', coco_figures(metrics))
    result.config, result.boxes = Path(config), tested_boxes(cfg)
    return result
