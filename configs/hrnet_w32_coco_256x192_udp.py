# HRNet-W32 on COCO with unbiased data processing (UDP, Huang et al., CVPR 2020).
_base_ = './hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, type='UDPHeatmap')
model = dict(head=dict(decoder=codec), test_cfg=dict(shift_heatmap=False))

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
for transform in train_pipeline + val_pipeline:
    if transform['type'] == 'TopdownAffine':
        transform['use_udp'] = True
    elif transform['type'] == 'GenerateTarget':
        transform['encoder'] = codec
del transform
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
