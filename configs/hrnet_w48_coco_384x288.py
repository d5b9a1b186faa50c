# HRNet-W48 on COCO at 384x288.
_base_ = ['./hrnet_w32_coco_384x288.py', './_base_/hrnet_w48.py']

model = _base_.hrnet_w48
