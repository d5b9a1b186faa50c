"""``python -m ca_hrnet_plugin check CONFIG``: finds, before a run starts, problems that would stop it late."""

import argparse
from collections.abc import Sequence

from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope

from ..config_files import resolve_config
from ..messages import in_one_line, replace_unprintable
from .best import check_best
from .data import check_data
from .report import Report
from .weights import check_weights

PARTS = dict(train=('train', 'val'), test=('test',))  # parts of a config, by the command that uses them


def check_config(cfg: Config, purpose: str = 'train', decode: bool = False) -> Report:
    """Checks the files, annotations, detections, images and checkpoints of a run.

    Args:
        cfg (Config): A complete MMEngine config with any default scope.
        purpose (str): ``'train'``, which validates too, or ``'test'``.
        decode (bool): Whether to decode each image.
    """
    report = Report()
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        # Each check is a module with one function that adds to the report. New checks are called here.
        check_data(cfg, PARTS[purpose], report, decode)
        check_weights(cfg, PARTS[purpose], report)
        check_best(cfg, PARTS[purpose], report)
    for lines in (report.notes, report.problems):
        lines[:] = [line.replace('\n', '\\n') for line in lines]  # paths may have line breaks
    return report


def main(arguments: Sequence[str]) -> int:
    """Runs the command and returns 1 if it finds problems, else 0. Exits with 2 if the config cannot be read."""
    parser = argparse.ArgumentParser(
        prog='python -m ca_hrnet_plugin check', description=check_config.__doc__.splitlines()[0]
    )
    parser.add_argument('config', help='a config file of MMEngine, or the name of a config of this plugin')
    parser.add_argument(
        '--for', choices=PARTS, default='train', dest='purpose', help='the command to check for (default: train)'
    )
    parser.add_argument('--checkpoint', metavar='FILE', help='a checkpoint in place of load_from')
    parser.add_argument('--decode', action='store_true', help='decode each image, which takes minutes on COCO')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='as for mim train')
    try:
        args = parser.parse_args(arguments)
    except (ValueError, AssertionError) as error:  # raised by DictAction
        parser.error(f'argument --cfg-options: {in_one_line(error)}: give KEY=VALUE')
    try:
        path = resolve_config(args.config)
    except (ValueError, OSError):
        parser.exit(2, f'{args.config} is neither a file nor a name that python -m ca_hrnet_plugin lists\n')
    try:
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(args.cfg_options or {})
    except Exception as error:  # a config is a program, which can fail in any way
        parser.exit(2, f'config {args.config} cannot be read: {in_one_line(error)}\n')
    replace_unprintable()
    cfg.load_from = args.checkpoint or cfg.get('load_from')
    report = check_config(cfg, args.purpose, args.decode)
    for note in report.notes:
        print(note)
    for problem in report.problems:
        print(f'problem: {problem}')
    num_problems = len(report.problems)
    print(f'{args.config}, to {args.purpose}: {num_problems or "no"} problem{"" if num_problems == 1 else "s"}')
    return 1 if report.problems else 0
