import copy
import subprocess
import sys

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mmpose.apis import inference_topdown, init_model
from mmpose.codecs import MSRAHeatmap, SimCCLabel, UDPHeatmap
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from mmpose.models.heads import HeatmapHead
from torch import nn

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.deploy import RUNTIMES, check_onnx, export_onnx, fuse_for_inference, load_onnx, predict_people
from ca_hrnet_plugin.deploy.agreement import Difference
from ca_hrnet_plugin.deploy.onnx_graph import Normalise


def crops(batch_size):
    return torch.randn(batch_size, 3, 128, 96, generator=torch.Generator().manual_seed(batch_size))


@torch.no_grad()
def heatmaps(model, crops):
    return model.head(model.backbone(crops))


def relative_difference(actual, expected):
    return float((actual - expected).abs().max() / expected.abs().max())


def test_a_fused_model_has_the_same_heatmaps_and_no_norms(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fused = fuse_for_inference(model)

    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    assert fused.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert relative_difference(heatmaps(fused, crops(3)), heatmaps(model, crops(3))) < 1e-4
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize('runtime', RUNTIMES)
@pytest.mark.parametrize('quickest_in', RUNTIMES)
def test_a_graph_takes_any_number_of_crops_and_agrees_with_pytorch(model, graph, quickest_in, runtime):
    run = load_onnx(graph(runtime=quickest_in), runtime)
    for batch_size in (1, 2, 5):
        difference = check_onnx(model, run, crops(batch_size))
        assert difference.heatmaps < 1e-4
        assert difference.keypoints.max() < 0.01


@pytest.mark.parametrize('to_rgb', [True, False])
def test_pixels_are_normalised_as_mmpose_does(to_rgb):
    pixels = torch.randint(0, 256, (2, 3, 128, 96), dtype=torch.uint8)
    preprocessor = PoseDataPreprocessor(mean=[120, 110, 100], std=[60, 50, 40], bgr_to_rgb=to_rgb)
    expected = preprocessor(dict(inputs=list(pixels), data_samples=[]))['inputs']
    torch.testing.assert_close(Normalise(preprocessor)(pixels.float()), expected)


def test_a_graph_may_take_pixels_and_decode_and_describes_its_input(model, graph):
    path = graph(input_form='pixels', simcc=True)
    pixels = torch.randint(0, 256, (3, 3, 128, 96), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    normalised = model.data_preprocessor(dict(inputs=list(pixels), data_samples=[]))['inputs']
    for runtime in RUNTIMES:
        assert check_onnx(model, load_onnx(path, runtime), normalised, pixels.float()).is_small
    described = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    expected = dict(input='BGR pixels', mean='123.675, 116.28, 103.53', std='58.395, 57.12, 57.375')
    assert described.items() >= (expected | dict(input_size='96, 128', codec='MSRAHeatmap')).items()


def test_a_graph_decodes_peaks_anywhere_as_mmpose_does(model, tmp_path):
    model = copy.deepcopy(model)
    model.backbone = nn.Identity()
    model.head = nn.Sequential(nn.AvgPool2d(4))  # so that the image itself is decoded
    model.head.decoder = MSRAHeatmap(input_size=(96, 128), heatmap_size=(24, 32), sigma=2)
    model.head.decode = lambda maps: HeatmapHead(2, 3, decoder=dict(model.cfg.codec)).decode(maps)
    export_onnx(model, tmp_path / 'decoded.onnx', (96, 128), simcc=True)
    places = torch.zeros(24 * 32, 3, 32, 24)
    places.view(24 * 32, 3, -1)[torch.arange(24 * 32), :, torch.arange(24 * 32)] = 1  # each place, borders too
    slope = torch.arange(24) / 100 + torch.arange(32)[:, None] / 50
    for maps in (places + slope, places - slope, places + slope.flip(0), places):
        images = F.interpolate(maps, scale_factor=4)
        for runtime in RUNTIMES:
            difference = check_onnx(model, load_onnx(tmp_path / 'decoded.onnx', runtime), images)
            assert difference.keypoints.max() == 0
            assert difference.heatmaps < 1e-5


@pytest.mark.parametrize(
    'codec',
    [
        MSRAHeatmap(input_size=(96, 128), heatmap_size=(24, 32), sigma=2, unbiased=True),
        MSRAHeatmap(input_size=(96, 128), heatmap_size=(48, 64), sigma=2),
        UDPHeatmap(input_size=(96, 128), heatmap_size=(24, 32), sigma=2),
    ],
)
def test_a_graph_decodes_the_plain_codec_alone(model, tmp_path, codec):
    model = copy.deepcopy(model)
    model.head.decoder = codec
    with pytest.raises(ValueError, match=rf'unbiased=False.*export heatmaps of this {type(codec).__name__}'):
        export_onnx(model, tmp_path / 'model.onnx', (96, 128), simcc=True)
    assert not list(tmp_path.iterdir())


def test_a_joint_that_is_nowhere_is_nowhere_in_a_graph_that_decodes(model, tmp_path):
    model = copy.deepcopy(model)
    model.head.final_layer.weight.data[:3] = 0
    model.head.final_layer.bias.data[:] = torch.tensor([-0.005] * 3 + [1] * 14)
    export_onnx(model, tmp_path / 'model.onnx', (96, 128), simcc=True)
    run = load_onnx(tmp_path / 'model.onnx', 'ONNX Runtime')
    assert check_onnx(model, run, crops(2)).is_small
    x, y = run(crops(2).numpy())
    assert (x.shape, y.shape) == ((2, 17, 2 * 96), (2, 17, 2 * 128))
    assert x[:, :3].max() <= 0 < x[:, 3:].max(2).min()
    names = [output.name for output in onnx.load(tmp_path / 'model.onnx').graph.output]
    assert names == ['simcc_x', 'simcc_y']


# Supported by TensorRT's parser, OpenVINO, OpenCV and CoreML.
COMMON = {
    *('Add', 'AveragePool', 'Clip', 'Concat', 'Constant', 'Conv', 'Div', 'Gather', 'HardSwish', 'Identity', 'Mul'),
    *('ReduceMean', 'Relu', 'Reshape', 'Resize', 'Sigmoid', 'Slice', 'Split', 'Sub', 'Transpose'),
}


# Only in graphs that decode. TensorRT supports them too.
DECODING = {
    *('And', 'ArgMax', 'Cast', 'Equal', 'Expand', 'GatherElements', 'Greater', 'Less', 'Max', 'Min', 'Mod'),
    *('Range', 'ReduceMax', 'Shape', 'Unsqueeze'),
}


@pytest.mark.parametrize(
    ('options', 'operators'),
    [
        (dict(runtime='ONNX Runtime'), COMMON),
        (dict(input_form='pixels', simcc=True), COMMON | DECODING),
    ],
)
def test_a_graph_has_only_operators_that_every_runtime_has(graph, options, operators):
    exported = onnx.load(graph(**options))
    assert {node.op_type for node in exported.graph.node} - operators == set()
    assert [(opset.domain, opset.version <= 18) for opset in exported.opset_import] == [('', True)]


def test_a_network_without_heatmaps_and_a_graph_without_crops_are_refused(model, tmp_path):
    rtmpose = copy.deepcopy(model)
    rtmpose.head = nn.Identity()
    rtmpose.head.decoder = SimCCLabel(input_size=(96, 128))
    grey = copy.deepcopy(model)
    grey.backbone.conv1 = nn.Conv2d(1, 64, 3, stride=2, padding=1)
    for network, options, named in (
        (rtmpose, {}, 'codec SimCCLabel'),
        (grey, dict(input_form='pixels'), 'the network takes 1 channels'),
        (model.backbone, {}, 'a whole pose model'),
        (model, dict(batch_size=0), 'batch_size=0'),
        (model, dict(input_form='bgr'), "input_form='bgr' .*: give one of normalised, pixels, rtmlib"),
    ):
        with pytest.raises(ValueError, match=named):
            export_onnx(network, tmp_path / 'model.onnx', (96, 128), **options)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"'openvino'.*OpenVINO"):
        load_onnx(tmp_path / 'model.onnx', 'openvino')


def test_a_graph_of_fixed_size_and_half_precision_weights(model, tmp_path):
    half = copy.deepcopy(model).to(torch.bfloat16)
    export_onnx(half, tmp_path / 'two.onnx', (96, 128), batch_size=2)
    run = load_onnx(tmp_path / 'two.onnx', 'ONNX Runtime')
    assert check_onnx(half.float(), run, crops(2)).heatmaps < 1e-4, 'it computes in float32'
    with pytest.raises(Exception, match='Expected: 2'):
        run(crops(1).numpy())


def test_people_of_many_images_are_predicted_as_one_by_one(tmp_path):
    torch.manual_seed(0)
    model = init_model(config_path('demo/ca_hrnet_w16_128x96_finetune'), device='cpu')
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (150, 200, 3), np.uint8) for _ in range(3)]
    cv2.imwrite(str(tmp_path / 'image.png'), images[0])
    people = [(images[index % 3], [10 * index, 5, 10 * index + 60, 120]) for index in range(7)]
    people[0] = (tmp_path / 'image.png', people[0][1])
    batches, taken, step = [], [], model.test_step

    def test_step(batch):
        batches.append((len(batch['inputs']), len(taken), torch.is_grad_enabled()))
        return step(batch)

    model.test_step = test_step
    samples = list(predict_people(model, (taken.append(person) or person for person in people), batch_size=3))
    assert batches == [(3, 3, False), (3, 6, False), (1, 7, False)]
    assert len(samples) == len(people)
    for sample, (image, box) in zip(samples, people, strict=True):
        (alone,) = inference_topdown(model, image if isinstance(image, np.ndarray) else str(image), [box])
        expected = alone.pred_instances
        # Weights are random, so heatmaps are nearly flat, and some peaks may come from rounding.
        assert np.median(np.abs(sample.pred_instances.keypoints - expected.keypoints)) < 0.01
        np.testing.assert_allclose(sample.pred_instances.keypoint_scores, expected.keypoint_scores, atol=1e-5)
    assert list(predict_people(model, [])) == []
    with pytest.raises(ValueError, match='batch_size=0'):
        list(predict_people(model, people, batch_size=0))


