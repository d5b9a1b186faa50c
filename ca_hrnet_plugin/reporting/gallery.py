"""Figure 6: the poses of several networks beside the ground truth, on chosen or on the most crowded images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from xtcocotools.coco import COCO

from ..evaluation import crowd_index, load_results
from .protocol import Protocol
from .style import paper_style

WIDTH_INCHES = 7.0  # a paper's two columns
ROW_LABEL_INCHES = 0.3


class Pose(NamedTuple):
    """A person's joints (K, 2) in pixels of the image, which of them are known, and which of these are hidden."""

    joints: np.ndarray
    known: np.ndarray
    hidden: np.ndarray


@paper_style
def draw_gallery(
    protocol: Protocol,
    results: Mapping[str, str | Path],
    image_ids: Sequence[int] = (),
    num_images: int = 4,
    kpt_thr: float = 0.3,
    score_thr: float = 0.3,
) -> Figure:
    """Draws a row for each image: the ground truth, then each network.

    Joints labelled as hidden (v=1) are hollow, and limbs to them dashed.

    Args:
        protocol (Protocol): The annotations, the image folder, and the skeleton with its colours.
        results (Mapping[str, str | Path]): For each network its name and COCO keypoint result.
        image_ids (Sequence[int]): Which images; by default the ``num_images`` with the highest crowd index.
        num_images (int): How many, where they are not chosen.
        kpt_thr (float): Joints with a lower score are not drawn.
        score_thr (float): Nor are people with a lower one.

    Raises:
        ValueError: Results or chosen images are of another data set, or an image file is missing.
    """
    num_keypoints = len(protocol.metainfo['sigmas'])
    detections = {}
    for name, result in results.items():
        coco_gt, detections[name] = load_results(protocol.ann_file, result, num_keypoints)
    crowding = {image_id: crowd_index(_annotations(coco_gt, image_id)) for image_id in coco_gt.getImgIds()}
    unknown = [image_id for image_id in image_ids if image_id not in crowding]
    if unknown:
        raise ValueError(f'image {unknown[0]} is not in {protocol.ann_file}, which has {len(crowding)} images')
    image_ids = image_ids or sorted(crowding, key=lambda image_id: (-crowding[image_id], image_id))[:num_images]
    images = {image_id: _read_image(coco_gt, image_id, protocol.image_dir) for image_id in image_ids}

    column_width = (WIDTH_INCHES - ROW_LABEL_INCHES) / (1 + len(results))
    heights = [column_width * image.shape[0] / image.shape[1] for image in images.values()]
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.4), layout='constrained')
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.04, wspace=0, hspace=0)
    grid = figure.subplots(len(images), 1 + len(results), squeeze=False, height_ratios=heights)
    for (image_id, image), row in zip(images.items(), grid, strict=True):
        row[0].set_ylabel(f'image {image_id}\ncrowd index {crowding[image_id]:.2f}', fontsize=6.5)
        truth = [_true_pose(annotation) for annotation in _annotations(coco_gt, image_id)]
        poses = [truth] + [
            [_found_pose(one, kpt_thr) for one in _annotations(coco_dt, image_id) if one['score'] >= score_thr]
            for coco_dt in detections.values()
        ]
        for axes, people in zip(row, poses, strict=True):
            _draw_image(axes, image)
            for pose in people:
                _draw_pose(axes, pose, protocol.metainfo, points_per_pixel=72 * column_width / image.shape[1])
    for axes, title in zip(grid[0], ['Ground truth', *results], strict=True):
        axes.set_title(title, pad=3)
    figure.legend(handles=_legend(protocol.metainfo), loc='outside lower center', ncols=5, handletextpad=0.4)
    return figure


def _annotations(coco: COCO, image_id: int) -> list[dict]:
    return coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))


def _true_pose(annotation: dict) -> Pose:
    joints = np.reshape(annotation['keypoints'], (-1, 3)).astype(float)
    return Pose(joints[:, :2], joints[:, 2] > 0, joints[:, 2] == 1)


