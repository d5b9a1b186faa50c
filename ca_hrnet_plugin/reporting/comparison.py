"""What the runs of a comparison say together: verdicts, tables, cost, curves, poses and gates, on one page."""

import contextlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from tabulate import tabulate

from ..checkpoints.fit import load_model
from ..evaluation import AREAS, Split, level_splits
from ..evaluation.coco_files import is_number, read_json
from ..evaluation.crowd_index import has_crowd_index
from ..evaluation.evaluators import is_coco_metric, metric_configs, type_name
from ..whole_file import whole_file
from .comparison_files import ComparisonFiles
from .cost import measure_cost
from .gallery import differing_images, draw_gallery
from .gate_overlay import draw_gates, record_gates
from .html_page import write_report
from .protocol import Protocol, read_protocol
from .results import Result, evaluate_poses, mean_of_runs
from .style import save_figure
from .table import COCO_COLUMNS, NOTHING, Row, compare, format_tables
from .training_curve import plot_training_curve
from .verdict import smallest_gain_of, verdict

NUM_IMAGES = 4  # of each gallery
MAX_COLUMNS = 3  # of networks in a gallery
MAX_PAGE_BYTES = 1_500_000

Grid = tuple[list[list[str]], list[str]]  # the body and the header of a table with a column for each network


@dataclass
class Comparison:
    """A comparison that has been read.

    Attributes:
        files (ComparisonFiles): Where its files are.
        runs (list[str]): The runs that all networks have completed.
        rows (list[Row]): A row for each network, the baseline first.
        figure (str): The figure that verdicts are about: ``'AP'``, or the first of another evaluator.
        verdicts (list[str]): A sentence for each network but the baseline.
        levels (list[Split]): Levels of crowding, where they apply.
        protocol (Protocol, optional): The protocol, if CocoMetric evaluates the runs.
    """

    files: ComparisonFiles
    runs: list[str]
    rows: list[Row]
    figure: str
    verdicts: list[str]
    levels: Sequence[Split] = ()
    protocol: Protocol | None = None


def read_comparison(out: str | Path, num_resamples: int = 1000, progress: bool = False) -> Comparison:
    """Reads the finished runs of tools/compare.py, which may have been trained elsewhere.

    Args:
        out (str | Path): The folder of the comparison.
        num_resamples (int): Resamples of the paired bootstrap over images.
        progress (bool): Whether to show a progress bar.

    Raises:
        ValueError: The folder holds no comparison, or no run is complete for every network.
    """
    files = ComparisonFiles.read(out)
    runs = files.complete_runs()
    if not runs:
        raise ValueError(f'{out}: no {files.unit} has been trained and tested with every network yet')
    cfg = Config.fromfile(files.config(files.networks[0], runs[0]))
    if not any(map(is_coco_metric, metric_configs(cfg.test_evaluator))):
        rows = compare([_from_metrics(files, network, runs) for network in files.networks], num_resamples)
        figure = next(iter(rows[0].result.figures))
        return Comparison(files, runs, rows, figure, _verdicts(rows, figure, files.unit))
    protocol = read_protocol(files.config(files.networks[0], runs[0]))
    folds = None
    if files.unit == 'fold':
        protocol, fold_of = _all_folds(files, runs, protocol)
        folds = [fold_of[image] for image in sorted(fold_of)] if len(runs) > 1 else None
    annotations = read_json(protocol.ann_file, 'annotations in COCO format')['annotations']
    levels = [split for split in level_splits() if split.measure == 'crowd'] if has_crowd_index(annotations) else []
    results = [_from_poses(files, network, runs, protocol, [*AREAS, *levels]) for network in files.networks]
    rows = compare(results, num_resamples, progress, folds)
    return Comparison(files, runs, rows, 'AP', _verdicts(rows, 'AP', files.unit), levels, protocol)


def _from_metrics(files: ComparisonFiles, network: str, runs: Sequence[str]) -> Result:
    """The figures of other evaluators than CocoMetric, without the evaluator's prefix where the rest tells them apart.

    Raises:
        ValueError: The runs have no figures.
    """
    results = {}
    for run in runs:
        metrics = read_json(files.metrics(network, run), 'metrics of mim test --out')
        figures = {name: value for name, value in metrics.items() if is_number(value)}
        unprefixed = {name.rpartition('/')[2]: value for name, value in figures.items()}
        figures = unprefixed if len(unprefixed) == len(figures) else figures
        results[run] = Result(network, str(files.metrics(network, run)), figures)
    mean = mean_of_runs(results)
    if not mean.figures:
        raise ValueError(
            f'{mean.origin}: these files have no number in common, so there is nothing to compare: give a '
            'test_evaluator whose figures are numbers'
        )
    return mean


