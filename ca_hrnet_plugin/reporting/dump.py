"""Predictions that ``mim test --dump`` pickled, read without running what a pickle may name."""

import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from mmpose.evaluation.metrics import CocoMetric

from ..coco_files import read_json
from .protocol import Protocol

# All that MMPose's predictions need. NumPy 2 moved its core; pickles name the place in the NumPy that wrote them.
_ALLOWED = {
    ('numpy', 'ndarray'),
    ('numpy', 'dtype'),
    ('_codecs', 'encode'),
    *((f'numpy.{core}.multiarray', name) for core in ('core', '_core') for name in ('_reconstruct', 'scalar')),
}


class _NumpyUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str):
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'it names {module}.{name}')
        if module.endswith('multiarray'):  # wherever it is in the NumPy of here
            module = np.arange(1).__reduce__()[0].__module__
        return super().find_class(module, name)


def read_dump(path: str | Path, protocol: Protocol) -> list[dict]:
    """The COCO keypoint result that MMPose's CocoMetric makes of dumped predictions.

    Raises:
        ValueError: It is not such a pickle, or holds more than NumPy arrays and plain values.
    """
    instead = 'test with --cfg-options test_evaluator.outfile_prefix=PREFIX, and give PREFIX.keypoints.json'
    try:
        with Path(path).open('rb') as file:
            samples = _NumpyUnpickler(file).load()
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
    except (pickle.UnpicklingError, EOFError, AttributeError) as error:
        raise ValueError(f'{path} is not read, for a pickle can run code ({error}): {instead}') from error
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f'{path} holds no predictions of a pose estimator ({error!r}): {instead}') from error
