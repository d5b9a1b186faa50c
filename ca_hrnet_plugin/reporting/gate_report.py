"""What the gates of a trained CA-HRNet do: its AP with other gates in their place, and how much they vary."""

import contextlib
import copy
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from mmpose.registry import DATASETS
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import Subset

from ..deploy.freeze import (
    FORMS,
    GateStatistics,
    attention_places,
    batches,
    gate_statistics,
    training_people,
    with_frozen_gates,
)
from ..evaluation import AREAS, level_splits
from .dump import keypoint_results
from .protocol import Protocol
from .results import evaluated
from .style import COLOURS, MARKERS, paper_style
from .table import Row, compare

NAMES = dict(
    own='as it is',
    shuffled="another person's",
    profile='mean: profile',
    channel='mean: channel',
    constant='mean: one',
)


def report_attention(
    model: nn.Module, protocol: Protocol, num_training_people: int = 1000, num_resamples: int = 1000
) -> tuple[list[Row], dict[str, GateStatistics]]:
    """What :func:`predict_with_gates` finds, compared with the network as it is.

    Args:
        model (nn.Module): As for :func:`predict_with_gates`.
        protocol (Protocol): The same.
        num_training_people (int): The same.
        num_resamples (int): Of the paired bootstrap over images.

    Returns:
        tuple: Rows of a table, the first of the network as it is, and each module's statistics by name.
    """
    found, statistics = predict_with_gates(model, protocol, num_training_people)
    splits = [*AREAS, *level_splits()]
    results = [evaluated(NAMES[gates], 'poses', result, protocol, splits) for gates, result in found.items()]
    return compare(results, num_resamples, progress=True), statistics


