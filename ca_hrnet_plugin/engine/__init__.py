from .bfloat16_optim_wrapper import Bfloat16OptimWrapper
from .channels_last_hook import ChannelsLastHook
from .compile_blocks_hook import CompileBlocksHook, compile_blocks

__all__ = ['Bfloat16OptimWrapper', 'ChannelsLastHook', 'CompileBlocksHook', 'compile_blocks']
