# What the same further epochs give stock HRNet: the baseline of ca_hrnet_w32_coco_256x192_finetune.py.
_base_ = './ca_hrnet_w32_coco_256x192_finetune.py'

model = dict(backbone=dict(type='HRNet'))
