"""The whole system in minutes, to see whether attention helps a small HRNet on drawn people.

Draws people in COCO format. Then tools/compare.py trains the small HRNet of this project further on them, without
attention and with coordinate attention, and writes its report. After Ctrl-C, the same command continues.
"""

import argparse
import os
import sys
from pathlib import Path

import compare
import torch
from synthetic_crowd import make_synthetic_crowd

from ca_hrnet_plugin import SMALL_HRNET, config_path

# One or two large, whole, upright people who face the camera: what a small network learns in minutes.
CROWD = dict(
    num_train=2000,
    num_val=150,
    people=(1, 2),
    crowd_index=0.1,
    occluders=0.2,
    distractors=0.4,
    clutter=0.4,
    contrast=1.0,
    truncation=0.0,
    facing=60.0,
    upright=True,
    min_area=32 * 32,
)
QUICK = dict(num_train=32, num_val=8)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='folder (default: work_dirs/demo, or work_dirs/demo_quick)')
    parser.add_argument('--quick', action='store_true', help='the same steps quickly, on too few images to learn')
    args = parser.parse_args()
    out = args.out or Path('work_dirs/demo_quick' if args.quick else 'work_dirs/demo')
    os.environ['CA_HRNET_DATA'] = str((out / 'data').resolve())
    crowd = CROWD | QUICK if args.quick else CROWD
    print(f'drawing {crowd["num_train"]} images to train on and {crowd["num_val"]} to test on', file=sys.stderr)
    try:
        make_synthetic_crowd(out / 'data/coco', **crowd)
    except KeyboardInterrupt:
        sys.exit('\ninterrupted: run the same command to continue')
    except FileExistsError as error:  # the folder holds other data
        sys.exit(f'error: {error}')
    config = config_path('demo/hrnet_w16_128x96_finetune')
    arguments = [config, '--attention', 'coord', '--load-from', SMALL_HRNET, '--seeds', '0', '--out', str(out)]
    arguments += ['--jobs', '2']
    options = []
    if args.quick:
        arguments += ['--resamples', '100']
        options += ['train_cfg.max_epochs=2', 'train_cfg.val_interval=2']
    if getattr(torch.cpu, 'get_capabilities', dict)().get('avx512_bf16'):
        options.append('optim_wrapper.type=Bfloat16OptimWrapper')
    compare.main([*arguments, *(['--cfg-options', *options] if options else [])])


if __name__ == '__main__':
    main()
