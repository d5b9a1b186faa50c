"""COCO's keypoint evaluation by splits: its own area ranges, and levels of crowding, hidden joints and overlap."""

import contextlib
import io
import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.structures.bbox import bbox_overlaps, bbox_xywh2xyxy
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval, Params

from ..messages import counted
from .coco_files import evaluated_categories, needed_by_oks, read_annotations, read_detections, unreached
from .crowd_index import MIN_LABELLED, crowd_index, has_crowd_index, labelled_joints

# Each level begins at its edge and ends below the next edge; the last level has no end.
CROWD_LEVELS = dict(easy=0, medium=0.1, hard=0.8)
HIDDEN_LEVELS = dict(low=0, medium=0.1, high=0.5)
OVERLAP_LEVELS = dict(low=0, medium=0.1, high=0.5)

# A detection whose OKS is lower with every person is background, as in coco-analyze (Ronchi and Perona, ICCV 2017,
# https://arxiv.org/abs/1707.05388).
BACKGROUND_OKS = 0.1


class Split(NamedTuple):
    """The instances whose measure is from ``low`` to below ``high``, such as COCO's large ones."""

    measure: str
    name: str
    low: float
    high: float


AREAS = tuple(
    Split('area', name, low, high)
    for name, (low, high) in zip(Params('keypoints').areaRngLbl, Params('keypoints').areaRng, strict=True)
)
_ALL, _MEDIUM, _LARGE = AREAS
# COCO's ten numbers by CocoMetric's names: the curve, the OKS threshold (None is the mean over all), the area range.
COCO_FIGURES = {
    'AP': ('precision', None, _ALL),
    'AP .5': ('precision', 0.5, _ALL),
    'AP .75': ('precision', 0.75, _ALL),
    'AP (M)': ('precision', None, _MEDIUM),
    'AP (L)': ('precision', None, _LARGE),
    'AR': ('recall', None, _ALL),
    'AR .5': ('recall', 0.5, _ALL),
    'AR .75': ('recall', 0.75, _ALL),
    'AR (M)': ('recall', None, _MEDIUM),
    'AR (L)': ('recall', None, _LARGE),
}


def level_splits(
    crowd_levels: Mapping[str, float] = CROWD_LEVELS,
    hidden_levels: Mapping[str, float] = HIDDEN_LEVELS,
    overlap_levels: Mapping[str, float] = OVERLAP_LEVELS,
) -> list[Split]:
    """The splits of levels given by name and lower edge; see :class:`CrowdCocoMetric`.

    Raises:
        ValueError: The edges of a measure do not ascend.
    """
    splits = []
    for measure, levels in dict(crowd=crowd_levels, hidden=hidden_levels, overlap=overlap_levels).items():
        for name, (low, high) in zip(levels, pairwise([*levels.values(), np.inf]), strict=True):
            if low >= high:
                raise ValueError(f'{measure}_levels={dict(levels)}: give edges that ascend')
            splits.append(Split(measure, name, low, high))
    return splits


