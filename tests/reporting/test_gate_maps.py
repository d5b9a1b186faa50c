import cv2
import numpy as np
import pytest
import torch
from mmpose.apis import init_model

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.reporting.gate_maps import draw_attention, record_gates


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    model = init_model(config_path('ca_hrnet_w16_coco_128x96'), device='cpu')
    for name, parameter in model.named_parameters():
        if '.ca.' in name and parameter.ndim == 4:
            torch.nn.init.normal_(parameter, std=1)  # gates that differ from place to place
    return model


@pytest.fixture(scope='module')
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp('images') / 'image.png'
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(pixels, (96, 128), interpolation=cv2.INTER_NEAREST))
    return str(path)


# With the padding of 1.25 this box fills the network's input with the image, pixel by pixel.
WHOLE = (96 * 0.1, 128 * 0.1, 96 * 0.8, 128 * 0.8)


def test_gates_are_those_of_the_module_on_the_unflipped_input(model, image):
    recorded = record_gates(model, image, WHOLE, stage=3, block='1.branches.1.2')
    assert recorded.module == 'backbone.stage3.1.branches.1.2.ca.norm2'
    assert recorded.rows.shape == (32, 16)
    assert recorded.columns.shape == (32, 12)

    seen = []
    module = model.get_submodule(recorded.module)
    hook = module.register_forward_hook(lambda _, arguments, output: seen.append((*arguments, output.clone())))
    normalised = (torch.from_numpy(recorded.crop).permute(2, 0, 1) * 255 - model.data_preprocessor.mean) / (
        model.data_preprocessor.std
    )
    with torch.no_grad():
        model.backbone(normalised[None].float())
    hook.remove()
    (features, gated), *_ = seen
    product = torch.from_numpy(np.einsum('ch,cw->chw', recorded.rows, recorded.columns))
    torch.testing.assert_close(features[0] * product, gated[0], rtol=1e-3, atol=1e-5)


def test_by_default_it_is_the_last_block_of_the_finest_branch(model, image):
    assert record_gates(model, image, stage=4).module == 'backbone.stage4.1.branches.0.3.ca.norm2'
    assert record_gates(model, image, stage=2, block='branches.1').module == 'backbone.stage2.0.branches.1.3.ca.norm2'
    assert not any(module._forward_pre_hooks for module in model.modules()), 'no hook stays'


def test_the_profiles_drawn_are_the_gates(model, image):
    recorded = record_gates(model, image, WHOLE, stage=2)
    crop, top, side, product, _ = draw_attention([recorded]).axes
    for axes, gate, along in ((top, recorded.columns, 0), (side, recorded.rows, 1)):
        *channels, mean = [line.get_xydata() for line in axes.lines]
        np.testing.assert_allclose([line[:, 1 - along] for line in channels], gate)
        np.testing.assert_allclose(mean[:, 1 - along], gate.mean(axis=0), rtol=1e-5)
        assert mean[0, along] == 0.5, 'the middle of the first place'
    assert crop.get_xlim() == top.get_xlim() == (0, 24)
    assert crop.get_ylim() == side.get_ylim() == (32, 0)
    heat = np.asarray(product.images[1].get_array())
    expected = (recorded.rows[:, :, None] * recorded.columns[:, None, :]).mean(axis=0)
    np.testing.assert_allclose(heat, expected, rtol=1e-5)


def test_a_network_without_attention_and_a_block_that_is_not_there_are_told(model, image):
    plain = init_model(config_path('hrnet_w16_coco_128x96'), device='cpu')
    with pytest.raises(ValueError, match='has no CoordAttention'):
        record_gates(plain, image)
    with pytest.raises(ValueError, match=r'no attention in stage 4, block 9: there are 32, backbone\.stage4\.0'):
        record_gates(model, image, block='9')
    with pytest.raises(ValueError, match='no image'):
        record_gates(model, image + 'x')
    with pytest.raises(ValueError, match='is empty'):
        record_gates(model, image, (5, 5, 0, 10))


def test_the_tool_draws_several_images(tool, model, image, tmp_path):
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    arguments = config_path('ca_hrnet_w16_coco_128x96'), tmp_path / 'model.pth', image, image
    code, _, _ = tool('make_gallery', 'attention', *arguments, '--stage', 3, '--out', tmp_path / 'attention.png')
    assert code == 0
    picture = cv2.imread(str(tmp_path / 'attention.png'))
    assert picture.shape[0] > picture.shape[1]
