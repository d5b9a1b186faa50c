"""A top-down heatmap network as an ONNX graph, and the runtimes that run it on the CPU."""

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mmpose.codecs import MegviiHeatmap, MSRAHeatmap, UDPHeatmap
from mmpose.models.data_preprocessors import PoseDataPreprocessor
from torch import Tensor, nn

from ..compat import onnx_export_options
from ..models.coord_attention import CoordAttention
from ..models.gates import coord_attention_modules
from ..whole_file import whole_file
from .fuse import fuse_for_inference
from .precision import PRECISIONS, calibration_crops, convert_to_fp16, quantize
from .simcc import SimCC

INPUT = 'crops'
INPUT_FORMS = ('normalised', 'pixels', 'rtmlib')
# The defaults of rtmlib's pose classes, which rtmlib's Custom does not let anybody change. They apply to BGR pixels.
RTMLIB = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375))
HEATMAP_CODECS = (MSRAHeatmap, UDPHeatmap, MegviiHeatmap)


class _AttentionGraph(nn.Module):
    """Coordinate attention in the operators that runtimes run fastest: window pooling, always in four dimensions.

    ONNX Runtime runs convolutions and some other operators in a blocked layout. A product of two maps is such an
    operator, but a product with a broadcast gate is not. So the gates are enlarged to maps, and no map leaves the
    layout. In other runtimes, and in 8-bit integers, this would cost two more passes.
    """

    def __init__(self, attention: CoordAttention, enlarge_gates: bool):
        super().__init__()
        self.attention = attention
        self.enlarge_gates = enlarge_gates

    def forward(self, x: Tensor) -> Tensor:
        def gate(conv: nn.Conv2d, window: tuple[int, int]) -> Tensor:
            profile = attention.act(attention.norm1(attention.conv1(F.avg_pool2d(x, window))))
            values = conv(profile).sigmoid()
            return F.interpolate(values, scale_factor=tuple(map(float, window))) if self.enlarge_gates else values

        attention, (height, width) = self.attention, map(int, x.shape[2:])  # a tracing exporter needs integers
        return x * gate(attention.conv_h, (1, width)) * gate(attention.conv_w, (height, 1))


