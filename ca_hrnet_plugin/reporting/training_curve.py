"""Figure 5: training accuracy, training loss and validation AP over the course of training."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from itertools import chain, cycle
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..evaluation.evaluators import coco_figures
from .style import COLOURS, MARKERS, paper_style
from .work_dir import TrainingLog, read_training_log


@paper_style
def plot_training_curve(work_dirs: Mapping[str, str | Path | Sequence[str | Path]]) -> Figure:
    """Draws runs into one figure of up to three panels: accuracy, loss and AP, as far as they were logged.

    For accuracy and loss, thin lines are the logged values, and thick lines their means over each epoch. With several
    runs of a network, lines are means over runs, and a band reaches from the lowest to the highest run.

    Args:
        work_dirs (Mapping[str, str | Path | Sequence[str | Path]]): The name of each network, and the work dir or
            ``scalars.json`` of its run, or of each of its runs.

    Raises:
        ValueError: A run has no scalars, or some runs count epochs and others only iterations.
    """
    paths = {name: [path] if isinstance(path, str | Path) else list(path) for name, path in work_dirs.items()}
    runs = {name: [read_training_log(path) for path in paths[name]] for name in paths}
    logs = list(chain.from_iterable(runs.values()))
    units = {name: 'epoch' if all(map(_by_epoch, of_name)) else 'iteration' for name, of_name in runs.items()}
    if len(set(units.values())) > 1:
        raise ValueError(f'these runs have no axis in common ({units}): draw them separately')

    panels = {
        'Accuracy (training)': lambda log: _trained(log, 'acc_pose'),
        'Loss (training)': lambda log: _trained(log, 'loss'),
        'AP (validation)': _validated,
    }
    panels = {title: points for title, points in panels.items() if any(len(points(log)) for log in logs)}
    if not panels:
        raise ValueError(
            f'{", ".join(map(str, chain.from_iterable(paths.values())))}: no acc_pose, loss or AP was logged'
        )
    figure = Figure(figsize=(2.35 * len(panels) + 0.1, 2.5), layout='constrained')
    grid = figure.subplots(1, len(panels), sharex=True, squeeze=False)
    for axes, (title, points) in zip(grid[0], panels.items(), strict=True):
        axes.set_title(title)
        axes.set_xlabel(next(iter(units.values())).capitalize())
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.ticklabel_format(axis='y', scilimits=(-3, 3))
        axes.grid(alpha=0.25, linewidth=0.5)
        for of_name, colour, marker in zip(runs.values(), cycle(COLOURS), cycle(MARKERS)):
            curves = [points(log) for log in of_name]
            if points is not _validated:
                if len(curves) == 1:
                    axes.plot(*curves[0].T, color=colour, linewidth=0.5, alpha=0.35)
                curves = [_epoch_means(curve, _by_epoch(log)) for curve, log in zip(curves, of_name, strict=True)]
            places, values = _on_common_places(curves)
            style = dict(marker=marker, markersize=3, markevery=max(1, len(places) // 12))
            axes.plot(places, values.mean(axis=0), color=colour, **(style if points is _validated else {}))
            axes.fill_between(places, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
        if axes.dataLim.y0 >= 0:  # an RLE loss can be negative
            axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3, label=name)
        for name, colour, marker in zip(runs, cycle(COLOURS), cycle(MARKERS))
    ]
    _legend_above(figure, handles)
    return figure


def _on_common_places(curves: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The places that all runs have, (P,), and the values of each run there, (runs, P)."""
    places = sorted(set.intersection(*(set(curve[:, 0]) for curve in curves)))
    values = [[dict(curve)[place] for place in places] for curve in curves]
    return np.array(places), np.reshape(values, (len(curves), -1))


def _legend_above(figure: Figure, handles: list[Line2D]) -> None:
    """Adds a legend with as many columns as fit the width of the figure, at most four."""
    for ncols in (4, 3, 2, 1):
        legend = figure.legend(handles=handles, loc='outside upper center', ncols=ncols)
        if legend.get_window_extent().width <= figure.bbox.width or ncols == 1:
            break
        legend.remove()


def _by_epoch(log: TrainingLog) -> bool:
    return all('epoch' in record for record in (*log.train, *log.val))


def _validated(log: TrainingLog) -> np.ndarray:
    """(validations, 2): completed epochs, AP in percent."""
    points = []
    for record in log.val:
        # Parts of the keypoints have curves of loss and accuracy, but no AP of the whole.
        with contextlib.suppress(ValueError):
            if coco_figures(record).get('AP', -1) >= 0:  # -1 without people
                points.append((record.get('epoch', record['iter']), 100 * coco_figures(record)['AP']))
    return np.array(points).reshape(-1, 2)


def _trained(log: TrainingLog, key: str) -> np.ndarray:
    """(logged iterations, 2): completed epochs, value."""
    per_epoch = _iterations_per_epoch(log.train) if _by_epoch(log) and log.train else 1
    return np.array([(record['iter'] / per_epoch, record[key]) for record in log.train if key in record]).reshape(-1, 2)


def _iterations_per_epoch(train: list[dict]) -> int:
    """The smallest number that puts each logged iteration into its epoch; runs do not log the number itself."""
    return math.ceil(max(record['iter'] / record['epoch'] for record in train))


def _epoch_means(values: np.ndarray, by_epoch: bool) -> np.ndarray:
    """(epochs, 2): middle of each epoch, mean of its values; without epochs, for each fiftieth of the run."""
    if not len(values):
        return values
    width = 1 if by_epoch else values[-1, 0] / 50
    bins = np.ceil(np.round(values[:, 0] / width, 6)).astype(int)
    return np.array([((number - 0.5) * width, values[bins == number, 1].mean()) for number in np.unique(bins)])
