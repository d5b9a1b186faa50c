"""Table 1: COCO's figures of each network, their differences to the first network, and intervals of these."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tabulate import tabulate

from ..evaluation import Interval, Split, paired_bootstrap
from ..evaluation.paired_bootstrap import over_runs
from .results import Result

# The paper's headings with CocoMetric's names. The last three are CrowdPose's own, by its published crowd index.
COCO_COLUMNS = {
    'AP': 'AP',
    'AP50': 'AP .5',
    'AP75': 'AP .75',
    'APM': 'AP (M)',
    'APL': 'AP (L)',
    'AR': 'AR',
    'AR50': 'AR .5',
    'AR75': 'AR .75',
    'ARM': 'AR (M)',
    'ARL': 'AR (L)',
    'AP easy': 'AP(E)',
    'AP medium': 'AP(M)',
    'AP hard': 'AP(H)',
}
COMPLEXITY_COLUMNS = {'Params (M)': 'params (M)', 'GFLOPs': 'GFLOPs'}
TABULATE_FORMATS = dict(text='simple', markdown='github', latex='latex_booktabs', html='html')
FORMATS = (*TABULATE_FORMATS, 'csv', 'json')
NOTHING = '-'


@dataclass
class Row:
    """A network compared with a baseline.

    Attributes:
        result (Result): The network's figures.
        baseline (str): The baseline's name; empty for the baseline itself, which has no differences.
        differences (dict[str, float]): The network's figures minus the baseline's, as fractions, by CocoMetric's names.
        intervals (dict[str, Interval]): The 95 % interval of each difference, where poses or paired runs were read.
        covered (str): What the intervals cover, such as ``'images and runs'``.
    """

    result: Result
    baseline: str = ''
    differences: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    covered: str = ''


def compare(
    results: Sequence[Result],
    num_resamples: int = 1000,
    progress: bool = False,
    folds: Sequence[int] | None = None,
) -> list[Row]:
    """Compares each result with the first.

    Where poses were read, the intervals of differences cover the choice of images, and runs or folds if there are
    several. Where only the figures of several runs were read, they cover runs.

    Args:
        results (Sequence[Result]): The results from :func:`read_result`, the baseline first.
        num_resamples (int): Resamples of the paired bootstrap, which needs keypoint results; 0 for no intervals.
        progress (bool): Whether to show a progress bar.
        folds (Sequence[int], optional): As for :func:`paired_bootstrap`, if each result is put together from folds.

    Returns:
        list[Row]: A row for each result, in the same order.

    Raises:
        ValueError: The results are from different images or people, or their runs do not pair.
    """
    first, *others = results
    rows = [Row(first)]
    for other in others:
        _check_same_instances(first, other)
        row = Row(other, first.name)
        for name, figure in other.figures.items():
            if not _is_empty(figure) and not _is_empty(first.figures.get(name)):
                row.differences[name] = figure - first.figures[name]
        if num_resamples and first.evaluations and other.evaluations:
            paired = _paired_runs(first, other)
            runs = [first.evaluations[run] for run in paired], [other.evaluations[run] for run in paired]
            intervals = paired_bootstrap(*runs, num_resamples, progress=progress, folds=folds)
            row.intervals = {name: value for name, value in intervals.items() if not np.isnan(value.difference)}
            row.differences |= {name: interval.difference for name, interval in row.intervals.items()}
            row.covered = (
                'images' + (' and runs' if len(paired) > 1 else '') + (' and folds' if folds is not None else '')
            )
        elif num_resamples and len(first.runs) > 1 and first.runs.keys() == other.runs.keys():
            row.intervals = {
                name: over_runs(np.array([other.runs[run][name] - first.runs[run][name] for run in first.runs]))
                for name in row.differences
            }
            row.covered = 'runs'
        rows.append(row)
    return rows


def format_tables(rows: Sequence[Row], output_format: str = 'text', levels: Sequence[Split] = ()) -> str:
    """Formats the paper's table and, where levels are given, tables of AP and AR by level.

    Figures are in percent. CSV is a single table. JSON has fractions under CocoMetric's names.

    Args:
        rows (Sequence[Row]): The rows from :func:`compare`.
        output_format (str): One of :data:`FORMATS`.
        levels (Sequence[Split]): Levels of crowding, hidden joints and overlap.
    """
    if output_format == 'json':
        return json.dumps([_as_json(row) for row in rows], indent=2)
    known = {name for row in rows for name in row.result.figures}
    main = {heading: name for heading, name in (COCO_COLUMNS | COMPLEXITY_COLUMNS).items() if name in known}
    level_names = [f'{level.measure} {level.name}' for level in levels]
    level_names = [name for name in level_names if f'AP ({name})' in known]  # few keypoints have no crowd levels
    if output_format == 'csv':
        by_level = [f'{figure} ({name})' for figure in ('AP', 'AR') for name in level_names]
        text = io.StringIO()
        grid = _grid('', rows, main | {figure: figure for figure in by_level})
        csv.writer(text, lineterminator='\n').writerows(grid)
        return text.getvalue().rstrip()
    grids = [_grid('', rows, main)]
    if level_names:
        grids += [_grid(figure, rows, {name: f'{figure} ({name})' for name in level_names}) for figure in ('AP', 'AR')]
    return '\n\n'.join(
        tabulate(
            body,
            header,
            TABULATE_FORMATS[output_format],
            disable_numparse=True,
            colalign=['left', *['right'] * (len(header) - 1)],
        )
        for header, *body in grids
    )


def _grid(title: str, rows: Sequence[Row], columns: Mapping[str, str]) -> list[list[str]]:
    """The cells, header first."""
    grid = [[title, *columns]]
    counts = [_num_instances(rows, name) for name in columns.values()]
    if any(counts):
        grid.append(['instances', *counts])
    for row in rows:
        result = row.result
        grid.append([result.name, *(_cell('{:.1f}', name, result.figures.get(name)) for name in columns.values())])
        if result.deviations:
            deviations = (_cell('{:.1f}', name, result.deviations.get(name)) for name in columns.values())
            grid.append([f'{result.name}, deviation of {result.num_runs} runs', *deviations])
        difference = f'{result.name} - {row.baseline}'
        if row.differences:
            grid.append([difference, *(_cell('{:+.1f}', name, row.differences.get(name)) for name in columns.values())])
        if row.intervals:
            intervals = (_interval_cell(row.intervals.get(name)) for name in columns.values())
            grid.append([f'{difference}, 95 % over {row.covered}', *intervals])
    if not title and any(row.result.boxes for row in rows):
        boxes = {row.result.name: row.result.boxes for row in rows}
        for line in grid[1:]:
            line.insert(1, boxes.get(line[0], ''))
        grid[0].insert(1, 'boxes')
    return grid


def _num_instances(rows: Sequence[Row], name: str) -> str:
    """The number of instances in the level of a figure such as ``'AP (crowd easy)'``."""
    _, _, level = name.partition(' ')
    for row in rows:
        if f'instances {level}' in row.result.figures:
            return f'{row.result.figures[f"instances {level}"]:.0f}'
    return ''


def _cell(form: str, name: str, figure: float | None) -> str:
    if figure is None or (form == '{:.1f}' and _is_empty(figure)):
        return NOTHING
    return form.format(figure if name in COMPLEXITY_COLUMNS.values() else 100 * figure)


def _interval_cell(interval: Interval | None) -> str:
    known = interval is not None and interval.is_known
    return f'[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]' if known else NOTHING


def _is_empty(figure: float | None) -> bool:
    """Whether a figure is missing; COCOeval gives -1 without instances."""
    return figure is None or figure < 0


def _paired_runs(first: Result, other: Result) -> list[str]:
    """The runs that both results have, such as seeds."""
    if first.evaluations.keys() != other.evaluations.keys():
        runs = {result.name: ', '.join(run or 'one' for run in result.evaluations) for result in (first, other)}
        raise ValueError(
            f'runs do not pair: {first.name} has {runs[first.name]} and {other.name} has {runs[other.name]}: give '
            'patterns such as work_dirs/NAME/seed*/RESULTS.json, whose * matches the same in both, or 0 resamples'
        )
    return list(first.evaluations)


def _check_same_instances(first: Result, other: Result) -> None:
    for name in first.figures.keys() & other.figures.keys():
        counts = first.figures[name], other.figures[name]
        if name.startswith('instances') and counts[0] != counts[1]:
            raise ValueError(
                f'{first.name} and {other.name} are from different data sets, with {counts[0]:.0f} and '
                f'{counts[1]:.0f} {name}: compare results from the same data set'
            )


def _as_json(row: Row) -> dict:
    figures = {name: None if _is_empty(figure) else figure for name, figure in row.result.figures.items()}
    intervals = {name: [interval.low, interval.high] for name, interval in row.intervals.items() if interval.is_known}
    return dict(
        name=row.result.name,
        origin=row.result.origin,
        num_runs=row.result.num_runs,
        boxes=row.result.boxes,
        figures=figures,
        deviations=row.result.deviations,
        differences=row.differences,
        intervals_95=intervals,
    )
