"""What results are measured on, and how: annotations, keypoints, and the settings of OKS."""

import warnings
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import METRICS


class Protocol(NamedTuple):
    """An annotation file, its image folder where known, MMPose's metainfo of it, CocoMetric's settings, the boxes."""

    ann_file: str
    image_dir: str | None
    metainfo: dict
    iou_type: str = 'keypoints'
    use_area: bool = True
    boxes: str = ''  # whose the tested boxes are, where a config says it


def read_protocol(
    config: str | Path | None = None, ann_file: str | Path | None = None, image_dir: str | Path | None = None
) -> Protocol:
    """The protocol of a config's test, or COCO's, in which the files given take the place of the config's.

    Args:
        config (str | Path, optional): A config of MMPose with a CocoMetric or one derived from it.
        ann_file (str | Path, optional): COCO annotations; needed without a config.
        image_dir (str | Path, optional): The folder that the annotations' ``file_name`` start from.

    Raises:
        ValueError: Neither is given, or the config has no CocoMetric.
    """
    if config is None:
        if ann_file is None:
            raise ValueError('no annotations: give an annotation file, or a config whose test names one')
        return Protocol(str(ann_file), image_dir and str(image_dir), _quietly(parse_pose_metainfo, _COCO))
    cfg = Config.fromfile(config)
    evaluators = coco_evaluators(cfg)
    if not evaluators:
        raise ValueError(f'{config} has no CocoMetric as test_evaluator: give a config that is evaluated by OKS')
    evaluator, dataset = evaluators[0], cfg.test_dataloader.dataset
    root = Path(dataset.get('data_root') or '')
    return Protocol(
        str(ann_file or evaluator.get('ann_file') or root / dataset.ann_file),
        str(image_dir or root / dataset.get('data_prefix', {}).get('img', '')),
        _quietly(dataset_meta_from_config, cfg, 'test'),
        evaluator.get('iou_type', 'keypoints'),
        evaluator.get('use_area', True),
        tested_boxes(cfg),
    )


def tested_boxes(cfg: Config) -> str:
    """Whose boxes a top-down config is tested in: a detector's, or those of the annotations."""
    return 'detected' if cfg.test_dataloader.dataset.get('bbox_file') else 'ground truth'


def coco_evaluators(cfg: Config) -> list[dict]:
    """The test evaluators of a config that are CocoMetrics."""
    evaluators = cfg.get('test_evaluator') or []
    evaluators = [evaluators] if isinstance(evaluators, dict) else evaluators
    return [one for one in evaluators if issubclass(METRICS.get(one['type']) or object, CocoMetric)]


_COCO = dict(from_file='configs/_base_/datasets/coco.py')


def _quietly(load, *arguments):
    """MMPose warns that it finds its own data set files where they are installed."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return load(*arguments)
