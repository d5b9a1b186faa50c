# A narrow CA-HRNet at low resolution, trained from scratch: for two CPU cores, trials and tests.
_base_ = './hrnet_w16_coco_128x96.py'

model = dict(backbone=dict(type='CAHRNet'))
