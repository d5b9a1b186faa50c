"""``python -m ca_hrnet_plugin check CONFIG``: what a run would find out late, found before it begins."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.registry import DefaultScope

from ..checkpoints.fit import in_one_line
from ..config_files import config_path
from .data import check_data
from .report import Report
from .weights import check_weights

# The parts of a config that each command uses.
PARTS = dict(train=('train', 'val'), test=('test',))


def check_config(cfg: Config, purpose: str = 'train', decode: bool = False) -> Report:
    """Looks at the files, annotations, detections, images and checkpoints of a run.

    Args:
        cfg (Config): A whole config of MMEngine's, of any default scope.
        purpose (str): ``'train'``, which validates too, or ``'test'``.
        decode (bool): Whether to decode each image.

    Raises:
        ImportError: pydantic is not installed, and there are COCO annotations.
    """
    report = Report()
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
        check_data(cfg, PARTS[purpose], decode, report)
        check_weights(cfg, PARTS[purpose], report)
    for lines in (report.notes, report.troubles):
        lines[:] = [line.replace('\n', '\\n') for line in lines]  # as a path may have
    return report


def main(arguments: Sequence[str]) -> int:
    """Runs the command: 0 where nothing is wrong, 1 where something is, 2 where there is no config to look at."""
    parser = argparse.ArgumentParser(
        prog='python -m ca_hrnet_plugin check', description=check_config.__doc__.splitlines()[0]
    )
    parser.add_argument('config', help="a config file of MMEngine's, or the name of one of this plugin's")
    parser.add_argument(
        '--for', choices=PARTS, default='train', dest='purpose', help='what is to be run: %(default)s by default'
    )
    parser.add_argument('--checkpoint', metavar='FILE', help='in the place of load_from')
    parser.add_argument('--decode', action='store_true', help='decode each image, which takes minutes on COCO')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='as for mim train')
    try:
        args = parser.parse_args(arguments)
    except (ValueError, AssertionError) as error:  # DictAction's
        parser.error(f'argument --cfg-options: {in_one_line(error)}: give KEY=VALUE')
    cfg = _read_config(parser, args.config, args.cfg_options)
    if args.checkpoint:
        cfg.load_from = args.checkpoint
    try:
        report = check_config(cfg, args.purpose, args.decode)
    except ImportError as error:
        print(error, file=sys.stderr)
        return 2
    for note in report.notes:
        print(note)
    for trouble in report.troubles:
        print(f'trouble: {trouble}')
    print(f'{args.config}, to {args.purpose}: {len(report.troubles) or "no"} trouble{"s" * (len(report.troubles) > 1)}')
    return 1 if report.troubles else 0


def _read_config(parser: argparse.ArgumentParser, name: str, options: dict | None) -> Config:
    try:
        path = name if Path(name).exists() else config_path(name)
    except (ValueError, OSError):
        parser.exit(2, f'{name} is no file and no config of this plugin, which python -m ca_hrnet_plugin lists\n')
    try:
        cfg = Config.fromfile(path)
        cfg.merge_from_dict(options or {})
    except Exception as error:  # a config is a program of somebody's
        parser.exit(2, f'config {name} cannot be read: {in_one_line(error)}\n')
    return cfg
