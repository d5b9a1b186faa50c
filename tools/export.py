"""Exports a trained top-down heatmap network to ONNX, checks the graph on the config's test data, and times it.

Needs onnx, onnxscript, onnxruntime and openvino besides MMPose: pip install '.[export]'. The graph maps normalised
crops (N, 3, H, W) to heatmaps. With --for rtmlib, it has the input and output that rtmlib's pose classes expect. With
--pixels, it takes crops as OpenCV reads them, and with --simcc, it returns keypoints as RTMPose does. Its metadata has
the mean, the standard deviation, the crop size and the codec.

With --precision int8 or fp16, the network computes in 8-bit integers, for processors, or in 16-bit floats, for GPUs.
Integers are calibrated on training people. AP on the test data, throughput and size of file are printed before and
after, all without flip test.

With --freeze, the gates of CA-HRNet are first replaced by their means over training people, and AP on the test data is
printed before and after. The result is a stock HRNet. --checkpoint-out also writes its checkpoint, which loads wherever
a checkpoint of HRNet does.
"""

import argparse
import contextlib
import pickle
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import torch
from arguments import positive
from tabulate import tabulate

from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.deploy import (
    RUNTIMES,
    check_onnx,
    export_onnx,
    freeze_gates,
    load_onnx,
    read_crops,
)
from ca_hrnet_plugin.deploy.agreement import with_graph
from ca_hrnet_plugin.deploy.freeze import average_precision
from ca_hrnet_plugin.deploy.precision import PRECISIONS
from ca_hrnet_plugin.deploy.simcc import SimCC, rtmlib_class
from ca_hrnet_plugin.evaluation import training_people
from ca_hrnet_plugin.evaluation.people import pipeline_of_test
from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.reporting.timing import time_side_by_side
from ca_hrnet_plugin.whole_file import whole_file

CALIBRATION_PEOPLE = 200
RTMLIB_PADDING = 1.25  # by which rtmlib enlarges boxes, as MMPose does by default


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('--out', type=Path, required=True, help='the .onnx file to write')
    parser.add_argument('--batch', type=positive, help='fixed number of crops (default: any number)')
    parser.add_argument('--for', dest='reader', choices=['rtmlib'], help='program that is to read the graph')
    parser.add_argument('--pixels', action='store_true', help='normalise in the graph, which takes BGR from 0 to 255')
    parser.add_argument('--simcc', action='store_true', help='decode in the graph, to SimCC vectors as in RTMPose')
    parser.add_argument(
        '--runtime', choices=RUNTIMES, default='ONNX Runtime', help='runtime to optimise for (default: %(default)s)'
    )
    parser.add_argument(
        '--precision', choices=PRECISIONS, default='float32', help='what to compute in (default: %(default)s)'
    )
    parser.add_argument('--freeze', action='store_true', help='replace the gates of each channel by their mean first')
    parser.add_argument('--checkpoint-out', type=Path, help='the .pth file to write the frozen weights to')
    parser.add_argument(
        '--people', type=positive, default=8, help='people to check and time with (default: %(default)s)'
    )
    parser.add_argument('--rounds', type=positive, default=5, help='rounds of timing (default: %(default)s)')
    args = parser.parse_args()
    replace_unprintable()
    if args.reader and (args.pixels or args.simcc):
        parser.error(f'--for {args.reader} chooses input and output: leave out --pixels and --simcc')
    if args.checkpoint_out and not args.freeze:
        parser.error('--checkpoint-out is for frozen gates: give --freeze too')
    args.input_form = 'pixels' if args.pixels else 'normalised'
    if args.checkpoint_out and args.checkpoint_out.resolve() == args.out.resolve():
        parser.error(f'--out and --checkpoint-out are both {args.out}: give two names')

    try:
        model = load_model(args.config, args.checkpoint)
        # An unsupported codec is refused before the slow steps.
        if args.reader:
            pose_class = rtmlib_class(model.head.decoder)
            args.input_form, args.simcc = 'rtmlib', pose_class == 'RTMPose'
            warn_of_padding(model)
        elif args.simcc:
            SimCC(model.head.decoder)
    except (ValueError, OSError, pickle.UnpicklingError) as error:
        sys.exit(f'not exported: {error}')
    try:
        inputs, crops = read_crops(model, args.batch or args.people, args.input_form)
        people = training_people(model) if args.freeze else []
        args.people_to_calibrate = training_people(model, CALIBRATION_PEOPLE) if args.precision == 'int8' else []
    except (ValueError, FileNotFoundError, AssertionError) as error:  # MMPose asserts that annotations exist
        sys.exit(
            f'not exported: {error} (people are read by test_dataloader, and with --freeze or --precision int8 by '
            'train_dataloader too, below CA_HRNET_DATA)'
        )
    try:
        with whole_file(args.out) as unfinished:
            if args.freeze:
                model = freeze(model, people, args)
            if args.precision == 'float32':
                export(model, unfinished, inputs, crops, args)
            else:
                with tempfile.TemporaryDirectory() as folder:
                    export(model, Path(folder, 'float32.onnx'), inputs, crops, args)
                    lower_precision(model, Path(folder, 'float32.onnx'), unfinished, inputs, crops, args)
    except ModuleNotFoundError as error:
        sys.exit(f"not exported: {error}; install it with pip install '.[export]'")
    except (ValueError, FileExistsError) as error:
        sys.exit(f'not exported: {error}')
    reader = f", for rtmlib's {pose_class}" if args.reader else ''
    print(f'{args.out}: batch size {args.batch or "any"}{reader}')