@pytest.mark.parametrize(
    'image',
    [
        None,
        np.zeros((150, 200), np.uint8),
        np.zeros((0, 200, 3), np.uint8),
        np.ones((150, 200, 3), bool),
        torch.zeros(150, 200, 3),
        [[1]],
    ],
)
def test_an_image_that_cannot_be_used_is_named(model, image):
    with pytest.raises(ValueError, match=r'^the image of person 0 .*give an array \(height, width, 3\)'):
        list(predict_people(model, [(image, [10, 5, 60, 120])]))


@pytest.mark.parametrize('box', [[10, 5, 60], [10, 5, 60, 120, 0.9], [10, 5, 10, 120], [60, 5, 10, 120], [np.nan] * 4])
def test_an_invalid_box_is_named(model, box):
    image = np.zeros((150, 200, 3), np.uint8)
    with pytest.raises(ValueError, match=r'^box .* of person 1 .*give \[left, top, right, bottom\]'):
        list(predict_people(model, [(image, [10, 5, 60, 120]), (image, box)]))


def test_signals_are_handled_after_graphs_in_openvino(graph):
    # On processors with AMX, as many plugins of OpenVINO would leave a freed stack to the handlers of signals.
    code = """
import gc, os, signal, sys
from ca_hrnet_plugin.deploy import load_onnx
first, second = (load_onnx(sys.argv[1], 'OpenVINO') for _ in range(2))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGCHLD, lambda *_: print('handled'))
os.kill(os.getpid(), signal.SIGCHLD)
"""
    path = graph(runtime='OpenVINO')
    ended = subprocess.run([sys.executable, '-c', code, path], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ['handled'])