class _Graph(nn.Module):
    def __init__(self, model: nn.Module, enlarge_gates: bool, input_form: str, simcc: bool):
        super().__init__()
        self.backbone, self.head = model.backbone, model.head
        if input_form == 'normalised':
            self.normalise = nn.Identity()
        else:
            self.normalise = Normalise(model.data_preprocessor, input_preprocessor(model, input_form))
        self.decode = SimCC(model.head.decoder) if simcc else nn.Identity()
        for name, attention in coord_attention_modules(self).items():
            parent, _, child = name.rpartition('.')
            setattr(self.get_submodule(parent), child, _AttentionGraph(attention, enlarge_gates))

    def forward(self, crops: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.decode(self.head(self.backbone(self.normalise(crops))))


def input_preprocessor(model: nn.Module, input_form: str) -> nn.Module:
    """The data preprocessor that turns crops in BGR pixels into what a graph of this form takes."""
    if input_form == 'normalised':
        return model.data_preprocessor
    return PoseDataPreprocessor(**RTMLIB) if input_form == 'rtmlib' else PoseDataPreprocessor()


class Normalise(nn.Module):
    """MMPose's data preprocessor as a layer.

    Args:
        preprocessor (nn.Module): The data preprocessor, such as PoseDataPreprocessor.
        earlier (nn.Module, optional): The data preprocessor that the input has been through. It leaves the channels in
            BGR order, and is undone. By default, the input is BGR pixels.
    """

    def __init__(self, preprocessor: nn.Module, earlier: nn.Module | None = None):
        super().__init__()
        self.to_rgb = getattr(preprocessor, '_channel_conversion', False)  # has no public name in MMEngine
        self.register_buffer('order', torch.tensor([2, 1, 0] if self.to_rgb else [0, 1, 2]))
        self.register_buffer('mean', getattr(preprocessor, 'mean', torch.zeros(3, 1, 1)))
        self.register_buffer('std', getattr(preprocessor, 'std', torch.ones(3, 1, 1)))
        earlier_mean = getattr(earlier, 'mean', torch.zeros(3, 1, 1))[self.order]
        earlier_std = getattr(earlier, 'std', torch.ones(3, 1, 1))[self.order]
        self.register_buffer('factor', earlier_std / self.std)
        self.register_buffer('shift', (earlier_mean - self.mean) / self.std)

    def forward(self, crops: Tensor) -> Tensor:
        return crops.index_select(1, self.order) * self.factor + self.shift


def export_onnx(
    model: nn.Module,
    path: str | Path,
    input_size: tuple[int, int],
    batch_size: int | None = None,
    runtime: str = 'ONNX Runtime',
    input_form: str = 'normalised',
    simcc: bool = False,
    precision: str = 'float32',
    people: Sequence[dict] = (),
) -> None:
    """Writes the backbone and head of a top-down heatmap model as an ONNX graph, with norms folded.

    The graph maps ``crops`` (N, channels, height, width) to ``heatmaps`` (N, K, height / 4, width / 4), which
    ``model.head.decode`` turns into keypoints in pixels of the crop.

    Args:
        model (nn.Module): A model of MMPose with a backbone and a heatmap head. It is not changed.
        path (str | Path): The file to write. If the export fails, nothing is written.
        input_size (tuple[int, int]): Width and height of the crop, as in MMPose's codecs.
        batch_size (int, optional): A fixed number of crops; any number by default.
        runtime (str): Which of ``RUNTIMES`` the graph is optimised for. All of them can run it.
        input_form (str): Which of ``INPUT_FORMS`` its ``crops`` have: ``'normalised'`` by the model's data
            preprocessor; ``'pixels'``, BGR from 0 to 255; or ``'rtmlib'``, BGR pixels normalised by the defaults of
            rtmlib's pose classes.
        simcc (bool): Whether the graph decodes. It then returns ``simcc_x`` (N, K, 2 width) and ``simcc_y``
            (N, K, 2 height) instead of heatmaps, as RTMPose does.
        precision (str): Which of ``PRECISIONS`` the network computes in: ``'float32'``, ``'int8'`` for processors, or
            ``'fp16'`` for GPUs. Input and output are float32.
        people (Sequence[dict]): For 8-bit integers, people to calibrate with: a data set of MMPose with the test
            pipeline. Give training data, as from :func:`~ca_hrnet_plugin.evaluation.training_people`.

    Raises:
        ModuleNotFoundError: onnx or onnxscript is not installed, or onnxruntime for another precision.
        ValueError: The runtime, form or precision is unknown, the batch size is not positive, the network has no
            heatmaps, SimCC vectors cannot hold the codec's keypoints, or there are no people to calibrate with.
    """
    _check_runtime(runtime)
    for name, value, known in (('input_form', input_form, INPUT_FORMS), ('precision', precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f'{name}={value!r} of export_onnx: give one of {", ".join(known)}')
    if batch_size is not None and batch_size < 1:
        raise ValueError(f'batch_size={batch_size} of export_onnx: give 1 or more, or None for any')
    if precision == 'int8' and not len(people):
        raise ValueError('8-bit integers are calibrated on people, but none were given: give crops of training people')
    codec = getattr(getattr(model, 'head', None), 'decoder', None)
    if not isinstance(codec, HEATMAP_CODECS):
        raise ValueError(
            f'{type(model).__name__} with the codec {type(codec).__name__}: give a whole pose model whose codec is one '
            f'of {", ".join(kind.__name__ for kind in HEATMAP_CODECS)}'
        )
    width, height = input_size
    convolutions = (layer for layer in model.backbone.modules() if isinstance(layer, nn.Conv2d))
    num_channels = getattr(next(convolutions, None), 'in_channels', 3)
    if input_form != 'normalised' and num_channels != 3:
        raise ValueError(f'the network takes {num_channels} channels, and BGR pixels have 3: export it normalised')
    model = copy.deepcopy(model).to('cpu', torch.float32)  # before folding norms, which would round otherwise
    enlarge_gates = runtime == 'ONNX Runtime' and precision == 'float32'
    network = _Graph(fuse_for_inference(model), enlarge_gates, input_form, simcc)
    network = network.to(memory_format=torch.contiguous_format).eval()
    with whole_file(path) as unfinished:
        torch.onnx.export(
            network,
            (torch.zeros(batch_size or 2, num_channels, height, width),),
            unfinished,
            input_names=[INPUT],
            output_names=['simcc_x', 'simcc_y'] if simcc else ['heatmaps'],
            verbose=False,
            **onnx_export_options(INPUT, any_batch=batch_size is None),
        )
        if precision == 'fp16':
            convert_to_fp16(unfinished)
        elif precision == 'int8':
            quantize(unfinished, calibration_crops(people, input_preprocessor(model, input_form), batch_size))
        _describe(unfinished, model, input_size, input_form, precision)


def _describe(path: Path, model: nn.Module, input_size: tuple[int, int], input_form: str, precision: str) -> None:
    """Writes the metadata that a program needs if it has neither MMPose nor the config."""
    import onnx

    # Without normalisation before the graph, mean and std are those inside it.
    outside = input_preprocessor(model, 'normalised' if input_form == 'pixels' else input_form)
    normalise = Normalise(outside)
    normalised = f'{"RGB" if normalise.to_rgb else "BGR"} pixels, less mean, by std'
    properties = dict(
        input='BGR pixels' if input_form == 'pixels' else normalised,
        mean=_listed(normalise.mean.flatten()),
        std=_listed(normalise.std.flatten()),
        input_size=_listed(input_size),
        codec=type(model.head.decoder).__name__,
        precision=precision,
    )
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, properties)
    onnx.save(graph, path)


def _listed(numbers: Iterable[float]) -> str:
    return ', '.join(f'{number:g}' for number in numbers)


Outputs = np.ndarray | tuple[np.ndarray, np.ndarray]


def _onnxruntime(path: Path, num_threads: int) -> Callable[[np.ndarray], Outputs]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda crops: _single_or_all(session.run(None, {INPUT: crops}))


@functools.cache
def _openvino_core():
    # One Core for the whole process: on CPUs with AMX, each Core sets a stack for signal handlers and, when deleted,
    # restores the previous one, even if that has been freed. The end of a data loader's worker would then crash the
    # process.
    import openvino

    return openvino.Core()


def _openvino(path: Path, num_threads: int) -> Callable[[np.ndarray], Outputs]:
    # By default, OpenVINO computes in bfloat16 on processors that support it.
    config = dict(INFERENCE_NUM_THREADS=num_threads, INFERENCE_PRECISION_HINT='f32')
    compiled = _openvino_core().compile_model(path, 'CPU', config)
    return lambda crops: _single_or_all(compiled(crops).to_tuple())


def _single_or_all(outputs: Sequence[np.ndarray]) -> Outputs:
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


RUNTIMES = {'ONNX Runtime': _onnxruntime, 'OpenVINO': _openvino}


def _check_runtime(runtime: str) -> None:
    if runtime not in RUNTIMES:
        raise ValueError(f'runtime={runtime!r}: give one of {", ".join(RUNTIMES)}')


def load_onnx(path: str | Path, runtime: str, num_threads: int | None = None) -> Callable[[np.ndarray], Outputs]:
    """Loads a graph of :func:`export_onnx` into a runtime on the CPU.

    Args:
        path (str | Path): The graph.
        runtime (str): ``'ONNX Runtime'`` or ``'OpenVINO'``.
        num_threads (int, optional): By default as many as PyTorch uses.

    Returns:
        Callable: Maps crops to heatmaps, or to the two SimCC vectors: arrays of float32.

    Raises:
        ModuleNotFoundError: The runtime is not installed.
        ValueError: The runtime is unknown.
    """
    _check_runtime(runtime)
    return RUNTIMES[runtime](Path(path), num_threads or torch.get_num_threads())
