# Squeeze-and-excitation (SE, Hu et al., CVPR 2018) instead of coordinate attention.
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_cfg=dict(attention=dict(type='mmpose.models.backbones.utils.SELayer', ratio=16))))