def _from_poses(
    files: ComparisonFiles, network: str, runs: Sequence[str], protocol: Protocol, splits: Sequence[Split]
) -> Result:
    poses = {run: files.poses(network, run) for run in runs}
    if files.unit == 'seed':
        return mean_of_runs({run: evaluate_poses(network, str(path), protocol, splits) for run, path in poses.items()})
    together = [pose for path in poses.values() for pose in read_json(path, 'a COCO keypoint result')]
    return evaluate_poses(network, together, protocol, splits)


def _all_folds(files: ComparisonFiles, runs: Sequence[str], protocol: Protocol) -> tuple[Protocol, dict[int, int]]:
    """The protocol with the annotations of all folds, and the fold of each image."""
    contents = [read_json(files.fold_annotations(run, 'test'), 'annotations') for run in runs]
    together = dict(contents[0])
    for part in ('images', 'annotations'):
        together[part] = [record for content in contents for record in content[part]]
    ann_file = files.out / 'annotations/complete_folds.json'
    with whole_file(ann_file) as unfinished:
        unfinished.write_text(json.dumps(together))
    fold_of = {image['id']: fold for fold, content in enumerate(contents) for image in content['images']}
    return protocol._replace(ann_file=str(ann_file), image_dir=''), fold_of


def _verdicts(rows: Sequence[Row], figure: str, unit: str) -> list[str]:
    return [verdict(row, figure, unit) for row in rows[1:]]


def write_comparison(comparison: Comparison) -> Path:
    """Writes ``report/index.html``, ``report/table.md`` and ``report/results.json`` into the comparison's folder.

    What the networks cost is measured on this machine, unless that has been done.

    Args:
        comparison (Comparison): From :func:`read_comparison`.

    Returns:
        Path: The page.
    """
    files, folder = comparison.files, comparison.files.out / 'report'
    costs = _cost(files)
    with whole_file(folder / 'table.md') as unfinished:
        unfinished.write_text(_markdown(comparison, costs), encoding='utf-8')
    with whole_file(folder / 'results.json') as unfinished:
        unfinished.write_text(json.dumps(_as_json(comparison, costs), indent=2))
    for dpi in (150, 110, 80, 60):  # for many people on large photographs
        page = write_report(folder, _title(comparison), _sections(comparison, costs, dpi))
        if page.stat().st_size <= MAX_PAGE_BYTES:
            break
    return page


def _title(comparison: Comparison) -> str:
    names = [row.result.name for row in comparison.rows]
    return f'{", ".join(names[1:]) or "Nothing"} compared with {names[0]}'


def _cost(files: ComparisonFiles) -> dict:
    """The cost, measured once for the same networks."""
    file = files.out / 'report/cost.json'
    if file.is_file():
        costs = read_json(file, 'another --out')
        if list(costs['networks']) == files.networks:
            return costs
    costs = measure_cost({network: files.config(network, files.runs[0]) for network in files.networks})
    with whole_file(file) as unfinished:
        unfinished.write_text(json.dumps(costs, indent=2))
    return costs


def _markdown(comparison: Comparison, costs: dict) -> str:
    parts = [f'# {_title(comparison)}', *comparison.verdicts, _origin(comparison)]
    for title, grid in _figures(comparison, '; ').items():
        parts += [f'## {title}', _table(grid, 'github')]
    parts += [_legend(comparison), '## Cost', _table(_cost_grid(costs), 'github'), _cost_note(costs)]
    return '\n\n'.join(parts) + '\n'


def _as_json(comparison: Comparison, costs: dict) -> dict:
    return dict(
        figure=comparison.figure,
        verdicts=comparison.verdicts,
        smallest_gain={row.result.name: smallest_gain_of(row, comparison.figure) for row in comparison.rows[1:]},
        runs=comparison.runs,
        networks=json.loads(format_tables(comparison.rows, 'json')),
        cost=costs,
        settings=comparison.files.settings,
    )


