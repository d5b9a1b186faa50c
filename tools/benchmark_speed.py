"""Times CA-HRNet and other forms of coordinate attention, each next to stock HRNet, within one run.

The main figure is the ratio to HRNet in the same mode: its median and its interquartile range over the rounds. Peak
memory and kernels (on the CPU, ATen operators) are those of one call. Saved memory is that of saved activations. --data
also times the data pipeline, to show which part is the bottleneck.
"""

import argparse
import datetime
import itertools
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from arguments import positive
from benchmark import (
    MODES,
    ONLY_FOR,
    VARIANTS,
    build_pose_model,
    count_kernels,
    make_workload,
    measure_peak_memory,
    measure_saved_bytes,
)
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS
from rich.progress import Progress
from synthetic_crowd import make_synthetic_crowd
from tabulate import tabulate

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.reporting.cost import machine_name
from ca_hrnet_plugin.reporting.timing import time_side_by_side
from ca_hrnet_plugin.whole_file import whole_file

DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)
HEADERS = ['', 'mode', 'ms', 'ratio', 'interquartile', 'to eager HRNet', 'peak MB', 'saved MB', 'kernels']


def measure(
    args: argparse.Namespace, task: str, part: str, batch: int, dtype: str, layout: str, on_round
) -> list[dict]:
    """Measures every variant in every mode side by side, and returns the rows of one table."""
    functions, figures = {}, {}
    for variant, mode in itertools.product(args.variants, args.modes):
        if ONLY_FOR.get(variant, task) != task:
            continue
        model = build_pose_model(args.config, variant).to(args.device)
        function = make_workload(
            model, task, part, mode, batch, args.input_size, DTYPES[dtype], layout == 'channels_last'
        )
        functions[variant, mode] = function
        is_pytorch = mode not in ('ONNX Runtime', 'OpenVINO')
        function()
        figures[variant, mode] = dict(
            peak_bytes=measure_peak_memory(function, args.device) if is_pytorch else None,
            saved_bytes=measure_saved_bytes(model, function) if task == 'training' and mode == 'eager' else None,
            kernels=count_kernels(function, args.device) if mode == 'eager' else None,
        )
    stock = {name: ('HRNet', name[1]) for name in functions if name[0] != 'HRNet'}
    eager = {name: ('HRNet', 'eager') for name in functions if name[0] == 'HRNet' and name[1] != 'eager'}
    timings = time_side_by_side(functions, stock | eager or {name: name for name in functions}, args.rounds, on_round)
    rows = []
    for (variant, mode), (seconds, ratios) in timings.items():
        to_mode = ratios if (variant, mode) in stock else [1]
        mode_to_eager = timings['HRNet', mode].ratios if mode != 'eager' else [1]
        rows.append(
            dict(
                task=task, part=part, batch=batch, dtype=dtype, layout=layout, variant=variant, mode=mode,
                seconds=float(np.median(seconds)),
                ratio=float(np.median(to_mode)),
                middle_half=np.percentile(to_mode, [25, 75]).tolist(),
                to_eager_hrnet=float(np.median(to_mode) * np.median(mode_to_eager)),
                **figures[variant, mode],
            )
        )  # fmt: skip
    return rows