def predict_with_gates(
    model: nn.Module, protocol: Protocol, num_training_people: int = 1000
) -> tuple[dict[str, list[dict]], dict[str, GateStatistics]]:
    """The poses of a network with its own gates and with four others in their place, without flip test.

    ``shuffled`` gates are those that the network itself gave a person who is drawn at random. The means are over
    training people: of each row and column (``profile``), of each ``channel``, and of each module as one ``constant``.

    Args:
        model (nn.Module): A model of MMPose with CoordAttention, with its config as ``cfg``; it is left as it is.
        protocol (Protocol): How its config tests.
        num_training_people (int): How many people the means are over.

    Returns:
        tuple: A COCO keypoint result for each of ``NAMES``, and each module's statistics by name.

    Raises:
        ValueError: The network has no CoordAttention, or the data has one person or none.
    """
    model = copy.deepcopy(model).eval()
    model.test_cfg = {**(model.test_cfg or {}), 'flip_test': False}
    statistics = gate_statistics(model, training_people(model, num_training_people))
    constants = {form: with_frozen_gates(model, statistics, form) for form in FORMS}
    people = DATASETS.build(model.cfg.test_dataloader.dataset)
    if len(people) < 2:
        raise ValueError(f'{protocol.ann_file} has {len(people)} people to test on: give two or more')
    # At random, since neighbours are of the same image.
    people = Subset(people, np.random.default_rng(0).permutation(len(people)))
    samples = {gates: [] for gates in NAMES}
    num_batches = -(-len(people) // 32)
    for batch in track(batches(people), 'testing', total=num_batches):
        with recorded_gates(model) as own:
            samples['own'] += _predictions(model, batch)
        others = {name: [gate.roll(1, 0) for gate in pair] for name, pair in own.items()}
        with replaced_gates(model, others):
            samples['shuffled'] += _predictions(model, batch)
        for form, network in constants.items():
            samples[form] += _predictions(network, batch)
    return {gates: keypoint_results(found, protocol) for gates, found in samples.items()}, statistics


def _predictions(model: nn.Module, batch: dict) -> list[dict]:
    return [sample.to_dict() for sample in model.test_step(batch)]  # as MMPose's metrics take them


@contextlib.contextmanager
def recorded_gates(model: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Keeps the gates of each module by name, of the last forward pass."""
    gates = {}

    def keep(name: str):
        def hook(module: nn.Module, arguments: tuple[Tensor]) -> None:
            gates[name] = module.gates(*arguments)

        return hook

    with _hooks(model, 'register_forward_pre_hook', keep):
        yield gates


@contextlib.contextmanager
def replaced_gates(model: nn.Module, gates: dict[str, tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Puts these gates in the place of each module's own."""

    def gate_with(name: str):
        def hook(module: nn.Module, arguments: tuple[Tensor], output: Tensor) -> Tensor:
            return arguments[0] * gates[name][0] * gates[name][1]

        return hook

    with _hooks(model, 'register_forward_hook', gate_with):
        yield


@contextlib.contextmanager
def _hooks(model: nn.Module, register: str, hook_of) -> Iterator[None]:
    hooks = [
        getattr(block.ca[place], register)(hook_of(name)) for name, (block, place) in attention_places(model).items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def module_rows(statistics: dict[str, GateStatistics]) -> list[list]:
    """A row for each module: name, channels, size of its map, mean of its gate, and how much that varies."""
    return [
        [
            name.removeprefix('backbone.'),
            len(found.rows),
            f'{found.rows.shape[1]}x{found.columns.shape[2]}',
            float((found.rows.mean(1) * found.columns.mean(2)).mean()),
            found.over_people,
            found.over_positions,
            found.over_channels,
        ]
        for name, found in statistics.items()
    ]


MODULE_HEADERS = ['module', 'channels', 'map', 'mean', 'over people', 'over positions', 'over channels']


@paper_style
def draw_report(rows: list[Row], statistics: dict[str, GateStatistics]) -> Figure:
    """Draws what other gates cost, over all and by crowd level, with their intervals, and how much the gates vary.

    Args:
        rows (list[Row]): What :func:`report_attention` gives.
        statistics (dict[str, GateStatistics]): The same.
    """
    figure = Figure(figsize=(7, 2.6), layout='constrained')
    cost, spread = figure.subplots(1, 2, width_ratios=(1.1, 1))
    levels = ['AP', *(f'AP (crowd {level})' for level in ('easy', 'medium', 'hard'))]
    levels = [level for level in levels if rows[1].differences.get(level) is not None]
    places = np.arange(len(levels))
    for index, row in enumerate(rows[1:]):
        offset = 0.16 * (index - (len(rows) - 2) / 2)
        differences = np.array([100 * row.differences[level] for level in levels])
        ends = np.array([[100 * row.intervals[level].low, 100 * row.intervals[level].high] for level in levels])
        cost.errorbar(
            places + offset,
            differences,
            np.abs(ends.T - differences),
            fmt=MARKERS[index],
            color=COLOURS[index],
            markersize=3.5,
            linewidth=1,
            label=row.result.name,
        )
    cost.axhline(0, color='black', linewidth=0.6)
    counts = [rows[0].result.figures.get(f'instances {level[3:]}') for level in levels]
    names = ['all', *(level[len('AP (crowd ') : -1] for level in levels[1:])]
    labels = [name if count is None else f'{name}\n{count}' for name, count in zip(names, counts, strict=True)]
    cost.set_xticks(places, labels)
    cost.set(xlabel='crowding (people)', ylabel='AP to its own gates', title='Other gates in their place')
    cost.legend(fontsize=6.5)
    for index, name in enumerate(('over_positions', 'over_channels', 'over_people')):
        values = [getattr(found, name) for found in statistics.values()]
        style = dict(color=COLOURS[index], marker=MARKERS[index], markersize=2.5, linewidth=0.8)
        spread.plot(np.arange(1, len(values) + 1), values, label=name.replace('_', ' '), **style)
    spread.set(xlabel='module, from the input to the output', ylabel='standard deviation', title='How the gates vary')
    spread.set_ylim(bottom=0)
    spread.legend(fontsize=6.5)
    return figure
