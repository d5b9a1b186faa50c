"""Draws Figure 5 of the paper: training accuracy, training loss and validation AP of one or more runs.

A work dir of a resumed training gives one curve; where two runs in it logged the same iterations, those of the later
run are drawn.

  python tools/plot_training_curve.py HRNet=work_dirs/hrnet CA-HRNet=work_dirs/ca_hrnet --out curve.pdf
"""

import argparse
import sys

from arguments import by_name, named_path

from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.reporting import plot_training_curve, save_figure


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'runs', nargs='+', type=named_path, metavar='NAME=WORK_DIR', help='name and work dir (or scalars.json) of a run'
    )
    parser.add_argument('--out', default='training_curve.png', help='.png, .jpg, .svg or .pdf (default: %(default)s)')
    args = parser.parse_args()
    replace_unprintable()
    try:
        save_figure(plot_training_curve(by_name(args.runs)), args.out)
    except (ValueError, OSError) as error:
        sys.exit(f'no curve: {error}')
    print(args.out)


if __name__ == '__main__':
    main()
