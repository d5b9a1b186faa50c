# CA-HRNet-W32 trained on COCO and tested on OCHuman in ground-truth boxes. See docs/datasets.md.
_base_ = './hrnet_w32_ochuman_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
