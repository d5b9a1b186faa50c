# A narrow HRNet at low resolution on Leeds Sports Pose Extended: a run of half an hour on a CPU core.
_base_ = ['./hrnet_w32_lsp_256x192.py', '../_base_/hrnet_w16.py']

codec = dict(_base_.codec, input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)
model = _base_.hrnet_w16
model['head']['decoder'] = codec

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
for transform in train_pipeline + val_pipeline:
    if transform['type'] == 'TopdownAffine':
        transform['input_size'] = codec['input_size']
    elif transform['type'] == 'GenerateTarget':
        transform['encoder'] = codec
del transform
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))

train_cfg = dict(max_epochs=10, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=10, milestones=[7, 9], gamma=0.1, by_epoch=True),
]