class SplitEval(COCOeval):
    """COCOeval with splits in place of area ranges, computing OKS only once.

    Instances outside a split are ignored, as COCOeval ignores those outside an area range: a detection that matches
    such an instance is neither right nor wrong. An unmatched detection counts by measure:

    - Crowd: in the level of its image. A level leaves out all images of other levels.
    - Hidden and overlap: in the level of the person with whom it has the highest OKS. It is wrong there and ignored in
      the other levels, as COCOeval ignores an unmatched detection with an area out of range. A background detection
      (OKS below 0.1 with every person) is wrong in every level, as in KITTI's and Caltech's evaluations by occlusion.
    - Area: as in COCOeval.

    Background detections lower the figures of a level with few instances more than those of a level with many. So
    compare networks within a level, not levels with each other.

    Args:
        coco_gt (COCO): The annotations.
        coco_dt (COCO): The detections, ``coco_gt.loadRes(...)``.
        splits (Sequence[Split]): The splits to evaluate, from :data:`AREAS` and :func:`level_splits`.
        iou_type (str): ``'keypoints'``, or ``'keypoints_crowd'`` as in MMPose's CrowdPose configs.
        sigmas (np.ndarray, optional): The falloff of each keypoint, (K,); COCO's 17 by default.
        use_area (bool): Whether OKS uses the annotated area; otherwise it uses 0.53 times that of the box.
    """

    def __init__(
        self,
        coco_gt: COCO,
        coco_dt: COCO,
        splits: Sequence[Split],
        iou_type: str = 'keypoints',
        sigmas: np.ndarray | None = None,
        use_area: bool = True,
    ):
        super().__init__(coco_gt, coco_dt, iou_type, sigmas, use_area)
        if any(split.measure == 'crowd' for split in splits) and not has_crowd_index(coco_gt.dataset['annotations']):
            splits = [split for split in splits if split.measure != 'crowd']
            print_log(
                f'levels of crowding are left out: most people have fewer than {MIN_LABELLED} labelled joints, which '
                'the crowd index needs',
                'current',
                logging.WARNING,
            )
        self.params.areaRng = list(splits)
        self.params.areaRngLbl = [f'{split.measure} {split.name}' for split in splits]
        # By image for crowd, by instance for the other two.
        self._values = dict(crowd={}, hidden={}, overlap={})
        for image_id in self.params.imgIds:
            annotations = coco_gt.loadAnns(coco_gt.getAnnIds(imgIds=[image_id]))
            self._values['crowd'][image_id] = crowd_index(annotations)
            for annotation, overlap in zip(annotations, _overlaps(annotations), strict=True):
                self._values['hidden'][annotation['id']] = _hidden(annotation)
                self._values['overlap'][annotation['id']] = overlap

    def run(self) -> 'SplitEval':
        """Evaluates and accumulates, without COCOeval's output."""
        with contextlib.redirect_stdout(io.StringIO()):
            self.evaluate()
            self.accumulate()
        return self

    def figures(self) -> dict[str, float]:
        """The figures of :func:`summarize`, and numbers such as ``'instances (crowd easy)'`` of each level."""
        figures = summarize(self.params, self.eval['precision'], self.eval['recall'])
        for index, split in enumerate(self.params.areaRng):
            if split.measure != 'area':
                evaluated = [result for result in self.eval_images[:, index].flat if result is not None]
                num_instances = sum(int(np.count_nonzero(result['gtIgnore'] == 0)) for result in evaluated)
                figures[f'instances ({split.measure} {split.name})'] = num_instances
        return figures

    @property
    def eval_images(self) -> np.ndarray:
        """COCOeval's ``evalImgs``, (categories, splits, images), each of which is a dict or None."""
        return np.array(self.evalImgs, dtype=object).reshape(-1, len(self.params.areaRng), len(self.params.imgIds))

    def evaluateImg(self, imgId, catId, aRng: Split, maxDet):  # noqa: N802, N803
        """COCOeval's matching on one image, for one split."""
        if aRng.measure == 'area':
            return super().evaluateImg(imgId, catId, [aRng.low, aRng.high], maxDet)
        values = self._values[aRng.measure]
        whole_range = [_ALL.low, _ALL.high]
        if aRng.measure == 'crowd':
            inside = aRng.low <= values[imgId] < aRng.high
            return super().evaluateImg(imgId, catId, whole_range, maxDet) if inside else None

        gts = self._gts[imgId, catId]
        outside = np.array([not aRng.low <= values[gt['id']] < aRng.high for gt in gts], dtype=bool)
        self._gts[imgId, catId] = [dict(gt, ignore=gt['ignore'] or out) for gt, out in zip(gts, outside, strict=True)]
        result = super().evaluateImg(imgId, catId, whole_range, maxDet)
        self._gts[imgId, catId] = gts

        oks = self.ious[imgId, catId]  # (detections by descending score as in the result, instances)
        if len(oks):
            oks = np.where([gt['ignore'] for gt in gts], 0, oks)
            lies_outside = outside[oks.argmax(axis=1)] & (oks.max(axis=1) >= BACKGROUND_OKS)
            result['dtIgnore'] |= (result['dtMatches'] < 0) & lies_outside
        return result


def summarize(params: Params, precision: np.ndarray, recall: np.ndarray) -> dict[str, float]:
    """The figures of a :class:`SplitEval`; -1 if a split has no instance.

    Args:
        params (Params): The parameters of the evaluation.
        precision (np.ndarray): Precision, (OKS thresholds, recall thresholds, categories, splits, 1).
        recall (np.ndarray): Recall, (OKS thresholds, categories, splits, 1).

    Returns:
        dict[str, float]: COCO's ten numbers under the names of MMPose's CocoMetric, if COCO's area ranges are among the
        splits; then ``'AP (MEASURE LEVEL)'`` and ``'AR (MEASURE LEVEL)'`` of each level.
    """
    curves = dict(precision=precision, recall=recall)

    def mean(curve: str, oks_thr: float | None, split: Split) -> float:
        values = curves[curve][..., params.areaRng.index(split), 0]
        values = values if oks_thr is None else values[params.iouThrs == oks_thr]
        values = values[values > -1]
        return float(np.mean(values)) if values.size else -1.0

    figures = {}
    if set(AREAS) <= set(params.areaRng):
        figures.update((name, mean(*figure)) for name, figure in COCO_FIGURES.items())
    for split in params.areaRng:
        if split.measure != 'area':
            figures[f'AP ({split.measure} {split.name})'] = mean('precision', None, split)
            figures[f'AR ({split.measure} {split.name})'] = mean('recall', None, split)
    return figures


