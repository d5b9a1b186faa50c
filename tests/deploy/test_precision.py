import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model
from mmpose.structures import PoseDataSample
from onnx import TensorProto

from ca_hrnet_plugin import SMALL_HRNET, config_path
from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.deploy import RUNTIMES, check_onnx, export_onnx, load_onnx
from ca_hrnet_plugin.deploy.agreement import Difference, with_graph
from ca_hrnet_plugin.evaluation import training_people
from ca_hrnet_plugin.reporting.timing import Timing

DEMO = config_path('demo/ca_hrnet_w16_128x96_finetune')
SIZE = (96, 128)


def people(number, darkest=0, brightest=255):
    random = torch.Generator().manual_seed(number)
    shape = (3, *SIZE[::-1])
    crops = [torch.randint(darkest, brightest + 1, shape, generator=random).to(torch.uint8) for _ in range(number)]
    return [dict(inputs=crop, data_samples=PoseDataSample()) for crop in crops]


def error(model, path, runtime):
    """Of heatmaps, relative to how much they differ between people, both as root mean squares."""
    crops = model.data_preprocessor(pseudo_collate(people(5)))['inputs']
    with torch.no_grad():
        expected = model.head(model.backbone(crops)).numpy()
    errors = load_onnx(path, runtime)(crops.numpy()) - expected
    return float(np.sqrt(np.mean(errors**2) / expected.var(axis=0).mean()))


@pytest.fixture(scope='module')
def int8(model, once):
    options = dict(precision='int8', people=people(20))
    return once('int8', lambda folder: export_onnx(model, folder / 'int8.onnx', SIZE, **options)) / 'int8.onnx'


def test_integers_are_close_if_they_are_calibrated_with_such_people(model, int8, tmp_path):
    export_onnx(model, tmp_path / 'grey.onnx', SIZE, precision='int8', people=people(20, 115, 120))
    for runtime in RUNTIMES:
        assert error(model, int8, runtime) < 0.4
        assert error(model, tmp_path / 'grey.onnx', runtime) > 0.8
    assert int8.stat().st_size < 0.5 * sum(parameter.nbytes for parameter in model.parameters())
    described = onnxruntime.InferenceSession(int8).get_modelmeta().custom_metadata_map
    assert described.items() >= dict(precision='int8', input_size='96, 128').items()


def test_a_graph_of_integers_computes_all_maps_in_them_and_heatmaps_in_float(model, int8, tmp_path):
    options = dict(precision='int8', people=people(20), input_form='rtmlib', simcc=True)
    export_onnx(model, tmp_path / 'rtmlib.onnx', SIZE, **options)
    graph = onnx.load(tmp_path / 'rtmlib.onnx').graph
    writers = {output: node for node in graph.node for output in node.output}
    readers = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.op_type)
    *convolutions, last = [node for node in graph.node if node.op_type == 'Conv']
    assert {writers[conv.input[0]].op_type for conv in convolutions} == {'DequantizeLinear'}
    assert {reader for conv in convolutions for reader in readers[conv.output[0]]} == {'QuantizeLinear'}
    assert last.input[1] in {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    assert not {'Relu', 'HardSigmoid'} & {node.op_type for node in graph.node}
    quantised_weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.INT8 and tensor.dims]
    values = np.concatenate([onnx.numpy_helper.to_array(tensor).ravel() for tensor in quantised_weights])
    assert values.min() >= -64 and values.max() <= 64, 'two products fit into 16 bits'

    batch = pseudo_collate(people(4))
    normalised = model.data_preprocessor(batch)['inputs']
    heatmaps = load_onnx(int8, 'ONNX Runtime')(normalised.numpy())
    expected = np.stack([pose.keypoint_scores[0] for pose in model.head.decode(torch.from_numpy(heatmaps))])
    bgr = torch.stack(batch['inputs']).permute(0, 2, 3, 1).numpy()
    crops = ((bgr - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)).transpose(0, 3, 1, 2).astype(np.float32)
    x, _ = load_onnx(tmp_path / 'rtmlib.onnx', 'ONNX Runtime')(crops)
    np.testing.assert_allclose(x.max(2), expected, atol=0.1 * heatmaps.std())
    assert len(np.unique(x.max(2))) == x[..., 0].size, 'scores are not rounded to 8 bits'


def test_half_precision_is_close_and_takes_and_returns_single_precision(model, tmp_path):
    path = tmp_path / 'fp16.onnx'
    for options in (dict(), dict(input_form='pixels', simcc=True)):
        export_onnx(model, path, SIZE, precision='fp16', **options)
        batch = pseudo_collate(people(5))
        crops = model.data_preprocessor(batch)['inputs']
        inputs = torch.stack(batch['inputs']).float() if options else crops
        for runtime in RUNTIMES:
            difference = check_onnx(model, load_onnx(path, runtime), crops, inputs)
            assert 1e-6 < difference.heatmaps < 0.01
            assert np.median(difference.keypoints) < 0.01
        graph = onnx.load(path).graph
        weights = {node.input[1] for node in graph.node if node.op_type == 'Conv'}
        assert {tensor.data_type for tensor in graph.initializer if tensor.name in weights} == {TensorProto.FLOAT16}


