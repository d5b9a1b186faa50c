# CA-HRNet-W48 on COCO at 384x288.
_base_ = './hrnet_w48_coco_384x288.py'

model = dict(backbone=dict(type='CAHRNet'))
