r"""Draws Figure 6 of the paper: poses beside the ground truth, and the attention behind them.

For example
  python tools/make_gallery.py poses HRNet=a.keypoints.json CA-HRNet=b.keypoints.json --num 3 \
      --ann-file data/coco/annotations/person_keypoints_val2017.json --img-dir data/coco/val2017 --out gallery.png
  python tools/make_gallery.py attention CONFIG CHECKPOINT IMAGE... --stage 4 --out attention.png
"""

import argparse
import pickle
import sys

from arguments import by_name, named_path

import ca_hrnet_plugin  # noqa: F401  registers what configs name
from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.reporting.gallery import draw_gallery
from ca_hrnet_plugin.reporting.gate_maps import draw_attention, record_gates
from ca_hrnet_plugin.reporting.protocol import read_protocol
from ca_hrnet_plugin.reporting.style import save_figure


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)

    poses = commands.add_parser(
        'poses',
        help='ground truth and networks side by side',
        description='Draws ground truth and networks side by side. Joints labelled as hidden (v=1) are hollow.',
    )
    poses.add_argument(
        'results',
        nargs='+',
        type=named_path,
        metavar='NAME=RESULTS.keypoints.json',
        help='COCO keypoint results, which mim test leaves with --cfg-options test_evaluator.outfile_prefix=RESULTS',
    )
    poses.add_argument('--ann-file', help='COCO annotations')
    poses.add_argument('--img-dir', help='folder of the images')
    poses.add_argument('--config', help="take annotations, images and skeleton from this config's test; COCO's else")
    poses.add_argument('--images', nargs='+', type=int, default=[], metavar='ID', help='image ids')
    poses.add_argument(
        '--num', type=int, default=4, help='without --images: how many, of the highest crowd index (default: 4)'
    )
    poses.add_argument('--kpt-thr', type=float, default=0.3, help='least score of a joint (default: %(default)s)')
    poses.add_argument('--score-thr', type=float, default=0.3, help='least score of a person (default: %(default)s)')
    poses.add_argument('--out', default='gallery.png', help='.png, .jpg, .svg or .pdf (default: %(default)s)')
    poses.set_defaults(draw=_draw_poses)

    attention = commands.add_parser(
        'attention',
        help='the gates of coordinate attention over the input',
        description='Draws the gates of one attention module along height and width, over the input of the network.',
    )
    attention.add_argument('config')
    attention.add_argument('checkpoint')
    attention.add_argument('images', nargs='+', metavar='IMAGE')
    attention.add_argument(
        '--bbox',
        nargs=4,
        type=float,
        metavar=('LEFT', 'TOP', 'WIDTH', 'HEIGHT'),
        help='the person, in pixels of each image (default: the whole image)',
    )
    attention.add_argument('--stage', type=int, default=4, help='stage of the backbone (default: %(default)s)')
    attention.add_argument(
        '--block',
        help='which block of the stage, as MODULE.branches.BRANCH.BLOCK counted from 0, such as 0.branches.1.3 '
        '(default: the last one of the finest branch)',
    )
    attention.add_argument('--out', default='attention.png', help='.png, .jpg, .svg or .pdf (default: %(default)s)')
    attention.set_defaults(draw=_draw_attention)

    args = parser.parse_args()
    try:
        save_figure(args.draw(args), args.out)
    except (ValueError, OSError, ImportError, pickle.UnpicklingError) as error:
        sys.exit(f'no picture: {error}')
    print(args.out)


def _draw_poses(args: argparse.Namespace):
    protocol = read_protocol(args.config, args.ann_file, args.img_dir)
    return draw_gallery(protocol, by_name(args.results), args.images, args.num, args.kpt_thr, args.score_thr)


def _draw_attention(args: argparse.Namespace):
    model = load_model(args.config, args.checkpoint)
    return draw_attention([record_gates(model, image, args.bbox, args.stage, args.block) for image in args.images])


if __name__ == '__main__':
    main()
