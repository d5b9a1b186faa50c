"""The three lines of docs/any_hrnet.md, over each HRNet config of MMPose and for a detector of MMDetection."""

import collections
import copy
import json
import re
from pathlib import Path

import mmpose
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, init_default_scope
from trained import look_trained

from ca_hrnet_plugin.compat import mmcv_ops_stand_in

DOCUMENT = (Path(__file__).parents[1] / 'docs/any_hrnet.md').read_text()
CONFIGS = Path(mmpose.__file__).parent / '.mim/configs'
X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def example(package: str) -> str:
    """The config in the document that is based on one of a package."""
    (block,) = re.findall(rf"^```python\n(_base_ = '{package}::.*?)^```", DOCUMENT, re.M | re.S)
    return block


def config_of(text: str, folder: Path) -> Config:
    (folder / 'config.py').write_text(text)
    return Config.fromfile(folder / 'config.py')


def shallow(model: dict) -> dict:
    """A model config with the same branches and widths, one module a stage and one block a branch, without weights."""
    model = copy.deepcopy(model)
    for stage in ('stage1', 'stage2', 'stage3', 'stage4'):
        stage = model['backbone']['extra'][stage]
        stage.update(num_modules=1, num_blocks=[1] * stage['num_branches'])
    model['backbone'].pop('init_cfg', None)
    return model


def pair(stock: dict, ours: dict) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Both networks with the weights of the stock network, to be tested."""
    stock, ours = look_trained(MODELS.build(shallow(stock))), MODELS.build(shallow(ours))
    ours.load_state_dict(stock.state_dict())
    for network in (stock, ours):
        network.train(False)
    return stock, ours


@pytest.fixture(scope='module')
def families(tmp_path_factory):
    """The HRNet configs of MMPose and the three lines over each, by task, algorithm and data set."""
    folder, families = tmp_path_factory.mktemp('three_lines'), collections.defaultdict(list)
    for path in sorted(CONFIGS.rglob('*hrnet*.py')):
        name, stock = path.relative_to(CONFIGS), Config.fromfile(path)
        if stock.model.backbone.type == 'LiteHRNet':
            continue
        text, num_replaced = re.subn("'mmpose::.+'", f"'mmpose::{name.as_posix()}'", example('mmpose'))
        assert num_replaced == 1 and len(text.splitlines()) == 3
        families[name.parts[:3]].append((stock, config_of(text, folder)))
    return families


def without_scope(value):
    """A config without the package that MMEngine notes in each dict from another package."""
    if isinstance(value, dict):
        return {key: without_scope(item) for key, item in value.items() if key != '_scope_'}
    return [without_scope(item) for item in value] if isinstance(value, list) else value


def test_three_lines_change_the_backbone_alone(families):
    for stock, ours in (configs for family in families.values() for configs in family):
        expected = without_scope(stock.to_dict())
        expected['custom_imports'] = dict(imports=['ca_hrnet_plugin'])
        expected['model']['backbone']['type'] = 'CAHRNet'
        assert without_scope(ours.to_dict()) == expected, stock.filename


def test_every_network_keeps_its_outputs_to_the_last_bit(families):
    init_default_scope('mmpose')
    networks = {}
    for stock, ours in (configs for family in families.values() for configs in family):
        parts = [shallow(stock.model)['backbone'], stock.model.get('neck'), stock.model.head.type]
        networks.setdefault(json.dumps(parts, sort_keys=True), (stock.model, ours.model))
    assert len(networks) >= 8
    for key, models in networks.items():
        stock, ours = pair(*models)
        with torch.no_grad():
            for theirs, maps in zip(stock.backbone(X), ours.backbone(X), strict=True):
                assert torch.equal(maps, theirs), key


def test_the_document_lists_every_family(families):
    rows = re.findall(r'^\| `(\w+)/(\w+)` \| (.+) \| (\d+) \|$', DOCUMENT, re.M)
    listed = {(task, algorithm): (data_sets.split(', '), int(number)) for task, algorithm, data_sets, number in rows}
    expected = collections.defaultdict(lambda: ([], 0))
    for (task, algorithm, data_set), configs in families.items():
        data_sets, number = expected[task, algorithm]
        expected[task, algorithm] = ([*data_sets, data_set], number + len(configs))
    assert listed == expected


def test_a_detector_of_mmdetection_starts_as_identity_and_trains(tmp_path):
    mmdet = pytest.importorskip('mmdet')
    ours = config_of(example('mmdet'), tmp_path)
    base = re.search("mmdet::(.+)'", example('mmdet'))[1]
    stock = Config.fromfile(Path(mmdet.__file__).parent / '.mim/configs' / base)
    with mmcv_ops_stand_in():
        from mmdet.testing import demo_mm_inputs
        from mmdet.utils import register_all_modules

        register_all_modules(init_default_scope=True)
    stock, ours = pair(stock.model, ours.model)
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(X), stock.backbone(X), rtol=0, atol=0)
    before = {name: parameter.clone() for name, parameter in ours.named_parameters() if '.ca.' in name}
    ours.train(True)
    optimizer = OptimWrapper(torch.optim.SGD(ours.parameters(), 0.01))
    losses = ours.train_step(demo_mm_inputs(2, [[3, 64, 64]] * 2), optimizer)
    assert losses['loss'].isfinite()
    assert any(not torch.equal(ours.get_parameter(name), parameter) for name, parameter in before.items())
