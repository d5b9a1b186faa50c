"""Predictions that ``mim test --dump`` pickled, read without running what a pickle may name."""

import codecs
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

from mmpose.evaluation.metrics import CocoMetric

from ..checkpoints.plain_values import NUMPY
from ..evaluation.coco_files import read_json
from .protocol import Protocol

# All that MMPose's predictions need; encode is how protocol 2 writes bytes.
_ALLOWED = {**NUMPY, '_codecs.encode': codecs.encode}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if f'{module}.{name}' not in _ALLOWED:
            raise pickle.UnpicklingError(f'it names {module}.{name}')
        return _ALLOWED[f'{module}.{name}']


def read_dump(path: str | Path, protocol: Protocol) -> list[dict]:
    """The COCO keypoint result that MMPose's CocoMetric makes of dumped predictions.

    Raises:
        ValueError: It is not such a pickle, or holds more than NumPy arrays and plain values.
    """
    instead = 'test with --cfg-options test_evaluator.outfile_prefix=PREFIX, and give PREFIX.keypoints.json'
    try:
        with Path(path).open('rb') as file:
            samples = _NumpyUnpickler(file).load()
    except OSError:
        raise
    except Exception as error:  # a pickle can fail in any way
        raise ValueError(f'{path} is not read, for a pickle can run code ({error!r}): {instead}') from error
    try:
        return keypoint_results(samples, protocol)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f'{path} holds no predictions of a pose estimator ({error!r}): {instead}') from error


def keypoint_results(samples: list[dict], protocol: Protocol) -> list[dict]:
    """The COCO keypoint result that MMPose's CocoMetric makes of predictions."""
    with TemporaryDirectory() as folder:
        metric = CocoMetric(
            ann_file=protocol.ann_file,
            iou_type=protocol.iou_type,
            use_area=protocol.use_area,
            format_only=True,
            outfile_prefix=f'{folder}/results',
        )
        metric.dataset_meta = protocol.metainfo
        metric.process({}, samples)
        metric.evaluate(len(samples))
        return read_json(f'{folder}/results.keypoints.json', 'a COCO keypoint result')
