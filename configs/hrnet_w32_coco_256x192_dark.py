# HRNet-W32 on COCO with distribution-aware coordinates (DARK, Zhang et al., CVPR 2020).
_base_ = './hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, unbiased=True)
model = dict(head=dict(decoder=codec))

train_pipeline = [
    *_base_.loading,
    *_base_.augmentation,
    _base_.affine,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
