from .bfloat16_optim_wrapper import Bfloat16OptimWrapper
from .channels_last_hook import ChannelsLastHook

__all__ = ['Bfloat16OptimWrapper', 'ChannelsLastHook']
