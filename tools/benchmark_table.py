r"""Prints Table 1 of the paper from files of finished runs: each network, and its difference from the first.

Each network is NAME=SOURCE, where SOURCE is one of
  WORK_DIR                its newest test (mim test) or, without a test, its validation with the best AP
  METRICS.json            metrics of mim test --out
  RESULTS.keypoints.json  a COCO keypoint result, which mim test writes with
                          --cfg-options test_evaluator.outfile_prefix=RESULTS
  'work_dirs/seed*'       a quoted pattern that matches one of these for each of several runs: the table has their mean
                          and their standard deviation

Keypoint results need --ann-file or --config. Their differences have a 95 % interval from a paired bootstrap over
images. With several runs, the interval covers images and runs. Runs of two networks are paired by the text that * in
their patterns matched, such as a seed.

Figures are in percent. A dash stands for a missing figure, such as the AP of a level without instances. The "boxes"
column shows whether the network was tested with detected or ground truth boxes, if a config is known. The source of
each row goes to standard error.

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
from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.reporting import compare, format_tables, measure_complexity, read_protocol, read_result
from ca_hrnet_plugin.reporting.table import FORMATS


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('rows', nargs='+', type=named_path, metavar='NAME=SOURCE')
    parser.add_argument('--ann-file', help='COCO annotations to evaluate keypoint results on')
    parser.add_argument(
        '--config',
        help='evaluate keypoint results as this config tests: with its annotations, sigmas and settings of CocoMetric. '
        'Required for data sets other than COCO, such as CrowdPose with sigmas of its own, iou_type=keypoints_crowd '
        'and use_area=False',
    )
    parser.add_argument('--levels', action='store_true', help='add AP and AR by crowding, hidden joints and overlap')
    parser.add_argument(
        '--resamples',
        type=int,
        default=1000,
        help='resamples of the bootstrap; 0 for no intervals (default: %(default)s)',
    )
    parser.add_argument(
        '--complexity',
        action='store_true',
        help="add parameters and GFLOPs of each network, by its work dir's config or --row-config",
    )
    parser.add_argument(
        '--row-config', nargs='+', type=named_path, default=[], metavar='NAME=CONFIG', help='configs for --complexity'
    )
    parser.add_argument('--format', choices=FORMATS, default='text')
    args = parser.parse_args()
    replace_unprintable()
    levels = level_splits() if args.levels else []
    try:
        protocol = read_protocol(args.config, args.ann_file) if args.config or args.ann_file else None
        with contextlib.redirect_stdout(sys.stderr):  # only the table goes to standard output
            sources = by_name(args.rows)
            results = [read_result(name, source, protocol, [*AREAS, *levels]) for name, source in sources.items()]
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