def _found_pose(detection: dict, kpt_thr: float) -> Pose:
    joints = np.reshape(detection['keypoints'], (-1, 3)).astype(float)
    return Pose(joints[:, :2], joints[:, 2] >= kpt_thr, np.zeros(len(joints), dtype=bool))


def _read_image(coco: COCO, image_id: int, image_dir: str | None) -> np.ndarray:
    path = Path(image_dir or '.', coco.imgs[image_id].get('file_name', ''))
    if not path.is_file():
        raise ValueError(f'image {image_id} is missing: no file {path}; give the folder of the images')
    return mmcv.imread(path, channel_order='rgb')


def _draw_image(axes: Axes, image: np.ndarray) -> None:
    axes.imshow(image)
    axes.set(xticks=[], yticks=[], xlim=(0, image.shape[1]), ylim=(image.shape[0], 0))
    axes.spines[:].set_visible(False)


def _draw_pose(axes: Axes, pose: Pose, metainfo: dict, points_per_pixel: float) -> None:
    if not pose.known.any():
        return
    # Thin on small people, so that they are not covered.
    size = np.ptp(pose.joints[pose.known], axis=0).max() * points_per_pixel
    width = float(np.clip(size / 60, 0.5, 1.4))
    for (start, end), colour in _coloured_links(metainfo):
        if pose.known[start] and pose.known[end]:
            dashed = pose.hidden[start] or pose.hidden[end]
            axes.plot(
                *pose.joints[[start, end]].T,
                color=np.array(colour) / 255,
                linewidth=width,
                linestyle=(0, (1.6, 1.0)) if dashed else '-',
                solid_capstyle='round',
                path_effects=None if dashed else [withStroke(linewidth=width + 0.7, foreground='white', alpha=0.6)],
            )
    colours = _joint_colours(metainfo)
    for hidden in (False, True):
        shown = pose.known & (pose.hidden == hidden)
        axes.scatter(
            *pose.joints[shown].T,
            s=(2.6 * width) ** 2,
            facecolors='white' if hidden else colours[shown],
            edgecolors=colours[shown] if hidden else 'white',
            linewidths=0.7 * width if hidden else 0.25 * width,
            zorder=3,
        )


def _joint_colours(metainfo: dict) -> np.ndarray:
    """(K, 3): each joint in the colour of its side's limbs or, like the face, of the limb that it is on.

    MMPose has colours of joints too, but in those of CrowdPose left and right are mixed up.
    """
    sides = _side_colours(metainfo)
    colours = []
    for index, name in metainfo['keypoint_id2name'].items():
        on = [colour for link, colour in _coloured_links(metainfo) if index in link]
        side = sides.get(name.split('_')[0])
        colours.append(side if side in on else (on or [metainfo['keypoint_colors'][index]])[0])
    return np.array(colours) / 255


def _side_colours(metainfo: dict) -> dict[str, tuple[int, ...]]:
    """The colour that most limbs of the left have, and of the right."""
    names = metainfo['keypoint_id2name']
    colours = {
        side: Counter(
            colour for link, colour in _coloured_links(metainfo) if all(names[end].startswith(side) for end in link)
        )
        for side in ('left', 'right')
    }
    return {side: counts.most_common(1)[0][0] for side, counts in colours.items() if counts}


def _coloured_links(metainfo: dict) -> list[tuple[tuple[int, int], tuple[int, ...]]]:
    colours = [tuple(map(int, colour)) for colour in metainfo['skeleton_link_colors']]
    return list(zip(map(tuple, metainfo['skeleton_links']), colours, strict=True))


def _legend(metainfo: dict) -> list[Line2D]:
    """Left and right in the colours of the data set's own skeleton, and the two kinds of joints."""
    handles = []
    for side, colour in _side_colours(metainfo).items():
        handles.append(Line2D([], [], color=np.array(colour) / 255, label=f'{side} limbs'))
    for label, face in (('visible joint', '0.3'), ('hidden joint (v=1)', 'white')):
        handles.append(Line2D([], [], linestyle='', marker='o', ms=4, mfc=face, mec='0.3', label=label))
    handles.append(Line2D([], [], color='0.3', linestyle=(0, (1.6, 1.0)), label='limb to a hidden joint'))
    return handles
