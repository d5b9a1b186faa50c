import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmpose.apis import init_model
from torch import nn

from ca_hrnet_plugin import SMALL_HRNET, config_path
from ca_hrnet_plugin.deploy.agreement import Difference
from ca_hrnet_plugin.reporting.timing import Timing

DEMO = config_path('demo/ca_hrnet_w16_128x96_finetune')


def test_the_command_writes_a_checked_graph_for_more_crops_than_people(tool, config, checkpoint, tmp_path):
    target = tmp_path / 'new/folder/model.onnx'
    code, out, _ = tool('export', config, checkpoint, '--out', target, '--batch', 40, '--rounds', 1)
    assert code == 0
    assert re.search(r'OpenVINO +\S+ +\S+ +\S+ +0\.00', out)
    crops = np.zeros((40, 3, 128, 96), np.float32)
    (heatmaps,) = onnxruntime.InferenceSession(target).run(['heatmaps'], dict(crops=crops))
    assert heatmaps.shape == (40, 17, 32, 24)


def test_the_command_writes_a_graph_for_rtmlib_of_a_fixed_size(tool, config, checkpoint, tmp_path):
    options = '--for', 'rtmlib', '--batch', 2, '--runtime', 'OpenVINO', '--rounds', 1
    code, out, _ = tool('export', config, checkpoint, '--out', tmp_path / 'model.onnx', *options)
    assert code == 0 and out.endswith("model.onnx: batch size 2, for rtmlib's RTMPose\n")
    session = onnxruntime.InferenceSession(tmp_path / 'model.onnx')
    assert [tensor.shape for tensor in session.get_inputs()] == [[2, 3, 128, 96]]
    assert [tensor.name for tensor in session.get_outputs()] == ['simcc_x', 'simcc_y']
    assert session.get_modelmeta().custom_metadata_map['input'] == 'BGR pixels, less mean, by std'
    num_upsamples = sum(isinstance(module, nn.Upsample) for module in init_model(str(config), device='cpu').modules())
    resizes = [node for node in onnx.load(tmp_path / 'model.onnx').graph.node if node.op_type == 'Resize']
    assert len(resizes) == num_upsamples, 'gates are not enlarged to maps for OpenVINO'


def test_the_command_writes_what_other_programs_take(tool, config, checkpoint, tmp_path, monkeypatch):
    udp = tmp_path / 'udp.py'
    codec = "dict(type='UDPHeatmap', input_size=(96, 128), heatmap_size=(24, 32), sigma=2, _delete_=True)"
    udp.write_text(f'_base_ = {str(config)!r}\nmodel = dict(head=dict(decoder={codec}))')
    exported = []
    monkeypatch.setattr('export.export', lambda model, path, inputs, crops, args: exported.append((path, args, inputs)))
    monkeypatch.setattr('pathlib.Path.replace', lambda *_: None)
    for source, options, form, simcc in (
        (config, ['--pixels'], 'pixels', False),
        (config, ['--simcc'], 'normalised', True),
        (config, ['--for', 'rtmlib'], 'rtmlib', True),
        (udp, ['--for', 'rtmlib'], 'rtmlib', False),
    ):
        code, out, _ = tool('export', source, checkpoint, '--out', tmp_path / 'model.onnx', *options)
        assert code == 0
        _, args, inputs = exported.pop()
        assert (args.input_form, args.simcc) == (form, simcc)
        assert (inputs.min() < 0) == (form != 'pixels')
    assert out.endswith("for rtmlib's ViTPose\n")


def test_each_runtime_is_timed_and_a_graph_that_differs_is_not_kept(tool, config, checkpoint, tmp_path, monkeypatch):
    target, called, difference = tmp_path / 'model.onnx', [], [Difference(0.0, np.zeros((8, 17)))]

    def timings(functions, baselines, rounds):
        for name, function in functions.items():
            function()
            assert name == 'PyTorch' or called.pop() == name
        return {'PyTorch': Timing([2.0], []), 'ONNX Runtime': Timing([1.0], [0.5]), 'OpenVINO': Timing([0.5], [0.25])}

    monkeypatch.setattr('export.export_onnx', lambda model, path, *args: path.write_bytes(b'a graph'))
    monkeypatch.setattr('export.load_onnx', lambda path, name: lambda crops: called.append(name))
    monkeypatch.setattr('export.check_onnx', lambda *args: difference[0])
    monkeypatch.setattr('export.time_side_by_side', timings)
    code, out, _ = tool('export', config, checkpoint, '--out', target)
    assert code == 0 and target.exists()
    for row in ('PyTorch 4.0 1.00', 'ONNX Runtime 8.0 2.00', 'OpenVINO 16.0 4.00'):
        assert row in re.sub(' +', ' ', out)
    target.unlink()
    difference[0] = Difference(0.01, np.zeros((8, 17)))
    code, *_ = tool('export', config, checkpoint, '--out', target)
    assert code.startswith('not exported: in ONNX Runtime, OpenVINO the graph differs')
    assert not target.exists()


def test_what_is_missing_is_named_in_one_line_and_nothing_is_written(tool, config, checkpoint, tmp_path, monkeypatch):
    (tmp_path / 'text.pth').write_text('not a checkpoint')
    torch.save({'conv1.weight': torch.zeros(64, 3, 7, 7)}, tmp_path / 'foreign.pth')
    (tmp_path / 'no_data.py').write_text(f'_base_ = {str(config)!r}\ntest_dataloader = None')
    for arguments, named in (
        ((config, tmp_path / 'nowhere.pth'), 'nowhere.pth'),
        ((config, tmp_path / 'foreign.pth'), 'foreign.pth does not fit the network'),
        ((config, tmp_path / 'text.pth'), ''),
        ((tmp_path / 'nowhere.py', checkpoint), 'nowhere.py'),
        ((tmp_path / 'no_data.py', checkpoint), 'no_data.py has no test_dataloader'),
    ):
        code, *_ = tool('export', *arguments, '--out', tmp_path / 'model.onnx')
        assert code.startswith('not exported: ')
        assert named in code
    code, *_ = tool('export', DEMO, SMALL_HRNET, '--simcc', '--out', tmp_path / 'model.onnx')  # the demo has DARK
    assert code.startswith('not exported: SimCC vectors hold what MSRAHeatmap with unbiased=False decodes')
    code, *_ = tool('export', DEMO, SMALL_HRNET, '--for', 'rtmlib', '--out', tmp_path / 'model.onnx')
    assert code.startswith('not exported: rtmlib decodes MSRAHeatmap with unbiased=False')
    code, *_ = tool('export', config, checkpoint, '--freeze', '--out', tmp_path)
    assert code == f'not exported: {tmp_path} is not a file: give another name to write to'
    monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path / 'elsewhere'))
    code, *_ = tool('export', config, checkpoint, '--out', tmp_path / 'model.onnx')
    assert re.match('not exported: .*elsewhere', code)
    assert not (tmp_path / 'model.onnx').exists()


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--batch', 0], '0 is too few'),
        (['--people', -3], '-3 is too few'),
        (['--checkpoint-out', 'frozen.pth'], 'give --freeze too'),
        (['--for', 'rtmlib', '--pixels'], 'leave out --pixels and --simcc'),
        (['--for', 'rtmlib', '--simcc'], 'leave out --pixels and --simcc'),
        (['--freeze', '--checkpoint-out', 'folder/../model.onnx'], 'give two names'),
    ],
)
def test_options_that_lead_nowhere_are_refused(tool, config, arguments, message):
    code, _, err = tool('export', config, 'weights.pth', '--out', 'model.onnx', *arguments)
    assert code == 2
    assert message in err
