"""Draws a synthetic crowd in COCO format: ``python tools/make_synthetic_crowd.py --out data/coco``."""

import argparse
import sys

from synthetic_crowd import SceneOptions, contact_sheet, make_synthetic_crowd


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    default = SceneOptions()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--out', required=True, help='folder for train2017/, val2017/, annotations/ and person_detection_results/')
    add('--train', type=int, default=2000, metavar='NUM', help='images in train2017')
    add('--val', type=int, default=300, metavar='NUM', help='images in val2017')
    add('--seed', type=int, default=0, help='another seed gives another crowd')
    add('--workers', type=int, metavar='NUM', help='processes; if None, one per processor')
    add('--image-size', type=int, nargs=2, default=default.image_size, metavar=('WIDTH', 'HEIGHT'), help='in pixels')
    add('--people', type=int, nargs=2, default=default.people, metavar=('MIN', 'MAX'), help='per image, 1 to 12')
    add(
        '--crowd-index',
        type=float,
        default=default.crowd_index,
        help="crowd index of images of two or more people: joints of others in a person's box / own, on average",
    )
    add('--occluders', type=float, default=default.occluders, help='mean number of things in front of people')
    add('--distractors', type=float, default=default.distractors, help='mean number of branches, posts, stray limbs')
    add('--clutter', type=float, default=default.clutter, help='how busy the background is, 0 to 1')
    add('--contrast', type=float, default=default.contrast, help='from 0, where people hardly stand out, to 1')
    add('--truncation', type=float, default=default.truncation, help='share of images whose border cuts people off')
    add('--facing', type=float, default=default.facing, help='largest turn of bodies from the camera, in degrees')
    add('--upright', action='store_true', help='draw no people upside down')
    add('--min-area', type=float, default=default.min_area, help='least visible pixels to label keypoints; COCO: 1024')
    add('--contact-sheet', metavar='FILE', help='also write a picture of the first images of val2017')
    return parser.parse_args()


def main() -> None:
    """Runs the command."""
    args = parse_args()
    try:
        summaries = make_synthetic_crowd(
            args.out,
            num_train=args.train,
            num_val=args.val,
            seed=args.seed,
            num_workers=args.workers,
            image_size=tuple(args.image_size),
            people=tuple(args.people),
            crowd_index=args.crowd_index,
            occluders=args.occluders,
            distractors=args.distractors,
            clutter=args.clutter,
            contrast=args.contrast,
            truncation=args.truncation,
            facing=args.facing,
            upright=args.upright,
            min_area=args.min_area,
        )
        if args.contact_sheet:
            contact_sheet(args.out, args.contact_sheet)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    for split, summary in summaries.items():
        print(
            f'{split}: {summary["images"]} images, {summary["people"]} people, {summary["keypoints"]} keypoints, '
            f'{summary["hidden"]:.0%} of them hidden, crowd index {summary["crowd_index"]:.2f} '
            f'(aimed at {args.crowd_index})'
        )


if __name__ == '__main__':
    main()
