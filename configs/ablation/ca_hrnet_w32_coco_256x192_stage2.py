# Attention in stage 2 only.
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_stages=(2,)))
