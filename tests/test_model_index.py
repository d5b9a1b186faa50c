"""model-index.yml and configs/metafile.yml, as OpenMMLab's tools read them."""

import modelindex
from mmengine.config import Config
from mmpose.registry import MODELS
from torch import device

from ca_hrnet_plugin.config_files import CONFIGS, config_names

INDEX = modelindex.load(str(CONFIGS.parent / 'model-index.yml'))


def test_it_lists_every_config_but_the_demo_s():
    listed = {model.name: model.config for model in INDEX.models}
    names = [name for name in config_names() if not name.startswith('demo/')]
    assert listed == {name.rpartition('/')[2]: f'configs/{name}.py' for name in names}


def test_the_tools_of_openmmlab_find_no_problems():
    INDEX.check(silent=True)
    assert not INDEX.check_errors
    assert all(not model.check_errors for model in INDEX.models)


def test_parameters_are_those_of_the_networks():
    of_each_size = {model.metadata.parameters: model for model in INDEX.models}
    for num_parameters, model in of_each_size.items():
        network = Config.fromfile(CONFIGS.parent / model.config).model
        network.backbone.pop('init_cfg')
        with device('meta'):
            counted = sum(parameter.numel() for parameter in MODELS.build(network).parameters())
        assert counted == num_parameters, model.name
