"""Figure 6: poses of several networks beside the ground truth, on chosen images or on the most crowded ones."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import mmcv
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from mmengine.logging import print_log
from scipy.optimize import linear_sum_assignment
from xtcocotools.coco import COCO

from ..evaluation import AREAS, SplitEval, crowd_index, load_results
from ..evaluation.crowd_index import has_crowd_index
from .protocol import Protocol
from .results import evaluate_poses
from .style import paper_style

WIDTH_INCHES = 7.0  # a paper's two columns
ROW_LABEL_INCHES = 0.3


class Pose(NamedTuple):
    """A person's joints (K, 2) in pixels of the image, which joints to draw (K,), and which are hidden (K,)."""

    joints: np.ndarray
    drawn: np.ndarray
    hidden: np.ndarray


@paper_style
def draw_gallery(
    protocol: Protocol,
    results: Mapping[str, str | Path],
    image_ids: Sequence[int] = (),
    num_images: int = 4,
    kpt_thr: float = 0.3,
    score_thr: float = 0.3,
    truth: bool = True,
    width: float = WIDTH_INCHES,
) -> Figure:
    """Draws a row for each image: the ground truth, then the poses of each network with the OKS of each person.

    Joints labelled as hidden (v=1) are hollow, and limbs to them are dashed. Poses are assigned one to one to annotated
    people, with whom OKS is computed. A pose without a person has no OKS.

    Args:
        protocol (Protocol): The annotations, the image folder, and the skeleton with its colours.
        results (Mapping[str, str | Path]): The name of each network and its COCO keypoint result.
        image_ids (Sequence[int]): The images to draw; by default the ``num_images`` with the highest crowd index.
        num_images (int): How many images to draw if ``image_ids`` is empty.
        kpt_thr (float): Joints with a lower score are not drawn.
        score_thr (float): People with a lower score are not drawn.
        truth (bool): Whether to draw the ground truth.
        width (float): The figure's width in inches.

    Raises:
        ValueError: Results or chosen images belong to another data set, or an image file is missing.
    """
    sigmas = np.array(protocol.metainfo['sigmas'])
    evaluations = []
    for result in results.values():
        coco_gt, coco_dt = load_results(protocol.ann_file, result, len(sigmas), protocol.use_area, protocol.iou_type)
        evaluations.append(SplitEval(coco_gt, coco_dt, AREAS[:1], protocol.iou_type, sigmas, protocol.use_area).run())
    crowding = {image_id: crowd_index(_annotations(coco_gt, image_id)) for image_id in coco_gt.getImgIds()}
    has_index = has_crowd_index(coco_gt.anns.values())
    unknown = [image_id for image_id in image_ids if image_id not in crowding]
    if unknown:
        raise ValueError(f'image {unknown[0]} is not in {protocol.ann_file}, which has {len(crowding)} images')
    if not image_ids and not any(crowding.values()):
        print_log(f'no image of {protocol.ann_file} has a crowd index above 0: the first ones are drawn', 'current')
    image_ids = image_ids or sorted(crowding, key=lambda image_id: (-crowding[image_id], image_id))[:num_images]
    images = {image_id: _read_image(coco_gt, image_id, protocol.image_dir) for image_id in image_ids}

    titles = [*(['Ground truth'] if truth else []), *results]
    column_width = (width - ROW_LABEL_INCHES) / len(titles)
    heights = [column_width * image.shape[0] / image.shape[1] for image in images.values()]
    figure = Figure(figsize=(width, sum(heights) + (0.4 if truth else 0.2)), layout='constrained')
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.04, wspace=0, hspace=0)
    grid = figure.subplots(len(images), len(titles), squeeze=False, height_ratios=heights)
    for (image_id, image), row in zip(images.items(), grid, strict=True):
        label = f'image {image_id}\ncrowd index {crowding[image_id]:.2f}' if has_index else f'image {image_id}'
        row[0].set_ylabel(label, fontsize=6.5)
        columns = []
        if truth:
            columns.append([(_true_pose(annotation), None) for annotation in _annotations(coco_gt, image_id)])
        for evaluation in evaluations:
            detections = _annotations(evaluation.cocoDt, image_id)
            detections = [detection for detection in detections if detection['score'] >= score_thr]
            oks = {detection: value for _, detection, value in _assignments(evaluation, image_id)}
            columns.append([(_detected_pose(detection, kpt_thr), oks.get(detection['id'])) for detection in detections])
        for axes, people in zip(row, columns, strict=True):
            axes.imshow(image)
            axes.set(xticks=[], yticks=[], xlim=(0, image.shape[1]), ylim=(image.shape[0], 0))
            axes.spines[:].set_visible(False)
            for pose, _ in people:
                _draw_pose(axes, pose, protocol.metainfo, points_per_pixel=72 * column_width / image.shape[1])
            _write_oks(axes, [(pose, oks) for pose, oks in people if oks is not None])
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, pad=3)
    if truth:
        figure.legend(handles=_legend(protocol.metainfo), loc='outside lower center', ncols=5, handletextpad=0.4)
    return figure


