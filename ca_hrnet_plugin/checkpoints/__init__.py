from .loaders import register_loaders, restore_mmengine_loaders

__all__ = ['register_loaders', 'restore_mmengine_loaders']
