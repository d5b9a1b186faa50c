# Reduction 8: attention is squeezed to 1/8 of its channels, where the base config has 1/32.
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_cfg=dict(attention=dict(type='CoordAttention', reduction=8))))
