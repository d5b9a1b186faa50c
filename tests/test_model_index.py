"""model-index.yml and configs/metafile.yml, as OpenMMLab's tools read them."""

from pathlib import Path

import modelindex
import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config
from mmpose.registry import MODELS

from ca_hrnet_plugin.config_files import CONFIGS, config_names, config_path

INDEX = modelindex.load(str(CONFIGS.parent / 'model-index.yml'))
MODELS_BY_NAME = {model.name: model for model in INDEX.models}


def test_it_has_every_config_but_the_demo_s_and_the_study_s_and_each_is_where_it_says():
    names = {name.rpartition('/')[2]: name for name in config_names() if not name.startswith(('demo/', 'study/'))}
    assert MODELS_BY_NAME.keys() == names.keys()
    for name, model in MODELS_BY_NAME.items():
        assert Path(model.config) == Path('configs', f'{names[name]}.py')


def test_the_tools_of_openmmlab_find_no_fault_with_it(capsys):
    INDEX.check(silent=True)
    assert not INDEX.check_errors
    assert all(not model.check_errors for model in INDEX.models)


def test_it_has_no_results_because_none_were_measured():
    assert not [name for name, model in MODELS_BY_NAME.items() if model.results]


@pytest.mark.parametrize(
    'name', ['hrnet_w16_coco_128x96', 'ca_hrnet_w16_coco_128x96', 'ablation/ca_hrnet_w32_coco_256x192_se']
)
def test_parameters_and_flops_are_those_that_mmengine_counts(name):
    config = Config.fromfile(config_path(name))
    width, height = config.codec.input_size
    model = MODELS.build(config.model).eval()
    model.forward = model._forward  # of image to heatmaps, without data samples
    counted = get_model_complexity_info(model, (3, height, width), show_table=False, show_arch=False)
    metadata = MODELS_BY_NAME[name.rpartition('/')[2]].metadata
    assert (metadata.parameters, metadata.flops) == (counted['params'], counted['flops'])


def test_parameters_of_all_are_those_of_their_networks():
    for name in config_names():
        if not name.startswith(('demo/', 'study/')):
            with torch.device('meta'):
                model = MODELS.build(Config.fromfile(config_path(name)).model)
            listed = MODELS_BY_NAME[name.rpartition('/')[2]].metadata.parameters
            assert listed == sum(parameter.numel() for parameter in model.parameters()), name
