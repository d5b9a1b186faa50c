# HRNet-W32 on COCO at 384x288.
_base_ = './hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, input_size=(288, 384), heatmap_size=(72, 96), sigma=3)
model = dict(head=dict(decoder=codec))

affine = dict(type='TopdownAffine', input_size=codec['input_size'])
train_pipeline = [
    *_base_.loading,
    *_base_.augmentation,
    affine,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [*_base_.loading, affine, dict(type='PackPoseInputs')]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