def export(model: torch.nn.Module, path: Path, inputs: torch.Tensor, crops: torch.Tensor, args) -> None:
    """Writes the graph, compares its outputs for ``inputs`` with PyTorch's for ``crops``, and times both.

    Raises:
        ValueError: The outputs differ.
    """
    height, width = crops.shape[2:]
    announce('exporting, which can take minutes')
    export_onnx(model, path, (width, height), args.batch, args.runtime, args.input_form, args.simcc)
    runs = {name: load_onnx(path, name) for name in RUNTIMES}
    announce(f'comparing the graph with PyTorch on {len(crops)} people')
    differences = {name: check_onnx(model, run, crops, inputs) for name, run in runs.items()}
    functions = {'PyTorch': torch.no_grad()(lambda: model.head(model.backbone(crops)))}
    functions |= {name: lambda run=run: run(inputs.numpy()) for name, run in runs.items()}
    announce('timing')
    timings = time_side_by_side(functions, dict.fromkeys(runs, 'PyTorch'), args.rounds)
    compared = {name: (difference.heatmaps, difference.typical_keypoint) for name, difference in differences.items()}
    rows = [
        [name, len(crops) / median(seconds), 1 / median(ratios or [1]), *compared.get(name, ())]
        for name, (seconds, ratios) in timings.items()
    ]
    headers = ['', 'people a second', 'times as fast', 'heatmaps differ by', '95 % of keypoints by (pixels)']
    print(tabulate(rows, headers, floatfmt=('', '.1f', '.2f', '.1e', '.4f')))
    wrong = [name for name, difference in differences.items() if not difference.is_small]
    if wrong:
        raise ValueError(f'in {", ".join(wrong)} the graph differs by more than rounding does (table above)')


def lower_precision(
    model: torch.nn.Module, float32: Path, path: Path, inputs: torch.Tensor, crops: torch.Tensor, args
) -> None:
    """Writes the graph in the precision asked for, and compares it with the one in float32."""
    height, width = crops.shape[2:]
    announce(f'exporting in {args.precision}, which can take minutes')
    options = args.batch, args.runtime, args.input_form, args.simcc, args.precision, args.people_to_calibrate
    export_onnx(model, path, (width, height), *options)
    paths = {'float32': float32, args.precision: path}
    runs = {(name, precision): load_onnx(paths[precision], name) for name in RUNTIMES for precision in paths}
    differences = {name: check_onnx(model, run, crops, inputs) for name, run in runs.items()}
    functions = {name: lambda run=run: run(inputs.numpy()) for name, run in runs.items()}
    announce('timing')
    baselines = {(name, args.precision): (name, 'float32') for name in RUNTIMES}
    timings = time_side_by_side(functions, baselines, args.rounds)
    rows = [
        [*name, len(crops) / median(seconds), 1 / median(ratios or [1]), differences[name].typical_keypoint]
        for name, (seconds, ratios) in timings.items()
    ]
    headers = ['', 'precision', 'people a second', 'times as fast', '95 % of keypoints differ by (pixels)']
    print(tabulate(rows, headers, floatfmt=('', '', '.1f', '.2f', '.4f')))
    sizes = [file.stat().st_size / 1e6 for file in paths.values()]
    print('size of file: {:.1f} MB before, {:.1f} MB after'.format(*sizes))
    announce(f'predicting all people of the test data with both graphs in {args.runtime}')
    graphs = [with_graph(model, runs[args.runtime, name], args.input_form, args.batch) for name in paths]
    try:
        figures = [100 * average_precision(graph) for graph in graphs]
    except ValueError as error:
        print(f'AP not measured: {error}')
    else:
        print('AP in {}: {:.2f} before, {:.2f} after'.format(args.runtime, *figures))


def warn_of_padding(model: torch.nn.Module) -> None:
    """Warns if the config enlarges boxes by another factor than rtmlib."""
    for step in pipeline_of_test(model.cfg):
        padding = step.get('padding', RTMLIB_PADDING)
        if padding != RTMLIB_PADDING:
            line = f'rtmlib enlarges boxes by {RTMLIB_PADDING}, and the config by {padding}: poses will differ a little'
            print(line, file=sys.stderr)


def announce(step: str) -> None:
    """Prints the name of a step that takes long."""
    print(f'{step} ...', file=sys.stderr, flush=True)


def freeze(model: torch.nn.Module, people: Sequence[dict], args: argparse.Namespace) -> torch.nn.Module:
    """Freezes gates, prints AP before and after, and writes the weights if asked to."""
    with whole_file(args.checkpoint_out) if args.checkpoint_out else contextlib.nullcontext() as unfinished:
        frozen = freeze_gates(model, people)
        print(f'gates frozen: AP {100 * frozen.ap_before:.2f} before, {100 * frozen.ap_after:.2f} after')
        if unfinished:
            torch.save(dict(state_dict=frozen.model.state_dict()), unfinished)
    return frozen.model


if __name__ == '__main__':
    main()
