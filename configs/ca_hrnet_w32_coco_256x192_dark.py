# CA-HRNet-W32 on COCO with distribution-aware coordinates.
_base_ = './hrnet_w32_coco_256x192_dark.py'

model = dict(backbone=dict(type='CAHRNet'))
