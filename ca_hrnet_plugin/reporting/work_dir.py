"""Reads what a run of MMEngine leaves in its work dir: scalars of training and validation, metrics of a test."""

import json
from pathlib import Path
from reprlib import repr as short
from typing import NamedTuple

from ..evaluation.coco_files import is_number, read_json
from ..evaluation.evaluators import coco_figures


class TrainingLog(NamedTuple):
    """What was logged in training, ordered by iteration.

    Attributes:
        train (list[dict]): For each logged iteration ``loss``, ``acc_pose``, ``iter`` and, if training counts epochs,
            ``epoch``.
        val (list[dict]): For each validation its metrics, the ``iter`` and ``epoch`` of the last logged iteration
            before it, and the folder of the run as ``run``.
    """

    train: list[dict]
    val: list[dict]


class LoggedMetrics(NamedTuple):
    """Metrics from a work dir, where they come from, and the config of that run."""

    metrics: dict[str, float]
    origin: str
    config: Path


def read_training_log(path: str | Path) -> TrainingLog:
    """Reads the scalars of a work dir, and joins runs that resume each other.

    Where two runs logged the same iterations, those of the later run are kept.

    Args:
        path (str | Path): A work dir, the folder of one run in it, or a ``scalars.json``.

    Raises:
        ValueError: No scalars are found, or they are not from MMEngine.
    """
    train, val = [], []
    for file in _scalars_files(Path(path)):
        run = _read_scalars(file)
        if run.train:
            # A run resumes at the start of an epoch, and may log other iterations than the run before it.
            unit = 'epoch' if 'epoch' in run.train[0] else 'iter'
            start = run.train[0][unit]
            train = [record for record in train if record.get(unit, start) < start]
            val = [record for record in val if record.get(unit, start) < start]
        train += run.train
        val += run.val
    if not train and not val:
        raise ValueError(f'no scalars in {path}: nothing has been logged yet; MMEngine logs every 50 iterations')
    return TrainingLog(train, val)


def read_metrics(work_dir: str | Path) -> LoggedMetrics:
    """Reads the metrics of the newest test in a work dir or, without a test, of the validation with the best AP.

    Raises:
        ValueError: Neither a test nor a validation is found, or the newest test has no AP.
    """
    tests = sorted(path for path in Path(work_dir).glob('*/*.json') if path.stem == path.parent.name)
    if tests:
        newest = tests[-1]
        metrics = read_json(newest, 'metrics')
        if not isinstance(metrics, dict) or not coco_figures(metrics):
            raise ValueError(f'{newest} has no AP: test the checkpoint again, with CocoMetric as test_evaluator')
        return LoggedMetrics(metrics, f'test {newest}', newest.parent / 'vis_data/config.py')
    validations = [record for record in read_training_log(work_dir).val if coco_figures(record)]
    if not validations:
        raise ValueError(f'no validation in {work_dir} has an AP: test its checkpoint with mim test')
    best = max(validations, key=lambda record: coco_figures(record)['AP'])
    progress = f'epoch {best["epoch"]}' if 'epoch' in best else f'iteration {best["iter"]}'
    origin = f'best of {len(validations)} validations in {work_dir}, {progress}'
    return LoggedMetrics(best, origin, Path(best['run']) / 'vis_data/config.py')


def _scalars_files(path: Path) -> list[Path]:
    """The files, oldest run first: MMEngine names the folder of a run by the time of its start."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f'{path} does not exist: give a work dir')
    files = sorted(path.glob('*/vis_data/scalars.json')) or sorted(path.glob('vis_data/scalars.json'))
    if not files:
        raise ValueError(f'no scalars in {path}: give a work dir of mim train, which holds */vis_data/scalars.json')
    return files


def _read_scalars(file: Path) -> TrainingLog:
    log = TrainingLog([], [])
    hint = 'give a scalars.json of mim train'
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'line {number} of {file} is not JSON ({error}): {hint}') from error
        if not _is_record(record):
            raise ValueError(f'line {number} of {file} is not a record of MMEngine ({short(record)}): {hint}')
        if 'iter' in record:
            log.train.append(record)
        elif 'step' in record:
            # A validation only logs its step, which is an epoch or an iteration.
            before = log.train[-1] if log.train else dict(iter=record['step'], epoch=record['step'])
            place = {key: before[key] for key in ('iter', 'epoch') if key in before}
            log.val.append(dict(record, **place, run=str(file.parent.parent)))
        else:
            raise ValueError(f'line {number} of {file} has neither iter nor step: {hint}')
    return log


def _is_record(record) -> bool:
    """Whether iterations, epochs and steps are whole numbers, and the curves' values numbers; a loss may be NaN."""
    return (
        isinstance(record, dict)
        and all(
            isinstance(record[key], int) and least <= record[key] < 2**31
            for key, least in (('iter', 1), ('epoch', 1), ('step', 0))
            if key in record
        )
        and all(
            isinstance(record[key], float) or is_number(record[key]) for key in ('loss', 'acc_pose') if key in record
        )
    )
