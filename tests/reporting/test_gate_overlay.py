import cv2
import numpy as np
import pytest
import torch
from mmpose.apis import init_model
from trained import look_trained

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.reporting import record_gates

CONFIG = config_path('demo/ca_hrnet_w16_128x96_finetune')


@pytest.fixture(scope='module')
def model():
    model = init_model(CONFIG, device='cpu')
    model.test_cfg['flip_test'] = True
    look_trained(model)  # gates that differ from position to position
    return model


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'image.png'
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(pixels, (96, 128), interpolation=cv2.INTER_NEAREST))
    return str(path)


# With the config's padding of 1.1 this box fills the network's input with the image, pixel by pixel.
WHOLE = (96 * 0.05 / 1.1, 128 * 0.05 / 1.1, 96 / 1.1, 128 / 1.1)


def test_gates_are_those_of_the_module_on_the_unflipped_input(model, image):
    recorded = record_gates(model, image, WHOLE, stage=3, block='branches.1.1')
    assert recorded.module == 'stage3.0.branches.1.1.ca.norm2'
    pixels = cv2.imread(image)[..., ::-1] / 255
    np.testing.assert_allclose(recorded.crop, pixels, atol=1e-6)

    module, features = model.backbone.get_submodule(recorded.module), []
    hook = module.register_forward_pre_hook(lambda _, arguments: features.append(arguments[0].clone()))
    crop = 255 * torch.from_numpy(pixels.copy()).permute(2, 0, 1) - model.data_preprocessor.mean
    with torch.no_grad():
        model.backbone((crop / model.data_preprocessor.std)[None].float())
        hook.remove()
        gated = module(features[0])[0]
    product = np.einsum('ch,cw->chw', recorded.rows, recorded.columns)
    assert product.std() > 0.01
    np.testing.assert_allclose(features[0][0].numpy() * product, gated, rtol=1e-3, atol=1e-5)


def test_by_default_it_is_the_last_block_of_the_finest_branch(model, image):
    assert record_gates(model, image).module == 'stage4.0.branches.0.1.ca.norm2'
    assert not any(module._forward_pre_hooks for module in model.modules()), 'no hook stays'


def test_a_network_without_attention_and_an_unknown_block_are_refused(model, image):
    stock = init_model(config_path('demo/hrnet_w16_128x96_finetune'), device='cpu')
    with pytest.raises(ValueError, match='has no CoordAttention'):
        record_gates(stock, image)
    with pytest.raises(ValueError, match=r'stage 4, block 9: give one of 8, stage4\.0\.branches\.0\.0'):
        record_gates(model, image, block='9')
    with pytest.raises(ValueError, match='not found'):
        record_gates(model, image + 'x')
    with pytest.raises(ValueError, match='is empty'):
        record_gates(model, image, (5, 5, 0, 10))


def test_the_command_draws_several_images(tool, model, image, tmp_path):
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    arguments = CONFIG, tmp_path / 'model.pth', image, image, '--stage', 3
    assert tool('make_gallery', 'gates', *arguments, '--out', tmp_path / 'gates.png')[0] == 0
    picture = cv2.imread(str(tmp_path / 'gates.png'))
    assert picture.shape[0] > picture.shape[1]
