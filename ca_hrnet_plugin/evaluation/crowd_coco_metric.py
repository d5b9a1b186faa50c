"""MMPose's CocoMetric, and beside it AP and AR by how crowded it gets."""

from collections.abc import Mapping

from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS

from .split_eval import CROWD_LEVELS, HIDDEN_LEVELS, OVERLAP_LEVELS, SplitEval, level_splits


@METRICS.register_module()
class CrowdCocoMetric(CocoMetric):
    """CocoMetric with AP, AR and the number of instances by level of crowding, hidden joints and overlap.

    A drop-in: every argument and figure of CocoMetric stays, and for each level there are ``AP (crowd easy)``,
    ``AR (crowd easy)`` and ``instances (crowd easy)``, and so on. AP and AR of a level without instances are -1. They
    are over all OKS thresholds and areas. :class:`SplitEval` says which detections count in which level.

    Levels are given by name and lower edge, and reach to the next edge, which is the next level's: 0.1 is medium.

    Args:
        crowd_levels (Mapping[str, float]): Levels of the :func:`crowd_index` of the image, which is computed from the
            annotations on every data set, where they publish one as well. The defaults are CrowdPose's.
        hidden_levels (Mapping[str, float]): Levels of the share of the instance's labelled joints that have v=1,
            which COCO gives to what is not visible, whatever hides it: a far ear behind the own head counts as a leg
            behind somebody else. CrowdPose has whole images with v=1 throughout.
        overlap_levels (Mapping[str, float]): Levels of the box IoU of the instance with its nearest neighbour.
            OCHuman's people are all over 0.5.
        args: As for CocoMetric.
        kwargs: As for CocoMetric.

    Raises:
        ValueError: The edges of a measure do not ascend.
    """

    def __init__(
        self,
        *args,
        crowd_levels: Mapping[str, float] = CROWD_LEVELS,
        hidden_levels: Mapping[str, float] = HIDDEN_LEVELS,
        overlap_levels: Mapping[str, float] = OVERLAP_LEVELS,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.splits = level_splits(crowd_levels, hidden_levels, overlap_levels)

    def _do_python_keypoint_eval(self, outfile_prefix: str) -> list:
        figures = super()._do_python_keypoint_eval(outfile_prefix)
        coco_dt = self.coco.loadRes(f'{outfile_prefix}.keypoints.json')
        by_level = SplitEval(
            self.coco, coco_dt, self.splits, self.iou_type, self.dataset_meta['sigmas'], self.use_area
        ).run()
        return [*figures, *by_level.figures().items()]
