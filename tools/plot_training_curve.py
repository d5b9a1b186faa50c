"""Draws Figure 5 of the paper: accuracy, loss and validation AP over training, of one run or several.

The learning rate's drops are marked. A work dir whose training was resumed is one curve; where runs in it logged the
same iterations, the later one has them.

  python tools/plot_training_curve.py HRNet=work_dirs/hrnet CA-HRNet=work_dirs/ca_hrnet --out curve.pdf
"""

import argparse
import sys

from arguments import by_name, named_path

from ca_hrnet_plugin.reporting.style import save_figure
from ca_hrnet_plugin.reporting.training_curve import plot_training_curve


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'runs', nargs='+', type=named_path, metavar='NAME=WORK_DIR', help="a run's name and work dir or scalars.json"
    )
    parser.add_argument('--out', default='training_curve.png', help='.png, .jpg, .svg or .pdf (default: %(default)s)')
    args = parser.parse_args()
    try:
        save_figure(plot_training_curve(by_name(args.runs)), args.out)
    except (ValueError, OSError) as error:
        sys.exit(f'no curve: {error}')
    print(args.out)


if __name__ == '__main__':
    main()