def _sections(comparison: Comparison, costs: dict, dpi: int) -> dict[str, list]:
    files, pictures = comparison.files, comparison.files.out / 'report/pictures'
    sections = {'What was found': [*comparison.verdicts, _origin(comparison)]}
    grids = _figures(comparison, '<br>')
    sections |= {title: [_html(grid)] for title, grid in grids.items()}
    sections[next(iter(grids))].append(_legend(comparison))
    sections['Cost'] = [_html(_cost_grid(costs)), _cost_note(costs)]
    with contextlib.suppress(ValueError):  # runs of a cluster may have left no scalars
        work_dirs = {name: [files.work_dir(name, run) for run in comparison.runs] for name in files.networks}
        save_figure(plot_training_curve(work_dirs), pictures / 'curves.png', dpi)
        note = f'Lines are means. The band reaches from the lowest to the highest {files.unit}.'
        sections['Training'] = [*([note] if len(comparison.runs) > 1 else []), pictures / 'curves.png']
    if comparison.protocol:
        sections |= _galleries(comparison, pictures, dpi)
        gates = _gates(comparison)
        if gates:
            save_figure(draw_gates(gates), pictures / 'gates.jpg', dpi)
            sections['Gates of coordinate attention'] = [
                'The factors by which an attention module multiplies rows and columns, for the largest people.',
                pictures / 'gates.jpg',
            ]
    return sections


def _origin(comparison: Comparison) -> str:
    """What was run."""
    files, runs = comparison.files, comparison.runs
    counted = f'{len(runs)} {files.unit}{"" if len(runs) == 1 else "s"}'
    if len(runs) < len(files.numbers):
        counted += f' (of {len(files.numbers)}; the others are not complete)'
    sentences = [f'Each network was trained and tested with {counted}.']
    if len(set(files.starts.values())) == 1:
        sentences.append(f'All started from the weights of {Path(next(iter(files.starts.values()))).name}.')
    if len(comparison.rows) > 2:
        sentences.append('Intervals are for one network each: with many networks, one may show a gain by chance.')
    return ' '.join(sentences)


def _legend(comparison: Comparison) -> str:
    deviations = 'Each figure is the mean over runs, ± their standard deviation. ' if len(comparison.runs) > 1 else ''
    if comparison.files.unit == 'fold':
        deviations = 'Each person was tested once, by the networks of their fold. '
    baseline, row = comparison.rows[0].result.name, comparison.rows[-1]
    covered = row.covered if any(interval.is_known for interval in row.intervals.values()) else ''
    intervals = f' with its 95 % interval over {covered}' if covered else ''
    images = '' if comparison.protocol or not covered else ' It does not cover other images.'
    return f'{deviations}Figures are followed by their difference from {baseline}{intervals}.{images}'


def _figures(comparison: Comparison, separator: str) -> dict[str, Grid]:
    """The tables of figures by their titles."""
    rows, known = comparison.rows, comparison.rows[0].result.figures
    if not comparison.protocol:
        return {'Figures': _grid(rows, {name: name for name in known}, separator, percent=False)}
    columns = {key: name for key, name in COCO_COLUMNS.items() if name in known}
    grids = {'Figures, in percent': _grid(rows, columns, separator)}
    if comparison.levels:
        grids['By crowding, in percent'] = _grid(rows, _level_columns(comparison), separator)
    return grids


def _level_columns(comparison: Comparison) -> dict[str, str]:
    columns = {}
    for figure in ('AP', 'AR'):
        for level in comparison.levels:
            name = f'{figure} ({level.measure} {level.name})'
            number = comparison.rows[0].result.figures.get(f'instances ({level.measure} {level.name})', 0)
            if number:
                columns[f'{figure}, {level.name} ({number:.0f} people)'] = name
    return columns


def _grid(rows: Sequence[Row], columns: dict[str, str], separator: str, percent: bool = True) -> Grid:
    scale, form = (100, '{:.1f}') if percent else (1, '{:.4g}')
    signed = form.replace(':', ':+')
    body = []
    for heading, name in columns.items():
        line = [heading]
        for row in rows:
            figure = row.result.figures.get(name)
            cell = NOTHING if figure is None or (percent and figure < 0) else form.format(scale * figure)
            if name in row.result.deviations:
                cell += f' ± {form.format(scale * row.result.deviations[name])}'
            if name in row.differences:
                cell += separator + signed.format(scale * row.differences[name])
                interval = row.intervals.get(name)
                if interval and interval.is_known:
                    cell += f' [{signed.format(scale * interval.low)}, {signed.format(scale * interval.high)}]'
            line.append(cell)
        body.append(line)
    return body, ['', *(row.result.name for row in rows)]


