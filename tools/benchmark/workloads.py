"""The workloads to time: inference and training of the backbone or of the whole pose model, in several modes."""

import copy
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.optim import OptimWrapper
from mmengine.optim.optimizer import AmpOptimWrapper
from mmpose.testing import get_packed_inputs
from torch import nn

from ca_hrnet_plugin.deploy import export_onnx, load_onnx
from ca_hrnet_plugin.engine import Bfloat16OptimWrapper

MODES = ('eager', 'CUDA graph', 'ONNX Runtime', 'OpenVINO')


def make_workload(
    model: nn.Module,
    task: str,
    part: str,
    mode: str,
    batch_size: int,
    input_size: tuple[int, int],
    dtype: torch.dtype = torch.float32,
    channels_last: bool = False,
) -> Callable[[], object]:
    """Makes a function to time.

    Args:
        model (nn.Module): A pose model, which is changed.
        task (str): ``'inference'`` or ``'training'``: forward and backward of the backbone, and with the whole model
            the optimizer's step too.
        part (str): ``'backbone'``, or ``'model'``, with data preprocessor, flip test and decoding.
        mode (str): One of ``MODES``. ``'ONNX Runtime'`` and ``'OpenVINO'`` run backbone and head.
        batch_size (int): The number of crops.
        input_size (tuple[int, int]): Width and height of a crop.
        dtype (torch.dtype): The dtype of autocast, which float32 turns off.
        channels_last (bool): Whether weights and input are in channels-last memory format.

    Raises:
        ValueError: The combination is not supported.
    """
    device = next(model.parameters()).device
    width, height = input_size
    crops = torch.randn(batch_size, 3, height, width, device=device)
    if mode in ('ONNX Runtime', 'OpenVINO'):
        if (task, part, dtype, channels_last) != ('inference', 'backbone', torch.float32, False):
            raise ValueError(f'{mode} is for inference of the backbone in float32')
        if device.type != 'cpu':
            raise ValueError(f'{mode} is for the CPU: give --device cpu')
        with tempfile.TemporaryDirectory() as folder:
            export_onnx(model.eval(), Path(folder) / 'model.onnx', input_size, batch_size, mode)
            run = load_onnx(Path(folder) / 'model.onnx', mode)
        crops = crops.numpy()
        return lambda: run(crops)
    if mode == 'CUDA graph' and device.type != 'cuda':
        raise ValueError(f'{mode} is for CUDA, and the device is {device.type}')
    if (task, part, dtype) == ('inference', 'model', torch.bfloat16):
        raise ValueError('MMPose decodes through NumPy, which has no bfloat16: give --parts backbone')
    if (task, part, dtype, device.type) == ('training', 'model', torch.float16, 'cpu'):
        raise ValueError('MMEngine trains in float16 only on a GPU: give --parts backbone, or --dtypes bfloat16')
    if channels_last:
        model, crops = model.to(memory_format=torch.channels_last), crops.to(memory_format=torch.channels_last)
    model.train(task == 'training')
    network = model.backbone if part == 'backbone' or task == 'inference' else model
    if mode == 'CUDA graph':
        network.compile(mode='reduce-overhead')

    # Older versions of torch refuse float32 here, even if nothing is cast.
    cast = dtype != torch.float32
    autocast = torch.autocast(device.type, dtype if cast else None, enabled=cast)
    if part == 'backbone':
        if task == 'inference':
            return torch.no_grad()(autocast(lambda: model.backbone(crops)))

        def step():
            model.zero_grad()
            with autocast:
                loss = model.backbone(crops)[0].float().square().mean()
            loss.backward()

        return step

    data = get_packed_inputs(
        batch_size,
        num_keypoints=model.head.out_channels,
        input_size=input_size,
        img_shape=(height, width),
        heatmap_size=(width // 4, height // 4),
    )
    if task == 'inference':
        return torch.no_grad()(autocast(lambda: model.test_step(copy.deepcopy(data))))
    wrappers = {torch.float32: OptimWrapper, torch.float16: AmpOptimWrapper, torch.bfloat16: Bfloat16OptimWrapper}
    wrapper = wrappers[dtype](optimizer=torch.optim.Adam(model.parameters(), 1e-6))
    model.train_cfg = dict(compute_acc=False)  # accuracy is only for the log
    return lambda: model.train_step(copy.deepcopy(data), wrapper)