def test_what_cannot_be_done_is_named(model, tmp_path):
    with pytest.raises(ValueError, match=r"precision='int4' of export_onnx: give one of float32, int8, fp16"):
        export_onnx(model, tmp_path / 'model.onnx', SIZE, precision='int4')
    with pytest.raises(ValueError, match='give crops of training people'):
        export_onnx(model, tmp_path / 'model.onnx', SIZE, precision='int8')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('options', [{}, dict(input_form='pixels', simcc=True)])
def test_a_model_predicts_by_its_graph(model, graph, config, checkpoint, options):
    data = training_people(init_model(str(config), device='cpu'), limit=5)
    batch = pseudo_collate([data[index] for index in range(5)])
    flip, model.test_cfg['flip_test'] = model.test_cfg['flip_test'], False
    expected = [sample.pred_instances for sample in model.test_step(batch)]
    model.test_cfg['flip_test'] = flip
    run = load_onnx(graph(batch_size=2, **options), 'ONNX Runtime')
    samples = with_graph(model, run, options.get('input_form', 'normalised'), batch_size=2).test_step(batch)
    assert len(samples) == 5
    distances = [np.abs(a.pred_instances.keypoints - b.keypoints).max() for a, b in zip(samples, expected, strict=True)]
    assert np.median(distances) < 0.01
    assert model.test_cfg['flip_test'] == flip


def test_the_command_freezes_and_prints_what_integers_cost_and_save(tool, drawn_data, tmp_path, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))
    for name, base in dict(ours=DEMO, stock=config_path('demo/hrnet_w16_128x96_finetune')).items():
        text = f'_base_ = {base!r}\nmodel = dict(head=dict(decoder=dict(unbiased=False)))'
        (tmp_path / f'{name}.py').write_text(text)
    arguments = 'export', tmp_path / 'ours.py', SMALL_HRNET, '--out', tmp_path / 'model.onnx', '--precision', 'int8'
    options = '--for', 'rtmlib', '--freeze', '--checkpoint-out', tmp_path / 'frozen.pth', '--batch', 3, '--rounds', 1
    code, out, err = tool(*arguments, *options)
    assert code == 0
    assert 'rtmlib enlarges boxes by 1.25, and the config by 1.1' in err
    load_model(tmp_path / 'stock.py', tmp_path / 'frozen.pth')  # or an error says what does not fit
    assert 'Sigmoid' not in {node.op_type for node in onnx.load(tmp_path / 'model.onnx').graph.node}
    before, after = map(float, re.search(r'gates frozen: AP (\S+) before, (\S+) after', out).groups())
    assert before == after, 'gates that are identity'
    assert re.search(r'OpenVINO +int8 +\d', out)
    before, after = map(float, re.search(r'size of file: (\S+) MB before, (\S+) MB after', out).groups())
    assert after < before / 2
    assert after == pytest.approx((tmp_path / 'model.onnx').stat().st_size / 1e6, abs=0.06)
    before, after = map(float, re.search(r'AP in ONNX Runtime: (\S+) before, (\S+) after', out).groups())
    assert before > 10 and after > before - 5
    assert out.endswith("model.onnx: batch size 3, for rtmlib's RTMPose\n")
    (drawn_data / 'coco/annotations/person_keypoints_train2017.json').rename(tmp_path / 'hidden.json')
    try:
        code, *_ = tool(*arguments)
    finally:
        (tmp_path / 'hidden.json').rename(drawn_data / 'coco/annotations/person_keypoints_train2017.json')
    assert re.match('not exported: .*train2017.json.*--precision int8 by train_dataloader', code)


def test_each_runtime_is_compared_with_itself_in_float32(tool, drawn_data, tmp_path, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))

    def no_ap(model):
        raise ValueError('test_evaluator gives PCK but no AP')

    def timings(functions, baselines, rounds):
        seconds = {name: 2.0 if name[1] == 'float32' else 1.0 for name in functions}
        ratios = {name: [seconds[name] / seconds[baselines[name]]] if name in baselines else [] for name in functions}
        return {name: Timing([seconds[name]], ratios[name]) for name in functions}

    monkeypatch.setattr('export.export', lambda model, path, *args: path.write_bytes(bytes(4_000_000)))
    monkeypatch.setattr('export.export_onnx', lambda model, path, *args: path.write_bytes(bytes(1_000_000)))
    monkeypatch.setattr('export.load_onnx', lambda path, name: None)
    monkeypatch.setattr('export.check_onnx', lambda *args: Difference(0.0, np.ones((8, 17))))
    monkeypatch.setattr('export.time_side_by_side', timings)
    monkeypatch.setattr('export.average_precision', no_ap)
    arguments = '--out', tmp_path / 'model.onnx', '--precision', 'fp16'
    code, out, _ = tool('export', DEMO, SMALL_HRNET, *arguments)
    assert code == 0
    assert 'OpenVINO fp16 8.0 2.00 1.0000' in re.sub(' +', ' ', out)
    assert 'size of file: 4.0 MB before, 1.0 MB after' in out
    assert 'AP not measured: test_evaluator gives PCK but no AP' in out
