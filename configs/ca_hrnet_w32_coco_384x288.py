# CA-HRNet-W32 on COCO at 384x288.
_base_ = './hrnet_w32_coco_384x288.py'

model = dict(backbone=dict(type='CAHRNet'))
