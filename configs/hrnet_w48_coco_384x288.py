# The baseline of ca_hrnet_w48_coco_384x288.py.
_base_ = './ca_hrnet_w48_coco_384x288.py'

model = dict(backbone=dict(type='HRNet'))
