r"""Prints Table 1 of the paper from runs on disk: a row for each network, and its difference to the first row.

Each row is NAME=SOURCE, where SOURCE is one of
  WORK_DIR                the newest test in it (mim test) or, without one, the best validation by AP
  METRICS.json            metrics of mim test --out
  RESULTS.keypoints.json  a COCO keypoint result, which mim test leaves with
                          --cfg-options test_evaluator.outfile_prefix=RESULTS
  PREDICTIONS.pkl         predictions of mim test --dump
  CONFIG.py:CHECKPOINT    tested now, as mim test does; leaves its keypoint result in the config's work dir
  'work_dirs/seed*'       a pattern, in quotes, that finds one of the first four for each of several runs: their mean,
                          and their standard deviation

Keypoint results and predictions need --ann-file or --config. Rows of them have the 95 % interval of each difference,
from a paired bootstrap over images. Of several runs it covers images and runs, and runs of two rows are paired by what
the * of their patterns matched, such as a seed.
Figures are in percent; a dash is a figure that there is not, such as the AP of a level without instances. Where each
row is from is said on standard error. The column boxes is of what a row's config, or --config, tests in.

  python tools/benchmark_table.py HRNet=work_dirs/hrnet CA-HRNet=work_dirs/ca_hrnet --format markdown
  python tools/benchmark_table.py HRNet=a.keypoints.json CA-HRNet=b.keypoints.json --levels \
      --ann-file data/coco/annotations/person_keypoints_val2017.json
"""

import argparse
import contextlib
import sys

from arguments import by_name, named_path

import ca_hrnet_plugin  # noqa: F401  registers what configs name
from ca_hrnet_plugin.evaluation import AREAS, level_splits
from ca_hrnet_plugin.reporting.complexity import measure_complexity
from ca_hrnet_plugin.reporting.protocol import read_protocol
from ca_hrnet_plugin.reporting.results import read_result
from ca_hrnet_plugin.reporting.table import FORMATS, compare, format_tables


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', nargs='+', type=named_path, metavar='NAME=SOURCE')
    parser.add_argument('--ann-file', help='COCO annotations to evaluate keypoint results and predictions on')
    parser.add_argument(
        '--config',
        help='evaluate as this config tests: its annotations, sigmas and CocoMetric settings. Needed for data sets '
        'other than COCO: CrowdPose has its own sigmas, iou_type=keypoints_crowd and use_area=False',
    )
    parser.add_argument('--levels', action='store_true', help='add AP and AR by crowding, hidden joints and overlap')
    parser.add_argument(
        '--resamples', type=int, default=1000, help='of the bootstrap; 0 for no intervals (default: %(default)s)'
    )
    parser.add_argument(
        '--complexity',
        action='store_true',
        help="add parameters and GFLOPs of each row's config: the work dir's, the tested one, or one from --row-config",
    )
    parser.add_argument(
        '--row-config', nargs='+', type=named_path, default=[], metavar='NAME=CONFIG', help='configs for --complexity'
    )
    parser.add_argument('--format', choices=FORMATS, default='text')
    args = parser.parse_args()
    levels = level_splits() if args.levels else []
    try:
        protocol = read_protocol(args.config, args.ann_file) if args.config or args.ann_file else None
        with contextlib.redirect_stdout(sys.stderr):  # logs and progress: the table alone is the output
            results = [
                read_result(name, source, protocol, [*AREAS, *levels]) for name, source in by_name(args.rows).items()
            ]
            if args.complexity:
                configs = {result.name: result.config for result in results} | dict(args.row_config)
                for result in results:
                    if configs[result.name]:
                        result.figures |= measure_complexity(configs[result.name])
            rows = compare(results, args.resamples, progress=True)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f'no table: {error}')
    for result in results:
        print(f'{result.name}: {result.origin}', file=sys.stderr)
    print(format_tables(rows, args.format, levels))


if __name__ == '__main__':
    main()
