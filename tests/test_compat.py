import subprocess
import sys

import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_from_local
from versions import has_torch

from ca_hrnet_plugin import compat


def test_importing_the_plugin_says_nothing_and_mmpose_apis_can_be_imported_after_it():
    for program in ('import ca_hrnet_plugin', 'import ca_hrnet_plugin, mmpose.apis; mmpose.apis.MMPoseInferencer'):
        run = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert 'mmpose' in program or (run.stdout, run.stderr) == ('', '')


@pytest.fixture
def without_mmcv_ext(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)


def test_the_stand_in_for_mmcv_ops_is_gone_afterwards_and_its_ops_name_the_way_out(without_mmcv_ext):
    with pytest.raises(ImportError, match='of mmpose'), compat.mmcv_ops_stand_in():
        from mmcv.utils import ext_loader

        ops = ext_loader.load_ext('_ext', ['nms', 'roi_align_forward'])
        raise ImportError('of mmpose')
    assert 'mmcv._ext' not in sys.modules
    with pytest.raises(NotImplementedError, match=r'nms.*full mmcv'):
        ops.nms(torch.zeros(1, 4))


def test_a_full_mmcv_is_left_alone(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: 'a compiled module')
    before = sys.modules.get('mmcv._ext')
    with compat.mmcv_ops_stand_in():
        assert sys.modules.get('mmcv._ext') is before


def test_mmengines_own_loaders_stay_where_torch_has_no_allow_list_for_ours():
    assert (CheckpointLoader._schemes[''] is load_from_local) == (not has_torch('2.6'))
