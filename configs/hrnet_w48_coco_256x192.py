# HRNet-W48 on COCO.
_base_ = ['./hrnet_w32_coco_256x192.py', './_base_/hrnet_w48.py']

model = _base_.hrnet_w48
