# The baseline of ca_hrnet_w32_coco_256x192_dark.py.
_base_ = './ca_hrnet_w32_coco_256x192_dark.py'

model = dict(backbone=dict(type='HRNet'))
