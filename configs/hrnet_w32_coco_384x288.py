# HRNet-W32 on COCO at 384x288.
_base_ = './hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, input_size=(288, 384), heatmap_size=(72, 96), sigma=3)
model = dict(head=dict(decoder=codec))

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
for transform in train_pipeline + val_pipeline:
    if transform['type'] == 'TopdownAffine':
        transform['input_size'] = codec['input_size']
    elif transform['type'] == 'GenerateTarget':
        transform['encoder'] = codec
del transform
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
