"""Training and testing in channels-last memory format."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Stores weights, and thus feature maps, as (N, H, W, C), which can be faster on tensor cores and with oneDNN.

    ``--cfg-options default_hooks.layout.type=ChannelsLastHook`` adds it to any config. Shapes, state dicts and results
    stay the same, except for rounding.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Changes the model's memory format; its inputs follow in the first convolution."""
        is_wrapped = is_model_wrapper(runner.model)
        model = runner.model.module if is_wrapped else runner.model
        model.to(memory_format=torch.channels_last)
        if is_wrapped:
            # DDP gives gradients the memory format that weights had when they were wrapped, which is before any hook.
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
