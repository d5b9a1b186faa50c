# Convolutional block attention (CBAM, Woo et al., ECCV 2018) instead of coordinate attention.
# Only this config needs timm: pip install timm
_base_ = '../ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(ca_cfg=dict(attention=dict(type='timm.layers.cbam.CbamModule', rd_ratio=1 / 16))))
