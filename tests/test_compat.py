import sys

import pytest
import torch
from mmcv.utils import collect_env

from ca_hrnet_plugin import compat


@pytest.fixture
def without_mmcv_ext(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)


def test_the_stand_in_for_mmcv_ops_is_removed_and_names_the_full_mmcv(without_mmcv_ext):
    with pytest.raises(ImportError, match='of mmpose'), compat.mmcv_ops_stand_in():
        from mmcv.utils import ext_loader

        ops = ext_loader.load_ext('_ext', ['nms', 'roi_align_forward'])
        raise ImportError('of mmpose')
    assert 'mmcv._ext' not in sys.modules
    with pytest.raises(NotImplementedError, match=r'nms.*full mmcv'):
        ops.nms(torch.zeros(1, 4))


def test_mmcv_reports_its_environment():
    assert collect_env()['MMCV Compiler'], "'n/a' beside mmcv-lite"
