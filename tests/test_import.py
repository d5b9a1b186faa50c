"""The changes that importing the plugin makes to a process."""

import subprocess
import sys

# Everything that the plugin could touch is imported before it.
BEFORE_AND_AFTER = r"""
import importlib, importlib.util, socket, sys, types

lite = importlib.util.find_spec('mmcv._ext') is None
if lite:  # stands in for compiled ops where they are only imported
    sys.modules['mmcv._ext'] = types.ModuleType('mmcv._ext')
    sys.modules['mmcv._ext'].__getattr__ = lambda name: 0 if not name.startswith('__') else getattr(object, name)
for name in (
    'mmengine.runner', 'mmengine.hooks', 'mmengine.optim', 'mmengine.dataset', 'mmengine.evaluator', 'mmengine.infer',
    'mmdet.apis', 'mmpose.apis', 'mmpose.engine', 'mmpose.codecs', 'torch.hub', 'torch.serialization', 'torch.onnx',
):
    importlib.import_module(name)
sys.modules.pop('mmcv._ext') if lite else None

import torch
from mmengine.hooks import Hook
from mmengine.registry import Registry, root
from mmengine.runner import CheckpointLoader
import mmpose.registry

OTHERS = ('mmengine', 'mmpose', 'mmdet', 'mmcv', 'torch', 'torchvision')

def everything():
    content = {}
    for name, module in list(sys.modules.items()):
        if name.partition('.')[0] not in OTHERS or not isinstance(module, types.ModuleType):
            continue
        for key, value in list(vars(module).items()):
            if callable(value):
                content[name, key] = value
            if isinstance(value, type) and value.__module__.partition('.')[0] in OTHERS:
                content.update({(name, key, attribute): member for attribute, member in list(vars(value).items())})
    return content

def registered():
    registries = [registry for registry in vars(mmpose.registry).values() if isinstance(registry, Registry)]
    return {name for registry in registries for name in registry.module_dict}

def no_server(*_):
    raise AssertionError('a server was asked')

before, names = everything(), registered()
safe_globals = getattr(torch.serialization, 'get_safe_globals', list)  # missing in older versions of torch
getattr(torch.serialization, 'add_safe_globals', list)([Hook])
allowed = safe_globals()
schemes = dict(CheckpointLoader._schemes)
socket.socket.connect, stock_connect = no_server, socket.socket.connect

import ca_hrnet_plugin

socket.socket.connect = stock_connect
after = everything()
missing = object()
changed = sorted(str(key) for key, value in before.items() if after.get(key, missing) is not value)
changed = [key for key in changed if not key.endswith("'CheckpointLoader', '_schemes')")]
assert not changed, changed[:10]
assert safe_globals() == allowed
added = CheckpointLoader._schemes.keys() - schemes.keys()
assert added == {'hf://', r'(?!\S+://).*\.safetensors$'} and schemes.keys() <= CheckpointLoader._schemes.keys(), added
assert 'huggingface_hub' not in sys.modules
print(*sorted(registered() - names))
"""


def test_it_adds_names_to_registries_and_replaces_nothing(tmp_path):
    """CBAM, for example, stays free for other plugins."""
    (tmp_path / 'train.py').write_text(BEFORE_AND_AFTER)
    run = subprocess.run([sys.executable, '-W', 'ignore', 'train.py'], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    added = 'Bfloat16OptimWrapper CAHRNet CBasicBlock ChannelsLastHook CoordAttention CrowdCocoMetric'
    assert run.stdout.splitlines()[-1] == added