def evaluate_results(
    ann_file: str | Path,
    results: str | Path | Sequence[dict],
    splits: Sequence[Split] = (*AREAS, *level_splits()),
    iou_type: str = 'keypoints',
    sigmas: Sequence[float] | None = None,
    use_area: bool = True,
) -> SplitEval:
    """Evaluates a COCO keypoint result, such as ``CocoMetric`` writes with an ``outfile_prefix``.

    Args:
        ann_file (str | Path): COCO annotations.
        results (str | Path | Sequence[dict]): The result file, or its content.
        splits (Sequence[Split]): The splits to evaluate; by default COCO's area ranges and all levels.
        iou_type (str): As for :class:`SplitEval`.
        sigmas (Sequence[float], optional): As for :class:`SplitEval`.
        use_area (bool): As for :class:`SplitEval`.

    Returns:
        SplitEval: The finished evaluation, for its ``figures()`` or for :func:`paired_bootstrap`.

    Raises:
        ValueError: Detections are missing, or have other images or keypoints than the annotations; the number of
            keypoints differs from that of sigmas; an annotation has no area although ``use_area`` is set; or ids,
            boxes or numbers are invalid.
    """
    sigmas = COCOeval().sigmas if sigmas is None else np.array(sigmas)
    coco_gt, coco_dt = load_results(ann_file, results, len(sigmas), use_area, iou_type)
    return SplitEval(coco_gt, coco_dt, splits, iou_type, sigmas, use_area).run()


def load_results(
    ann_file: str | Path,
    results: str | Path | Sequence[dict],
    num_keypoints: int,
    use_area: bool = False,
    iou_type: str = 'keypoints',
) -> tuple[COCO, COCO]:
    """Loads annotations and a COCO keypoint result of the same images and keypoints, without COCO's output.

    Args:
        ann_file (str | Path): COCO annotations.
        results (str | Path | Sequence[dict]): The result file, or its content.
        num_keypoints (int): The number of keypoints of each person.
        use_area (bool): Whether each annotation must have an area.
        iou_type (str): As for :class:`SplitEval`; with ``'keypoints_crowd'`` annotations must have ``num_keypoints``.

    Raises:
        ValueError: As for :func:`evaluate_results`.
    """
    annotations = read_annotations(ann_file, num_keypoints, of_annotations=needed_by_oks(use_area, iou_type))
    detections = read_detections(results, annotations, ann_file, num_keypoints)
    categories = evaluated_categories(annotations, ann_file)
    detected = {detection['category_id'] for detection in detections}
    if not detected & categories:
        raise ValueError(
            f'the results have category {min(detected)}, and the annotations that are evaluated ({ann_file}) have '
            f'category {min(categories)}: give both the same'
        )
    if detected - categories:
        print_log(
            f'results of category {min(detected - categories)} do not count: no evaluated person has that category '
            f'({ann_file})',
            'current',
            logging.WARNING,
        )
    if categories - detected:
        print_log(
            f'no result has category {min(categories - detected)}, which people of {ann_file} have: AP is the mean '
            'over categories, and 0 for that one',
            'current',
            logging.WARNING,
        )
    reasons = unreached(annotations)
    if reasons:
        print_log(f'{ann_file}: annotations left out: {counted(reasons)}', 'current', logging.WARNING)
    with contextlib.redirect_stdout(io.StringIO()):
        coco_gt = COCO(str(ann_file), ann_data=annotations)
        return coco_gt, coco_gt.loadRes(detections)


def _hidden(annotation: dict) -> float:
    """The share of labelled joints with v=1; NaN, which is in no level, if no joint is labelled."""
    joints = labelled_joints(annotation)
    return float(np.mean(joints[:, 2] == 1)) if len(joints) else np.nan


def _overlaps(annotations: Sequence[dict]) -> np.ndarray:
    """The highest box IoU of each instance with another one of the image that is not an ``iscrowd`` region, (N,)."""
    if not annotations:
        return np.zeros(0)
    boxes = torch.from_numpy(bbox_xywh2xyxy(np.array([annotation['bbox'] for annotation in annotations], dtype=float)))
    ious = bbox_overlaps(boxes, boxes).numpy()
    np.fill_diagonal(ious, 0)
    ious[:, [bool(annotation.get('iscrowd')) for annotation in annotations]] = 0
    return ious.max(axis=1)