def _cost_grid(costs: dict) -> Grid:
    networks = costs['networks']
    body = []
    for name in ('params (M)', 'GFLOPs'):
        if any(name in network for network in networks.values()):
            numbers = (network.get(name) for network in networks.values())
            body.append([name, *(NOTHING if number is None else f'{number:.2f}' for number in numbers)])
    for task in ('training step', 'inference'):
        body.append([f'{task}, ms', *(f'{1000 * network[task]:.0f}' for network in networks.values())])
        ratios = (network.get(f'{task}, ratio') for network in networks.values())
        body.append([f'{task}, ratio', *('1' if ratio is None else f'{ratio:.2f}' for ratio in ratios)])
    return body, ['', *networks]


def _cost_note(costs: dict) -> str:
    return (
        f'Measured side by side in one run on {costs["machine"]}: a training step with a batch of {costs["batch"]}, '
        'and inference of one sample. Ratios are to the first network.'
    )


def _html(grid: Grid) -> str:
    return f'<div class="wide">{_table(grid, "unsafehtml")}</div>'


def _table(grid: Grid, table_format: str) -> str:
    return tabulate(*grid, table_format, disable_numparse=True)


def _galleries(comparison: Comparison, pictures: Path, dpi: int) -> dict[str, list]:
    """Poses of the first run, on the images where networks differ most and on random ones."""
    files, protocol, run = comparison.files, comparison.protocol, comparison.runs[0]
    networks = files.networks[:MAX_COLUMNS]
    poses = {network: files.poses(network, run) for network in networks}
    images = sorted({person['image_id'] for person in _labelled_people(comparison)[1]})
    differing = differing_images(protocol, list(poses.values())[:2], NUM_IMAGES, images) if len(poses) > 1 else []
    others = [image for image in images if image not in differing]
    chosen = {
        f'Poses where {" and ".join(networks[:2])} differ most': differing,
        'Poses on random images': random.Random(0).sample(others, min(NUM_IMAGES, len(others))),
    }
    note = f'From left to right: {", ".join(networks)}, all of {run}. The number is OKS: 1 is a perfect pose.'
    sections = {}
    for heading, image_ids in chosen.items():
        parts = [note]
        for image_id in image_ids:
            # Images that are missing here are no reason to lose the report.
            with contextlib.suppress(ValueError):
                figure = draw_gallery(
                    protocol, poses, [image_id], kpt_thr=0, score_thr=0, truth=False, width=2 * len(networks)
                )
                save_figure(figure, pictures / f'{image_id}.jpg', dpi)
                parts.append(pictures / f'{image_id}.jpg')
        if len(parts) > 1:
            sections[heading] = parts
    return sections


def _labelled_people(comparison: Comparison) -> tuple[list[dict], list[dict]]:
    """The images that the first run is tested on, and the people in them that have labelled keypoints."""
    files, ann_file = comparison.files, comparison.protocol.ann_file
    if files.unit == 'fold':
        ann_file = files.fold_annotations(comparison.runs[0], 'test')
    content = read_json(ann_file, 'annotations in COCO format')
    people = [person for person in content['annotations'] if any(person.get('keypoints', [])[2::3])]
    return content['images'], people


def _gates(comparison: Comparison) -> list:
    """The gates of the first network that has some, on the largest people."""
    files, run = comparison.files, comparison.runs[0]
    if type_name(Config.fromfile(files.config(files.networks[0], run)).model) != 'TopdownPoseEstimator':
        return []
    images, people = _labelled_people(comparison)
    names = {image['id']: image['file_name'] for image in images}
    people = sorted(people, key=lambda person: person['bbox'][2] * person['bbox'][3])[-2:]
    for network in files.networks:
        checkpoint = files.last_checkpoint(network, run)
        # Not all networks have gates, and neither checkpoints nor images need be here.
        with contextlib.suppress(ValueError, OSError):
            model = load_model(files.config(network, run), checkpoint)
            paths = [Path(comparison.protocol.image_dir or '', names[person['image_id']]) for person in people]
            return [record_gates(model, path, person['bbox']) for path, person in zip(paths, people, strict=True)]
    return []
