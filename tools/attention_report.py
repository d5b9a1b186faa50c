"""Says what the gates of a trained CA-HRNet do, on the test data of its config and without training.

Its AP and AR, over all and by crowd level, as it is; with another person's gates in the place of each person's own; and
with what gates are on average over training people: along rows and columns, as one factor a channel, and as one factor
a module. Then how much each module's gates vary over people, positions and channels. Without flip test.

If other people's gates do as well, the network does not look at the person. If the mean along rows and columns does as
well, its gates are a position prior, and deploy.freeze_gates makes a faster network of the same AP.
"""

import argparse
import contextlib
import pickle
import sys
from pathlib import Path

from arguments import positive
from tabulate import tabulate

from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.evaluation import level_splits
from ca_hrnet_plugin.reporting.gate_report import MODULE_HEADERS, draw_report, module_rows, report_attention
from ca_hrnet_plugin.reporting.protocol import read_protocol
from ca_hrnet_plugin.reporting.style import save_figure
from ca_hrnet_plugin.reporting.table import format_tables


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument(
        '--people', type=positive, default=1000, help='of training, to average over (default: %(default)s)'
    )
    parser.add_argument('--resamples', type=positive, default=1000, help='of the bootstrap (default: %(default)s)')
    parser.add_argument('--format', choices=('text', 'markdown'), default='text')
    parser.add_argument('--out', type=Path, help='picture to write: .png, .svg or .pdf')
    args = parser.parse_args()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the tables alone are the output
            model, protocol = load_model(args.config, args.checkpoint), read_protocol(args.config)
            rows, statistics = report_attention(model, protocol, args.people, args.resamples)
        if args.out:
            save_figure(draw_report(rows, statistics), args.out)
    except (ValueError, OSError, pickle.UnpicklingError) as error:
        sys.exit(f'no report: {error}')
    print(format_tables(rows, args.format, [level for level in level_splits() if level.measure == 'crowd']))
    form = 'github' if args.format == 'markdown' else 'simple'
    print('', tabulate(module_rows(statistics), MODULE_HEADERS, form, floatfmt='.4f'), sep='\n')


if __name__ == '__main__':
    main()
