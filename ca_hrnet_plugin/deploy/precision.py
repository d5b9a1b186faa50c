"""Makes an exported graph smaller and faster: 8-bit integers for processors, 16-bit floats for GPUs."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.dataset import pseudo_collate
from torch import nn

if TYPE_CHECKING:
    import onnx

PRECISIONS = ('float32', 'int8', 'fp16')
# All that runs on maps, so that no map changes its type or layout on its way. Relu becomes part of the operator before
# it, because the range of unsigned integers starts at 0.
INTEGER_OPERATORS = ('Conv', 'Relu', 'Add', 'Mul', 'Resize', 'AveragePool', 'HardSwish', 'Sigmoid')
CALIBRATION_BATCH = 16


def calibration_crops(
    people: Sequence[dict], preprocessor: nn.Module, batch_size: int | None = None
) -> Iterator[np.ndarray]:
    """Yields crops (N, channels, height, width) to calibrate 8-bit integers with.

    Args:
        people (Sequence[dict]): A data set of MMPose with the test pipeline, such as from
            :func:`~ca_hrnet_plugin.evaluation.training_people`.
        preprocessor (nn.Module): Its output is what the graph takes.
        batch_size (int, optional): The number of crops that the graph takes. The last batch is filled with the first
            people.
    """
    size = batch_size or CALIBRATION_BATCH
    num_batches = -(-len(people) // size)
    for indices in np.resize(np.arange(len(people)), (num_batches, size)):
        yield preprocessor(pseudo_collate([people[int(index)] for index in indices]))['inputs'].cpu().numpy()


def convert_to_fp16(path: Path) -> None:
    """Replaces a graph by one that computes in 16-bit floats. Its input and output stay float32."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    graph = onnx.load(path)
    graph.graph.ClearField('value_info')  # the converter infers types again, and trips over those of constants
    onnx.save(convert_float_to_float16(graph, keep_io_types=True), path)


def quantize(path: Path, crops: Iterable[np.ndarray]) -> None:
    """Replaces a graph by one of 8-bit integers: static quantization by ONNX Runtime, in the QDQ format.

    Weights have a scale for each channel. Activations have the range of values that they take for the crops.
    Normalisation, decoding and the last convolution, which writes the heatmaps, stay float32.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    batches = iter(crops)

    class Crops(CalibrationDataReader):
        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(batches, None)
            return None if batch is None else {name: batch}

    # The exporter has folded what can be folded, and ONNX Runtime's optimizations would take HardSwish apart.
    quant_pre_process(path, path, skip_optimization=True, skip_symbolic_shape=True)
    graph = onnx.load(path)
    name = graph.graph.input[0].name
    quantize_static(
        path,
        path,
        Crops(),
        op_types_to_quantize=list(INTEGER_OPERATORS),
        nodes_to_quantize=_network(graph)[:-1],
        per_channel=True,
        # Weights of 7 bits: processors without VNNI add two products of 8 bits in 16 bits, which overflows.
        reduce_range=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def _network(graph: 'onnx.ModelProto') -> list[str]:
    """The names of the nodes from the first convolution to the last, without normalisation and decoding."""
    nodes = list(graph.graph.node)
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == 'Conv']
    constants = {node.output[0] for node in nodes if node.op_type == 'Constant'}
    return [
        node.name
        for node in nodes[convolutions[0] : convolutions[-1] + 1]
        # HRNet's sums start at 0. Older exporters keep that addition, and OpenVINO fails on one of an integer constant.
        if not (node.op_type == 'Add' and constants & set(node.input))
    ]
