# Attention squeezed to a 16th of its channels, where the paper's config has a 32nd.
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_cfg=dict(reduction=16)))
