"""Training in bfloat16 on a CPU, which MMEngine's own mixed precision does not support."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmpose.registry import OPTIM_WRAPPERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """MMEngine's ``AmpOptimWrapper`` for a CPU, without the loss scale, which bfloat16 does not need.

    ``--cfg-options optim_wrapper.type=Bfloat16OptimWrapper model.train_cfg.compute_acc=False`` adds it to any config.
    MMPose computes the training accuracy in NumPy, which has no bfloat16. Weights, validation and tests stay in
    float32.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Runs the operators that ``torch.autocast`` chooses in bfloat16."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield
