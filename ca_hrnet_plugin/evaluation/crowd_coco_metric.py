"""MMPose's CocoMetric, with AP and AR by level of crowding."""

from collections.abc import Mapping

from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS

from .split_eval import CROWD_LEVELS, HIDDEN_LEVELS, OVERLAP_LEVELS, SplitEval, level_splits


@METRICS.register_module()
class CrowdCocoMetric(CocoMetric):
    """CocoMetric with AP, AR and the number of instances by level of crowding, hidden joints and overlap.

    A drop-in replacement with every argument and figure of CocoMetric. For each level it adds figures such as
    ``AP (crowd easy)``, ``AR (crowd easy)`` and ``instances (crowd easy)``. AP and AR are means over all OKS thresholds
    and areas, and -1 for a level without instances. :class:`SplitEval` describes which detections count in which level.
    Levels of crowding are left out where most people have fewer labelled joints than the crowd index needs.

    MMPose's KeypointPartitionMetric takes CocoMetric by its name only, so it cannot contain this metric.

    Levels are given by name and lower edge. A level ends below the edge of the next level: 0.1 is medium.

    Args:
        crowd_levels (Mapping[str, float]): Levels of the :func:`crowd_index` of the image. It is computed from the
            annotations, even for data sets that publish it. The defaults are CrowdPose's.
        hidden_levels (Mapping[str, float]): Levels of the share of the instance's labelled joints that have v=1. In
            COCO these are the joints that are not visible, whatever hides them: an ear behind the person's own head
            counts like a leg behind another person. In CrowdPose, all joints of some images have v=1.
        overlap_levels (Mapping[str, float]): Levels of the highest box IoU with another instance. It is over 0.5 for
            all people of OCHuman.
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