def crops_per_second(config: str, seconds: float = 5) -> dict[str, float]:
    """Measures how many crops of people one worker prepares per second: reading, augmenting, drawing heatmaps."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        make_synthetic_crowd(f'{folder}/coco', num_train=16, num_val=16, progress=False)
        cfg = Config.fromfile(config)
        init_default_scope(cfg.default_scope)
        for task, loader in dict(training=cfg.train_dataloader, inference=cfg.test_dataloader).items():
            loader.dataset.data_root = f'{folder}/coco/'
            if loader.dataset.get('bbox_file'):
                loader.dataset.bbox_file = None
            people = DATASETS.build(loader.dataset)
            start, done = time.perf_counter(), 0
            while time.perf_counter() < start + seconds:
                people[done % len(people)]
                done += 1
            rates[task] = done / (time.perf_counter() - start)
    return rates


def as_table(rows: list[dict], style: str) -> str:
    """Formats the rows of one side-by-side measurement under a title."""

    def megabytes(count: int | None) -> str:
        return '' if count is None else f'{count / 1e6:.0f}'

    cells = [
        [
            row['variant'],
            row['mode'],
            f'{1000 * row["seconds"]:.1f}',
            f'{row["ratio"]:.2f}',
            '{:.2f} to {:.2f}'.format(*row['middle_half']),
            f'{row["to_eager_hrnet"]:.2f}',
            megabytes(row['peak_bytes']),
            megabytes(row['saved_bytes']),
            '' if row['kernels'] is None else row['kernels'],
        ]
        for row in rows
    ]
    title = '{part} {task}, batch {batch}, {dtype}, {layout}'.format(**rows[0])
    return f'{title}\n\n{tabulate(cells, HEADERS, tablefmt=style, disable_numparse=True)}\n'


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--config', default=config_path('ca_hrnet_w32_coco_256x192'), help='(default: %(default)s)')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS), metavar='NAME')
    parser.add_argument('--tasks', nargs='+', choices=('inference', 'training'), default=['inference', 'training'])
    parser.add_argument('--parts', nargs='+', choices=('backbone', 'model'), default=['backbone'])
    parser.add_argument('--modes', nargs='+', choices=MODES, default=['eager'], metavar='MODE', help=', '.join(MODES))
    parser.add_argument('--batches', nargs='+', type=positive, default=[1], metavar='N')
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=['float32'], help='dtypes of autocast')
    parser.add_argument('--layouts', nargs='+', choices=('contiguous', 'channels_last'), default=['contiguous'])
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--rounds', type=positive, default=15, help='(default: %(default)s)')
    parser.add_argument('--data', action='store_true', help='also time the data pipeline, on drawn images')
    parser.add_argument('--format', choices=('plain', 'github'), default='plain')
    parser.add_argument('--out', type=Path, help='also write all figures to this JSON file, table by table')
    args = parser.parse_args()
    replace_unprintable()
    args.variants = list(dict.fromkeys(['HRNet', *args.variants]))
    args.modes = list(dict.fromkeys(['eager', *args.modes]))
    if args.device == 'cuda' and not torch.cuda.is_available():
        parser.error('PyTorch sees no GPU: give --device cpu')
    if args.out and args.out.is_dir():
        parser.error(f'--out {args.out} is a folder: give the name of a file')
    try:
        cfg = Config.fromfile(args.config)
        args.input_size = tuple(cfg.codec['input_size'])
    except (OSError, AttributeError) as error:
        sys.exit(f'nothing measured: {args.config} is not the config of a top-down network ({error})')
    if args.data and cfg.train_dataloader.dataset.type != 'CocoDataset':
        parser.error(f'--data draws images for CocoDataset, and {args.config} reads another data set')

    machine = f'{machine_name(args.device)}, {datetime.date.today()}'
    print(f'{machine}\n')
    rows = []

    def write_figures() -> None:
        if args.out:
            with whole_file(args.out) as unfinished:
                content = dict(hardware=machine, config=str(args.config), figures=rows)
                unfinished.write_text(json.dumps(content, indent=1))

    workloads = list(itertools.product(args.tasks, args.parts, args.batches, args.dtypes, args.layouts))
    with Progress(transient=True) as progress:
        bar = progress.add_task('measuring', total=len(workloads) * args.rounds)
        for workload in workloads:
            try:
                table = measure(args, *workload, on_round=lambda: progress.advance(bar))
            except ValueError as error:
                sys.exit(str(error))
            rows += table
            progress.console.print(as_table(table, args.format), markup=False, highlight=False, soft_wrap=True)
            write_figures()
    if args.data:
        rates = crops_per_second(args.config)
        print('data pipeline: ' + ', '.join(f'{rate:.0f} crops a second for {task}' for task, rate in rates.items()))
        rows.append(dict(part='data pipeline', crops_a_second=rates))
        write_figures()


if __name__ == '__main__':
    main()
