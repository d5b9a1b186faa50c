# The small HRNet that comes with this project, trained from scratch on photographs and drawn people. make small_hrnet
# draws the people and trains it: docs/small_hrnet.md.
_base_ = '../hrnet_w16_coco_128x96.py'

# Distribution-aware coordinates, because a cell of these heatmaps covers four pixels.
codec = dict(_base_.codec, unbiased=True)
model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(1,), num_channels=(32,)),
            stage2=dict(num_blocks=(2, 2)),
            stage3=dict(num_modules=1, num_blocks=(2, 2, 2)),
            stage4=dict(num_modules=1, num_blocks=(2, 2, 2, 2)),
        )
    ),
    head=dict(decoder=codec),
    train_cfg=dict(compute_acc=False),  # not supported in bfloat16
)

# Few photographs for many epochs: colours change too.
train_pipeline = [
    *_base_.loading,
    *_base_.augmentation,
    _base_.affine,
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
photographs = dict(_base_.train_dataloader.dataset, pipeline=[])
drawn_people = dict(photographs, data_root='{{$CA_HRNET_DATA:data}}/drawn/')
# Persistent workers would delay the end by 5 seconds each if another loader was started after them.
train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type='CombinedDataset',
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
        datasets=[photographs, drawn_people],
        sample_ratio_factor=[1, 0.15],
        pipeline=train_pipeline,
    ),
)
# Less margin than the usual 1.25, so that people are larger in these small crops. AP on photographs is 2 higher.
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    _base_.affine,
    dict(type='PackPoseInputs'),
]
# Ground-truth boxes, so that tests measure poses alone.
val_dataloader = test_dataloader = dict(
    batch_size=64, persistent_workers=False, dataset=dict(bbox_file=None, pipeline=val_pipeline)
)

optim_wrapper = dict(type='Bfloat16OptimWrapper', optimizer=dict(type='AdamW', lr=2.5e-3, weight_decay=0.01))
train_cfg = dict(max_epochs=140, val_interval=10)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=5, start_factor=0.02, by_epoch=True, convert_to_iter_based=True),
    dict(
        type='CosineRestartLR',
        begin=5,
        end=140,
        periods=[55, 80],
        restart_weights=[1, 0.6],
        eta_min_ratio=1e-3,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
# The average includes the statistics of norms, which would otherwise be those of other weights.
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.001, update_buffers=True, priority=49),
]

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best=None),
    layout=dict(type='ChannelsLastHook'),
)
randomness = dict(seed=0)
