# Attention after both norms of a block.
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_cfg=dict(ca_after=('norm1', 'norm2'))))
