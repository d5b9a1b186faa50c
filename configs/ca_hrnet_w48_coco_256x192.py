# CA-HRNet-W48 on COCO.
_base_ = './hrnet_w48_coco_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
