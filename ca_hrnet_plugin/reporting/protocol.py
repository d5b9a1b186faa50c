"""The protocol that results are evaluated by: annotations, keypoints, and the settings of OKS."""

from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

from ..evaluation.evaluators import inner_metric, is_coco_metric, metric_configs
from ..evaluation.people import dataset_metainfo, innermost


class Protocol(NamedTuple):
    """The data and settings that poses are evaluated with.

    Attributes:
        ann_file (str): COCO annotations.
        image_dir (str, optional): The folder of the images.
        metainfo (dict): MMPose's metainfo of the data set: its keypoints, their sigmas, its skeleton.
        iou_type (str): As for CocoMetric, ``'keypoints'`` or ``'keypoints_crowd'``.
        use_area (bool): As for CocoMetric, whether OKS uses the annotated area.
        boxes (str): ``'detected'`` or ``'ground truth'``, or empty if no config is known.
    """

    ann_file: str
    image_dir: str | None
    metainfo: dict
    iou_type: str = 'keypoints'
    use_area: bool = True
    boxes: str = ''


def read_protocol(
    config: str | Path | None = None, ann_file: str | Path | None = None, image_dir: str | Path | None = None
) -> Protocol:
    """Reads the protocol of a config's test; without a config it is COCO's.

    Args:
        config (str | Path, optional): A config of MMPose with a CocoMetric, a metric derived from it, or one in
            KeypointPartitionMetric.
        ann_file (str | Path, optional): COCO annotations, in place of the config's; required without a config.
        image_dir (str | Path, optional): The folder of the images, in place of the config's.

    Raises:
        ValueError: There is neither a config nor an annotation file, or the config has no CocoMetric.
    """
    if config is None:
        if ann_file is None:
            raise ValueError('no annotations: give an annotation file, or a config whose test names one')
        return Protocol(str(ann_file), image_dir and str(image_dir), dataset_metainfo(dict(type='CocoDataset')))
    cfg = Config.fromfile(config)
    evaluators = [inner_metric(metric) for metric in metric_configs(cfg.get('test_evaluator'))]
    coco_metrics = [metric for metric in evaluators if is_coco_metric(metric)]
    if not coco_metrics:
        raise ValueError(f'{config} has no CocoMetric as test_evaluator: give a config that is evaluated by OKS')
    metric, dataset = coco_metrics[0], innermost(cfg.test_dataloader.dataset)
    root = Path(dataset.get('data_root') or '')
    return Protocol(
        str(ann_file or metric.get('ann_file') or root / dataset.ann_file),
        str(image_dir or root / dataset.get('data_prefix', {}).get('img', '')),
        dataset_metainfo(dataset),
        metric.get('iou_type', 'keypoints'),
        metric.get('use_area', True),
        tested_boxes(cfg),
    )


def tested_boxes(cfg: Config) -> str:
    """Which boxes a top-down config is tested with: ``'detected'`` ones, or the annotated ``'ground truth'``."""
    return 'detected' if innermost(cfg.test_dataloader.dataset).get('bbox_file') else 'ground truth'
