# A narrow HRNet at low resolution, trained from scratch: for two CPU cores, trials and tests.
_base_ = './hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)
model = dict(
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=(16, 32)),
            stage3=dict(num_modules=2, num_channels=(16, 32, 64)),
            stage4=dict(num_modules=2, num_channels=(16, 32, 64, 128)),
        ),
        init_cfg=None,  # no weights exist for this width: layers start as PyTorch initialises them
    ),
    head=dict(in_channels=16, decoder=codec),
)

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
