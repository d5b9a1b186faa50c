r"""Finds out whether attention pays: trains and tests networks, and reports gains, their certainty, and their cost.

Give a config of any HRNet and the attention to put in, or pairs of NAME=CONFIG. The first network is the baseline.

  python tools/compare.py my_hrnet.py --attention coord se eca --load-from my_hrnet.pth --seeds 0 1 2
  python tools/compare.py HRNet=hrnet.py CA-HRNet=ca_hrnet.py --seeds 0 1 2 --launcher pytorch --gpus 8 --auto-scale-lr

Each network and seed gets its own mim train and mim test. The same command continues where an earlier one stopped:
finished runs are not repeated, and a run that was killed continues from its last epoch. OUT then holds
  configs/NETWORK.py             what differs from the given config; configs/NETWORK/seed0.py is that of a run
  NETWORK/seed0/                 work dir of a run, with train.log, test.log, metrics.json and poses.keypoints.json
  report/index.html              the verdict, tables, cost, curves, poses and gates; also table.md and results.json

For Slurm and other schedulers, --dry-run prints the commands, a line for each run. When some of them have finished,
the same command with --report reports on these.
"""

import argparse
import contextlib
import os
import shlex
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from arguments import by_name, named_path, positive
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger

import ca_hrnet_plugin  # noqa: F401  registers what configs name
from ca_hrnet_plugin.comparison import (
    ComparisonFiles,
    Launch,
    Progress,
    attention_variants,
    different_features,
    different_results,
    filled_networks,
    pretrained_networks,
    read_config,
    remaining_runs,
    run_all,
    start_tests,
    write_configs,
    write_folds,
)
from ca_hrnet_plugin.messages import in_one_line, replace_unprintable
from ca_hrnet_plugin.preflight import check_config
from ca_hrnet_plugin.reporting import read_comparison, write_comparison


