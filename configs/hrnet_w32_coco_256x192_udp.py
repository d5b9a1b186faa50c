# The baseline of ca_hrnet_w32_coco_256x192_udp.py.
_base_ = './ca_hrnet_w32_coco_256x192_udp.py'

model = dict(backbone=dict(type='HRNet'))
