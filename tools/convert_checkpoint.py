"""Converts a checkpoint between stock HRNet and CA-HRNet.

stock-to-ca adds attention that leaves the outputs unchanged. ca-to-stock removes it again, if it has not been trained.
official-to-ca renames modules of houqb/CoordAttention, put into HRNet's blocks by hand, to this plugin's names.
half keeps only the weights of any checkpoint, in float16.
"""

import argparse
import sys

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checkpoints.conversion import (
    DIRECTIONS,
    ConversionError,
    convert_checkpoint,
    save_in_half_precision,
)
from ca_hrnet_plugin.messages import replace_unprintable


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('direction', choices=[*DIRECTIONS, 'half'])
    parser.add_argument('source', help='checkpoint to read: path, URL or hf://OWNER/REPO[/FILE][@REVISION]')
    parser.add_argument('target', help='checkpoint to write')
    parser.add_argument(
        '--config',
        default=config_path('ca_hrnet_w32_coco_256x192'),
        help='config of the CA-HRNet, be it the source or the target (default: %(default)s)',
    )
    args = parser.parse_args()
    replace_unprintable()
    try:
        if args.direction == 'half':
            print(f'{args.target}: {save_in_half_precision(args.source, args.target)} numbers in float16')
            return
        count = convert_checkpoint(args.direction, args.config, args.source, args.target)
    except (ConversionError, OSError) as error:
        sys.exit(f'{args.source} not converted: {error}')
    print(f'{args.target}: {count} attention modules, {args.direction}')


if __name__ == '__main__':
    main()