def parse_args(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('configs', nargs='+', metavar='CONFIG', help='a config of HRNet, or pairs of NAME=CONFIG')
    add('--attention', nargs='+', default=[], metavar='NAME', help="coord, a name of timm's create_attn, or a class")
    add('--zero-init-residual', action='store_true', help='add HRNet with zero_init_residual')
    add('--load-from', metavar='CHECKPOINT', help='weights of HRNet that all networks start from')
    runs = parser.add_mutually_exclusive_group()
    runs.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], help='a run for each (default: 0 1 2)')
    runs.add_argument('--folds', type=positive, metavar='K', help='in place of seeds: each person is tested once')
    add('--out', type=Path, default=Path('work_dirs/compare'), help='folder (default: %(default)s)')
    add('--jobs', type=positive, default=1, help='runs at a time (default: 1)')
    add('--launcher', choices=['none', 'pytorch', 'slurm'], default='none', help='as for mim train')
    add('--gpus', type=positive, default=1, help='GPUs of each run, as for mim train (default: 1)')
    add('--gpus-per-node', type=positive, help='for --launcher slurm')
    add('--partition', help='for --launcher slurm')
    add('--amp', action='store_true', help='train with mixed precision')
    add('--auto-scale-lr', action='store_true', help='scale the learning rate to the total batch size')
    add('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help='changes to all configs')
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--dry-run', action='store_true', help='write the configs and print the commands')
    what.add_argument('--report', action='store_true', help='report on what has finished, and run nothing')
    add('--resamples', type=positive, default=1000, help='resamples of the bootstrap over images (default: 1000)')
    try:
        return parser.parse_args(arguments)
    except (ValueError, AssertionError) as error:  # raised by DictAction
        parser.error(f'argument --cfg-options: {in_one_line(error)}: give KEY=VALUE')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command, by default with the arguments of this process."""
    args = parse_args(arguments)
    replace_unprintable()
    MMLogger.get_current_instance().setLevel('ERROR')  # or it logs which variable a config read
    for message in ('pkg_resources is deprecated', 'The metainfo config file'):  # with each config
        warnings.filterwarnings('ignore', message)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # only commands and verdicts go to standard output
            failed, lines = compare(args)
    except KeyboardInterrupt:
        sys.exit('\ninterrupted: run the same command to continue')
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    print(*lines, sep='\n')
    if failed:
        sys.exit(f'{len(failed)} of the runs failed: run the same command to repeat them')


def compare(args: argparse.Namespace) -> tuple[dict[str, Path], list[str]]:
    """Does what the command line asks for; returns the log of each run that failed, and the lines to print."""
    files, launch = prepare(args), launch_of(args)
    if args.dry_run:
        runs = [*start_tests(files, launch), *remaining_runs(files, launch)]
        return {}, [' && '.join(map(str, run.steps)) for run in runs]
    failed = {}
    if not args.report:
        check(files)
        prove_start(files, launch, must_be_same=bool(args.attention))
        runs = remaining_runs(files, launch)
        failed = run_all(runs, launch, files.out, Progress('train and test', len(runs))) if runs else {}
    if not args.report and not files.complete_runs():
        return failed, []
    comparison = read_comparison(files.out, args.resamples, progress=True)
    page = write_comparison(comparison)
    return failed, [*comparison.verdicts, f'open {shlex.quote(os.path.relpath(page))}']


def prepare(args: argparse.Namespace) -> ComparisonFiles:
    """Writes the configs."""
    if all('=' in config for config in args.configs):
        if args.attention or args.zero_init_residual:
            raise ValueError('--attention and --zero-init-residual need one config of HRNet, without NAME=')
        networks = {name: (path, {}) for name, path in by_name([named_path(pair) for pair in args.configs]).items()}
    elif len(args.configs) > 1:
        raise ValueError(f'{" ".join(args.configs)}: give one config and --attention, or pairs of NAME=CONFIG')
    else:
        (config,) = args.configs
        variants = attention_variants(config, args.attention, args.zero_init_residual)
        networks = {name: (config, changes) for name, changes in variants.items()}
    if len(networks) < 2:
        raise ValueError('there is nothing to compare: give --attention, or two pairs of NAME=CONFIG')
    wrong = [name for name in networks if name != Path(name).name or name.startswith('.')]
    if wrong:
        raise ValueError(f'the name {wrong[0]!r} cannot be the name of a folder: give another')
    if args.zero_init_residual and args.load_from:
        raise ValueError('--zero-init-residual is for training from scratch: --load-from overwrites it')
    if args.folds == 1:
        raise ValueError('--folds 1 leaves nothing to train on: give 2 or more')
    unit, numbers = ('fold', list(range(args.folds))) if args.folds else ('seed', list(dict.fromkeys(args.seeds)))
    files = ComparisonFiles(args.out.resolve(), list(networks), unit, numbers)
    write_configs(files, networks, args.load_from, args.cfg_options)
    if args.folds and not any((files.out / network).exists() for network in networks):
        write_folds(files, read_config(networks[files.networks[0]][0], args.cfg_options))
    return files


def launch_of(args: argparse.Namespace) -> Launch:
    """How runs are started."""
    launcher = ['--launcher', args.launcher, '--gpus', str(args.gpus)] if args.launcher != 'none' else []
    launcher += ['--gpus-per-node', str(args.gpus_per_node)] if args.gpus_per_node else []
    launcher += ['--partition', args.partition] if args.partition else []
    train = [*launcher, *(['--amp'] if args.amp else []), *(['--auto-scale-lr'] if args.auto_scale_lr else [])]
    return Launch(train, launcher, args.jobs, args.gpus)


def check(files: ComparisonFiles) -> None:
    """Checks each network's config, data and checkpoint, and ends the command if there are problems."""
    for start in files.starts.values():
        if '://' not in start and not Path(start).is_file():
            raise ValueError(f'{start} is not a file: give the checkpoint to start from as --load-from')
    problems = {}
    tested = files.runs if files.unit == 'fold' else files.runs[:1]  # seeds have the same data
    for network in files.networks:
        for run, purpose in [(files.runs[0], 'train'), *((run, 'test') for run in tested)]:
            for problem in check_config(Config.fromfile(files.config(network, run)), purpose).problems:
                problems.setdefault(problem, network)
    for problem, network in problems.items():
        print(f'problem with {network}: {problem}', file=sys.stderr)
    if problems:
        raise ValueError('nothing was trained: solve these problems first')


def prove_start(files: ComparisonFiles, launch: Launch, must_be_same: bool) -> None:
    """Tests that all networks start with the outputs of the baseline, where they start from a checkpoint."""
    pretrained = pretrained_networks(files)
    if not pretrained:
        return
    if len(filled_networks(files)) == len(pretrained):
        tests = start_tests(files, launch)
        failed = run_all(tests, launch, files.out, Progress('test the start', len(tests))) if tests else {}
        if failed:
            raise ValueError(f'the test of {next(iter(failed))} failed; its log is {next(iter(failed.values()))}')
        different, what = different_results(files), 'the result on the test data is the same, byte for byte'
    else:
        different, what = different_features(files), 'the feature maps are the same, bit for bit'
    if different and must_be_same:
        raise ValueError(f'{", ".join(different)} did not start with the outputs of {files.networks[0]}')
    same = [network for network in pretrained if network not in different]
    print(f'start of {", ".join(same)}: {what}', file=sys.stderr)


if __name__ == '__main__':
    main()