def test_a_wrong_graph_is_noticed(model):
    def off_by_one_column(crops):
        return np.roll(heatmaps(model, torch.from_numpy(crops)).numpy(), 1, axis=3)

    difference = check_onnx(model, off_by_one_column, crops(2))
    assert difference.keypoints.shape == (2, 17)
    assert difference.keypoints.max() > 1
    assert not difference.is_small


def test_a_tie_counts_as_rounding_and_an_always_wrong_keypoint_does_not():
    same = np.zeros((8, 17))
    tie, wrong = same.copy(), same.copy()
    tie[0, 0] = 6
    wrong[:, 0] = 6
    assert Difference(1e-6, tie).is_small
    assert not Difference(1e-6, wrong).is_small
    assert not Difference(1e-2, same).is_small


def test_what_cannot_be_written_leaves_what_was_there(model, tmp_path, monkeypatch):
    target = tmp_path / 'model.onnx'
    target.write_bytes(b'before')
    with pytest.raises(ValueError, match=r"'TensorRT'.*ONNX Runtime, OpenVINO"):
        export_onnx(model, target, (96, 128), runtime='TensorRT')

    def fail(*args, **kwargs):
        raise RuntimeError('no space')

    monkeypatch.setattr(torch.onnx, 'export', fail)
    with pytest.raises(RuntimeError, match='no space'):
        export_onnx(model, target, (96, 128))
    assert target.read_bytes() == b'before'
    assert [path.name for path in tmp_path.iterdir()] == ['model.onnx']