def differing_images(
    protocol: Protocol, results: Sequence[str | Path], num_images: int, among: Sequence[int] | None = None
) -> list[int]:
    """The images on which the poses of two networks differ most: by the sum over people of the difference in OKS.

    Args:
        protocol (Protocol): The annotations.
        results (Sequence[str | Path]): The two COCO keypoint results.
        num_images (int): How many images, at most.
        among (Sequence[int], optional): The images to choose from; all by default.
    """
    base, other = (evaluate_poses('', str(result), protocol, AREAS[:1]).evaluations[''] for result in results)
    differences = {}
    for image_id in among if among is not None else base.params.imgIds:
        oks = [_oks_of_people(evaluation, image_id) for evaluation in (base, other)]
        differences[image_id] = sum(abs(oks[1].get(person, 0) - oks[0].get(person, 0)) for person in oks[0] | oks[1])
    ordered = sorted(differences, key=lambda image_id: (-differences[image_id], image_id))
    return [image_id for image_id in ordered if differences[image_id] > 0][:num_images]


def _oks_of_people(evaluation: SplitEval, image_id: int) -> dict[int, float]:
    """The OKS of the pose that is assigned to each labelled person, by the person's id."""
    return {person: oks for person, _, oks in _assignments(evaluation, image_id)}


def _assignments(evaluation: SplitEval, image_id: int) -> Iterator[tuple[int, int, float]]:
    """The ids of a labelled person and of the detection that is assigned to them, and its OKS."""
    for category in evaluation.params.catIds:
        oks = np.array(evaluation.ious[image_id, category])  # detections by descending score, people
        if not oks.size:
            continue
        people = _annotations(evaluation.cocoGt, image_id, category)
        labelled = [np.any(person['keypoints'][2::3]) for person in people]
        detections = _annotations(evaluation.cocoDt, image_id, category)
        detections = sorted(detections, key=lambda detection: -detection['score'])
        for row, column in zip(*linear_sum_assignment(oks * labelled, maximize=True), strict=True):
            if labelled[column]:
                yield people[column]['id'], detections[row]['id'], oks[row, column]


def _annotations(coco: COCO, image_id: int, category: int | None = None) -> list[dict]:
    categories = [] if category is None else [category]
    return coco.loadAnns(coco.getAnnIds(imgIds=[image_id], catIds=categories))


def _true_pose(annotation: dict) -> Pose:
    joints = np.reshape(annotation['keypoints'], (-1, 3)).astype(float)
    return Pose(joints[:, :2], joints[:, 2] > 0, joints[:, 2] == 1)


def _detected_pose(detection: dict, kpt_thr: float) -> Pose:
    joints = np.reshape(detection['keypoints'], (-1, 3)).astype(float)
    return Pose(joints[:, :2], joints[:, 2] >= kpt_thr, np.zeros(len(joints), dtype=bool))


def _read_image(coco: COCO, image_id: int, image_dir: str | None) -> np.ndarray:
    path = Path(image_dir or '.', coco.imgs[image_id].get('file_name', ''))
    if not path.is_file():
        raise ValueError(f'image {image_id} is missing: no file {path}; give the folder of the images')
    image = mmcv.imread(path) if path.stat().st_size else None
    if image is None:
        raise ValueError(f'image {image_id} cannot be decoded: give a whole picture as {path}')
    return image[..., ::-1]  # RGB


