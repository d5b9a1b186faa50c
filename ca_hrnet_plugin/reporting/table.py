"""Table 1: networks by COCO's figures, what each gains over the first, and how sure that is."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from tabulate import tabulate

from ..evaluation import Interval, Split, paired_bootstrap
from .results import Result

# The paper's headings, and CocoMetric's names. Those after them are CrowdPose's own, by its published crowd index.
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
TRENDS = 'AR, per level'  # of differences alone: one network's figures fall from level to level
NOTHING = '\N{EN DASH}'


@dataclass
class Row:
    """A network, its gain over a baseline, and the interval of each gain; the baseline itself has no gain."""

    result: Result
    baseline: str = ''
    differences: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)


def compare(results: Sequence[Result], num_resamples: int = 1000, progress: bool = False) -> list[Row]:
    """Compares each result to the first.

    Args:
        results (Sequence[Result]): The first is what the others are compared to.
        num_resamples (int): Resamples of the paired bootstrap, which needs result files; 0 for no intervals.
        progress (bool): Whether to show a progress bar.

    Raises:
        ValueError: The results are not of the same images and people, or their runs do not pair.
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
            intervals = paired_bootstrap(*runs, num_resamples, progress=progress)
            row.intervals = {name: found for name, found in intervals.items() if not np.isnan(found.difference)}
            row.differences |= {name: found.difference for name, found in row.intervals.items()}
        rows.append(row)
    return rows


def format_tables(rows: Sequence[Row], output_format: str = 'text', levels: Sequence[Split] = ()) -> str:
    """The paper's table; after it AP and AR by level, where levels are asked for.

    Figures are in percent. CSV has all in one table. JSON has fractions under CocoMetric's names.

    Args:
        rows (Sequence[Row]): What :func:`compare` gives.
        output_format (str): One of :data:`FORMATS`.
        levels (Sequence[Split]): Levels of crowding, hidden joints and overlap.
    """
    if output_format == 'json':
        return json.dumps([_as_json(row) for row in rows], indent=2)
    known = {name for row in rows for name in row.result.figures}
    main = {heading: name for heading, name in (COCO_COLUMNS | COMPLEXITY_COLUMNS).items() if name in known}
    by_level = {
        figure: {f'{level.measure} {level.name}': f'{figure} ({level.measure} {level.name})' for level in levels}
        for figure in ('AP', 'AR')
        if levels
    }
    measures = dict.fromkeys(level.measure for level in levels)
    if measures and any(row.intervals for row in rows):
        by_level[TRENDS] = {measure: f'AR trend ({measure})' for measure in measures}
    if output_format == 'csv':
        every_level = {name: name for columns in by_level.values() for name in columns.values()}
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(_grid('', rows, main | every_level))
        return text.getvalue().replace(NOTHING, '').rstrip()
    grids = [_grid(title, rows, columns) for title, columns in {'': main, **by_level}.items()]
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
        against = f'{result.name} - {row.baseline}'
        if title != TRENDS:
            grid.append([result.name, *(_cell('{:.1f}', name, result.figures.get(name)) for name in columns.values())])
        if result.deviations:
            deviations = (_cell('{:.1f}', name, result.deviations.get(name)) for name in columns.values())
            grid.append([f'{result.name}, deviation of {result.num_runs} runs', *deviations])
        if row.differences:
            grid.append([against, *(_cell('{:+.1f}', name, row.differences.get(name)) for name in columns.values())])
        if row.intervals:
            covered = 'images and runs' if result.num_runs > 1 else 'images'
            grid.append(
                [
                    f'{against}, 95 % over {covered}',
                    *(_interval_cell(row.intervals.get(name)) for name in columns.values()),
                ]
            )
    if not title and any(row.result.boxes for row in rows):
        boxes = {row.result.name: row.result.boxes for row in rows}
        for line in grid[1:]:
            line.insert(1, boxes.get(line[0], ''))
        grid[0].insert(1, 'boxes')
    return grid


def _num_instances(rows: Sequence[Row], name: str) -> str:
    """How many instances a level's figure, such as ``'AP (crowd easy)'``, is of."""
    _, _, level = name.partition(' ')
    counts = [row.result.figures[key] for row in rows if (key := f'instances {level}') in row.result.figures]
    return f'{counts[0]:.0f}' if counts else ''


def _cell(form: str, name: str, figure: float | None) -> str:
    if figure is None or (form == '{:.1f}' and _is_empty(figure)):
        return NOTHING
    return form.format(figure if name in COMPLEXITY_COLUMNS.values() else 100 * figure)


def _interval_cell(interval: Interval | None) -> str:
    known = interval is not None and interval.is_known
    return f'[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]' if known else NOTHING


def _is_empty(figure: float | None) -> bool:
    """COCOeval gives -1 where there is no instance."""
    return figure is None or figure < 0


def _paired_runs(first: Result, other: Result) -> list[str]:
    """What the pattern of both rows matched, such as their seeds."""
    if first.evaluations.keys() != other.evaluations.keys():
        sides = (f'{row.name} has {", ".join(run or "one" for run in row.evaluations)}' for row in (first, other))
        raise ValueError(
            f'runs do not pair: {" and ".join(sides)}: give patterns such as work_dirs/NAME/seed*/RESULTS.json, '
            'whose * matches the same in both, or --resamples 0'
        )
    return list(first.evaluations)


def _check_same_instances(first: Result, other: Result) -> None:
    for name in first.figures.keys() & other.figures.keys():
        counts = first.figures[name], other.figures[name]
        if name.startswith('instances') and counts[0] != counts[1]:
            raise ValueError(
                f'{first.name} and {other.name} are of different data sets, with {counts[0]:.0f} and {counts[1]:.0f} '
                f'{name}: compare results on the same one'
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
