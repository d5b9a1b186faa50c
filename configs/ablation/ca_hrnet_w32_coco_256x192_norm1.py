# Attention after norm1 and its ReLU instead of after norm2.
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_cfg=dict(ca_after='norm1')))