def _write_oks(axes: Axes, poses: list[tuple[Pose, float]]) -> None:
    """Writes each OKS at the person's feet, where it covers no face, and above an OKS that is already there."""
    width, height = axes.get_xlim()[1], axes.get_ylim()[0]
    written = []
    for pose, oks in poses:
        if not pose.drawn.any():
            continue
        x = np.clip(pose.joints[pose.drawn, 0].mean(), 0.1 * width, 0.9 * width)
        y = min(pose.joints[pose.drawn, 1].max() + 0.05 * height, 0.95 * height)
        while any(abs(x - other_x) < 0.16 * width and abs(y - other_y) < 0.08 * height for other_x, other_y in written):
            y -= 0.02 * height
        written.append((x, y))
        box = dict(boxstyle='square,pad=0.1', facecolor='white', alpha=0.75, linewidth=0)
        axes.text(x, y, f'{oks:.2f}', ha='center', va='center', fontsize=6.5, bbox=box, zorder=4)


def _draw_pose(axes: Axes, pose: Pose, metainfo: dict, points_per_pixel: float) -> None:
    if not pose.drawn.any():
        return
    # Lines are thin on small people, so as not to cover them.
    size = np.ptp(pose.joints[pose.drawn], axis=0).max() * points_per_pixel
    width = float(np.clip(size / 60, 0.5, 1.4))
    for (start, end), colour in _coloured_links(metainfo):
        if pose.drawn[start] and pose.drawn[end]:
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
        shown = pose.drawn & (pose.hidden == hidden)
        axes.scatter(
            *pose.joints[shown].T,
            s=(2.6 * width) ** 2,
            facecolors='white' if hidden else colours[shown],
            edgecolors=colours[shown] if hidden else 'white',
            linewidths=0.7 * width if hidden else 0.25 * width,
            zorder=3,
        )


def _joint_colours(metainfo: dict) -> np.ndarray:
    """(K, 3): each joint in the colour of its side's limbs or, as in the face, of a limb that it belongs to.

    MMPose also has joint colours, but those of CrowdPose mix up left and right.
    """
    sides = _side_colours(metainfo)
    colours = []
    for index, name in metainfo['keypoint_id2name'].items():
        limbs = [colour for link, colour in _coloured_links(metainfo) if index in link]
        side = sides.get(name.split('_')[0])
        if side in limbs:
            colours.append(side)
        else:
            colours.append(limbs[0] if limbs else metainfo['keypoint_colors'][index])
    return np.array(colours) / 255


def _side_colours(metainfo: dict) -> dict[str, tuple[int, ...]]:
    """The most common colour of limbs on the left, and on the right."""
    names = metainfo['keypoint_id2name']
    counts = {'left': Counter(), 'right': Counter()}
    for (start, end), colour in _coloured_links(metainfo):
        for side in counts:
            if names[start].startswith(side) and names[end].startswith(side):
                counts[side][colour] += 1
    return {side: colours.most_common(1)[0][0] for side, colours in counts.items() if colours}


def _coloured_links(metainfo: dict) -> list[tuple[tuple[int, int], tuple[int, ...]]]:
    colours = [tuple(map(int, colour)) for colour in metainfo['skeleton_link_colors']]
    return list(zip(map(tuple, metainfo['skeleton_links']), colours, strict=True))


def _legend(metainfo: dict) -> list[Line2D]:
    """Left and right in the colours of the data set's skeleton, and the two kinds of joints."""
    handles = []
    for side, colour in _side_colours(metainfo).items():
        handles.append(Line2D([], [], color=np.array(colour) / 255, label=f'{side} limbs'))
    for label, face in (('visible joint', '0.3'), ('hidden joint (v=1)', 'white')):
        handles.append(Line2D([], [], linestyle='', marker='o', ms=4, mfc=face, mec='0.3', label=label))
    handles.append(Line2D([], [], color='0.3', linestyle=(0, (1.6, 1.0)), label='limb to a hidden joint'))
    return handles
