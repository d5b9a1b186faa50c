# CA-HRNet-W32 trained on COCO and tested on OCHuman in detected boxes. See docs/datasets.md.
_base_ = './hrnet_w32_ochuman_256x192_detected.py'

model = dict(backbone=dict(type='CAHRNet'))
