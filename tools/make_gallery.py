r"""Draws Figure 6 of the paper, poses beside the ground truth, or the gates of coordinate attention over an image.

For example:

  python tools/make_gallery.py poses HRNet=a.keypoints.json CA-HRNet=b.keypoints.json --num 3 \
      --ann-file data/coco/annotations/person_keypoints_val2017.json --img-dir data/coco/val2017 --out gallery.png
  python tools/make_gallery.py gates CONFIG CHECKPOINT IMAGE... --stage 4 --out gates.png
"""

import argparse
import pickle
import sys

from arguments import by_name, named_path

import ca_hrnet_plugin  # noqa: F401  registers what configs name
from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.reporting import draw_gallery, draw_gates, read_protocol, record_gates, save_figure


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest='command', required=True)

    poses = commands.add_parser(
        'poses',
        help='the poses of several networks beside the ground truth',
        description='Draws the poses of several networks beside the ground truth. Hidden joints (v=1) are hollow.',
    )
    poses.add_argument(
        'results',
        nargs='+',
        type=named_path,
        metavar='NAME=RESULTS.keypoints.json',
        help='name and COCO keypoint result of a network; mim test writes the file with --cfg-options '
        'test_evaluator.outfile_prefix=RESULTS',
    )
    poses.add_argument('--ann-file', help='COCO annotations')
    poses.add_argument('--img-dir', help='folder of the images')
    poses.add_argument(
        '--config', help="use annotations, images and skeleton of this config's test (default: COCO's skeleton)"
    )
    poses.add_argument('--images', nargs='+', type=int, default=[], metavar='ID', help='ids of the images to draw')
    poses.add_argument(
        '--num',
        type=int,
        default=4,
        help='without --images, number of images to draw, by highest crowd index (default: %(default)s)',
    )
    poses.add_argument('--kpt-thr', type=float, default=0.3, help='minimum score of a joint (default: %(default)s)')
    poses.add_argument('--score-thr', type=float, default=0.3, help='minimum score of a person (default: %(default)s)')
    poses.add_argument('--out', default='gallery.png', help='.png, .jpg, .svg or .pdf (default: %(default)s)')
    poses.set_defaults(draw=_draw_poses)

    gates = commands.add_parser(
        'gates',
        help='the gates of coordinate attention over an image',
        description="Draws the row and column gates of an attention module over the network's input.",
    )
    gates.add_argument('config')
    gates.add_argument('checkpoint')
    gates.add_argument('images', nargs='+', metavar='IMAGE')
    gates.add_argument(
        '--bbox',
        nargs=4,
        type=float,
        metavar=('LEFT', 'TOP', 'WIDTH', 'HEIGHT'),
        help='the person, in pixels of each image (default: the whole image)',
    )
    gates.add_argument('--stage', type=int, default=4, help='stage of the backbone (default: %(default)s)')
    gates.add_argument(
        '--block',
        help='block of the stage, as MODULE.branches.BRANCH.BLOCK counted from 0, such as 0.branches.1.3 '
        '(default: the last block of the finest branch)',
    )
    gates.add_argument('--out', default='gates.png', help='.png, .jpg, .svg or .pdf (default: %(default)s)')
    gates.set_defaults(draw=_draw_gates)

    args = parser.parse_args()
    replace_unprintable()
    try:
        save_figure(args.draw(args), args.out)
    except (ValueError, OSError, ImportError, pickle.UnpicklingError) as error:
        sys.exit(f'no picture: {error}')
    print(args.out)


def _draw_poses(args: argparse.Namespace):
    protocol = read_protocol(args.config, args.ann_file, args.img_dir)
    return draw_gallery(protocol, by_name(args.results), args.images, args.num, args.kpt_thr, args.score_thr)


def _draw_gates(args: argparse.Namespace):
    model = load_model(args.config, args.checkpoint)
    return draw_gates([record_gates(model, image, args.bbox, args.stage, args.block) for image in args.images])


if __name__ == '__main__':
    main()
