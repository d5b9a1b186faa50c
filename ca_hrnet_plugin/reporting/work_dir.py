"""What a run of MMEngine leaves in its work dir: the scalars of training and validation, and the metrics of a test."""

import json
from pathlib import Path
from reprlib import repr as short
from typing import NamedTuple

from ..evaluation.coco_files import is_number, read_json


class TrainingLog(NamedTuple):
    """What was logged in training, in the order of iterations.

    ``train`` has a record for each logged iteration: ``loss``, ``acc_pose``, ``lr``, ``iter`` and, where training goes
    by epoch, ``epoch``. ``val`` has one for each validation: its metrics, and the ``iter`` and ``epoch`` of the last
    logged iteration before it.
    """

    train: list[dict]
    val: list[dict]


class LoggedMetrics(NamedTuple):
    """Metrics found in a work dir, where they are from, and the config of that run."""

    metrics: dict[str, float]
    origin: str
    config: Path


def read_training_log(path: str | Path) -> TrainingLog:
    """Reads the scalars of a work dir; runs that resume each other become one.

    Where two runs logged the same iterations, the later run has them.

    Args:
        path (str | Path): A work dir, the folder of one run in it, or a ``scalars.json``.

    Raises:
        ValueError: There are no scalars, or they are not MMEngine's.
    """
    train, val = [], []
    for file in _scalars_files(Path(path)):
        run = _read_scalars(file)
        if run.train:
            # A run resumes at the start of an epoch, and need not log the iterations that the one before it did.
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
    """The metrics of the newest test in a work dir or, where none is, of its best validation by AP.

    Raises:
        ValueError: The folder has neither.
    """
    tests = sorted(path for path in Path(work_dir).glob('*/*.json') if path.stem == path.parent.name)
    if tests:
        newest = tests[-1]
        metrics = read_json(newest, 'metrics')
        if not isinstance(metrics, dict):
            raise ValueError(f'{newest} holds no metrics: test the checkpoint again with mim test')
        return LoggedMetrics(metrics, f'test {newest}', newest.parent / 'vis_data/config.py')
    validated = [record for record in read_training_log(work_dir).val if coco_figures(record)]
    if not validated:
        raise ValueError(f'no validation in {work_dir} gives an AP: test its checkpoint with mim test')
    best = max(validated, key=lambda record: coco_figures(record)['AP'])
    origin = f'best of {len(validated)} validations in {work_dir}, {progress(best)}'
    return LoggedMetrics(best, origin, Path(best['run']) / 'vis_data/config.py')


def coco_figures(metrics: dict[str, float]) -> dict[str, float]:
    """COCO's figures without their prefix, as ``'AP'``, of metrics such as ``'coco/AP'``; empty where there are none.

    Raises:
        ValueError: They are of several data sets.
    """
    prefixes = [key.removesuffix('AP') for key in metrics if key == 'AP' or key.endswith('/AP')]
    if len(prefixes) > 1:
        raise ValueError(f'several data sets have an AP ({", ".join(map(repr, prefixes))}): test on one at a time')
    return {
        key.removeprefix(prefix): value
        for prefix in prefixes
        if is_number(metrics[f'{prefix}AP'])
        for key, value in metrics.items()
        if key.startswith(prefix) and is_number(value)
    }


def progress(record: dict) -> str:
    """How far training was at a record, such as ``'epoch 210'``."""
    return f'epoch {record["epoch"]}' if 'epoch' in record else f'iteration {record["iter"]}'


def _scalars_files(path: Path) -> list[Path]:
    """Oldest run first: MMEngine names a run's folder by the time at which it began."""
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
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(f'line {number} of {file} is no record of MMEngine: {error}') from error
        if not _is_record(record):
            raise ValueError(f'line {number} of {file} is no record of MMEngine: {short(record)}')
        if 'iter' in record:
            log.train.append(record)
        elif 'step' in record:
            # A validation logs its step alone, which is an epoch or an iteration.
            before = log.train[-1] if log.train else dict(iter=record['step'], epoch=record['step'])
            place = {key: before[key] for key in ('iter', 'epoch') if key in before}
            log.val.append(dict(record, **place, run=str(file.parent.parent)))
        else:
            raise ValueError(f'line {number} of {file} has neither iter nor step: give a scalars.json of MMEngine')
    return log


def _is_record(record) -> bool:
    """Whether places are whole numbers and what the curves are of are numbers: a loss may be NaN, and a step 0."""
    return (
        isinstance(record, dict)
        and all(
            isinstance(record[key], int) and least <= record[key] < 2**31
            for key, least in (('iter', 1), ('epoch', 1), ('step', 0))
            if key in record
        )
        and all(
            isinstance(record[key], float) or is_number(record[key])
            for key in ('loss', 'acc_pose', 'lr')
            if key in record
        )
    )
