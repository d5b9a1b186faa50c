"""Testing with compiled residual blocks."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpose.models.backbones.resnet import BasicBlock, Bottleneck
from torch import nn


def compile_blocks(model: nn.Module, **options) -> None:
    """Compiles each residual block of a model in place, by options of ``torch.compile``; sizes are fixed by default."""
    for block in model.modules():
        if isinstance(block, (BasicBlock, Bottleneck)):
            block.compile(**dict(dynamic=False) | options)


class CompileBlocksHook(Hook):
    """Compiles each residual block of ResNet, HRNet and CA-HRNet before a test.

    ``--cfg-options default_hooks.compile.type=ca_hrnet_plugin.engine.CompileBlocksHook`` adds it to any config. With
    PyTorch 2.14 blocks of one kind and size share what is compiled, so W32 takes half a minute for each batch size
    where MMEngine's ``compile=True`` takes many; PyTorch 2.1 compiles each block. Training is left as it is, since it
    was slower with compiled blocks (docs/benchmarks.md).

    Args:
        **options: Whatever ``torch.compile`` takes. Sizes are fixed by default.
    """

    def __init__(self, **options):
        self.options = options

    def before_test(self, runner: Runner) -> None:
        """Compiles blocks in place: the names in state dicts stay what they are."""
        compile_blocks(runner.model, **self.options)
