import subprocess
import sys

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_from_local
from versions import has_torch

from ca_hrnet_plugin import compat


def run_python(program: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)


def test_importing_the_plugin_says_nothing():
    run = run_python('import ca_hrnet_plugin')
    assert (run.returncode, run.stdout, run.stderr) == (0, '', '')


def test_mmpose_apis_can_be_imported_after_the_plugin():
    run = run_python('import ca_hrnet_plugin, mmpose.apis; mmpose.apis.MMPoseInferencer')
    assert run.returncode == 0, run.stderr


@pytest.fixture
def without_mmcv_ext(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)


def test_the_stand_in_for_mmcv_ops_is_gone_afterwards_and_its_ops_name_the_way_out(without_mmcv_ext):
    with compat.mmcv_ops_stand_in():
        from mmcv.utils import ext_loader

        ops = ext_loader.load_ext('_ext', ['nms', 'roi_align_forward'])
    assert 'mmcv._ext' not in sys.modules
    with pytest.raises(NotImplementedError, match=r'nms.*full mmcv'):
        ops.nms(torch.zeros(1, 4))


def test_the_stand_in_is_gone_even_if_the_import_fails(without_mmcv_ext):
    with pytest.raises(ImportError, match='of mmpose'), compat.mmcv_ops_stand_in():
        raise ImportError('of mmpose')
    assert 'mmcv._ext' not in sys.modules


def test_a_full_mmcv_is_left_alone(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: 'a compiled module')
    before = sys.modules.get('mmcv._ext')
    with compat.mmcv_ops_stand_in():
        assert sys.modules.get('mmcv._ext') is before


def test_mmengines_own_loaders_stay_where_torch_has_no_allow_list_for_ours():
    assert (CheckpointLoader._schemes[''] is load_from_local) == (not has_torch('2.6'))
