import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub

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


@pytest.fixture
def checkpoint(tmp_path):
    """What MMEngine's runner saves: weights, log history, meta with NumPy values."""
    hub = MessageHub('test')
    for value in (0.5, 0.25):
        hub.update_scalar('train/loss', value)
    hub.update_info('best', np.float64(0.75))
    path = tmp_path / 'epoch_1.pth'
    meta = dict(epoch=1, iter=7, dataset_meta=dict(sigmas=np.ones(17, np.float32), colors=np.eye(3, dtype=np.uint8)))
    torch.save(
        dict(state_dict=dict(weight=torch.ones(2)), message_hub=hub.state_dict(), meta=meta, best=np.int64(3)), path
    )
    return path


def renamed(path, old: bytes, new: bytes):
    """The checkpoint with a module renamed in its pickle."""
    copy = path.with_suffix('.renamed.pth')
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(copy, 'w') as target:
        for item in source.infolist():
            data = source.read(item)
            target.writestr(item, data.replace(old, new) if item.filename.endswith('data.pkl') else data)
    return copy


@pytest.mark.parametrize('core', [b'numpy.core.', b'numpy._core.'])
def test_checkpoints_of_mmengine_load_whichever_numpy_wrote_them(checkpoint, core):
    here = b'numpy._core.' if np.lib.NumpyVersion(np.__version__) >= '2.0.0b1' else b'numpy.core.'
    path = renamed(checkpoint, b'c' + here + b'multiarray\n', b'c' + core + b'multiarray\n')
    loaded = torch.load(path)
    assert torch.equal(loaded['state_dict']['weight'], torch.ones(2))
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.statistics('mean', 2) == 0.375
    np.testing.assert_array_equal(loaded['meta']['dataset_meta']['colors'], np.eye(3))
    assert (loaded['best'], loaded['message_hub']['runtime_info']['best']) == (3, 0.75)
