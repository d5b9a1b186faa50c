"""COCO's ten numbers from xtcocotools alone."""

import contextlib
import io

import numpy as np
from xtcocotools.coco import COCO
from xtcocotools.cocoeval import COCOeval


def coco_stats(ann_file, results, iou_type='keypoints', sigmas=None, use_area=True, image_ids=None) -> np.ndarray:
    """The numbers of a result file or of its content, on all images or some."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(ann_file)
        results = results if isinstance(results, str) else [dict(detection) for detection in results]
        evaluation = COCOeval(coco, coco.loadRes(results), iou_type, sigmas, use_area)
        evaluation.params.useSegm = None
        if image_ids is not None:
            evaluation.params.imgIds = image_ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats
