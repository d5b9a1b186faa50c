"""Reports what the gates of a trained CA-HRNet do, on the test data of its config. Nothing is trained.

Prints AP and AR, in all images and by crowd level, with the network's own gates; with those of another person in their
place; and with the mean gates of training people: one for each row and column (profile), one factor for each channel,
and one factor for each module. Then it prints how much the gates of each module vary over people, positions and
channels. All of this is without flip test.

If AP is the same with another person's gates, the gates do not depend on the person. If it is the same with the mean
profile, they are a position prior. If it is the same with the mean of each channel, tools/export.py --freeze makes a
stock HRNet of that AP.

  python tools/attention_report.py CONFIG CHECKPOINT
"""

import argparse
import contextlib
import pickle
import sys

from arguments import positive
from tabulate import tabulate

from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.evaluation import level_splits
from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.reporting import format_tables, read_protocol, report_gates
from ca_hrnet_plugin.reporting.gate_report import MODULE_HEADERS, module_rows


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument(
        '--people', type=positive, default=1000, help='training people for the means (default: %(default)s)'
    )
    parser.add_argument(
        '--resamples', type=positive, default=1000, help='resamples of the bootstrap (default: %(default)s)'
    )
    parser.add_argument('--format', choices=('text', 'markdown'), default='text')
    args = parser.parse_args()
    replace_unprintable()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # only the tables go to standard output
            model, protocol = load_model(args.config, args.checkpoint), read_protocol(args.config)
            rows, statistics = report_gates(model, protocol, args.people, args.resamples)
    except (ValueError, OSError, pickle.UnpicklingError) as error:
        sys.exit(f'no report: {error}')
    print(format_tables(rows, args.format, [level for level in level_splits() if level.measure == 'crowd']))
    table_format = 'github' if args.format == 'markdown' else 'simple'
    print('', tabulate(module_rows(statistics), MODULE_HEADERS, table_format, floatfmt='.4f'), sep='\n')


if __name__ == '__main__':
    main()
