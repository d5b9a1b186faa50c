# Convolutional block attention in the place of coordinate attention.
_base_ = './ca_hrnet_w16_128x96.py'

model = dict(backbone=dict(ca_cfg=dict(attention=dict(type='ca_hrnet_plugin.models.CBAM', reduction=16))))
