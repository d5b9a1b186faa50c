# CA-HRNet-W32 on COCO at 384x288.
_base_ = './ca_hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, input_size=(288, 384), heatmap_size=(72, 96), sigma=3)
model = dict(head=dict(decoder=codec))

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
train_pipeline[-3] = val_pipeline[-2] = dict(type='TopdownAffine', input_size=codec['input_size'])
train_pipeline[-2] = dict(type='GenerateTarget', encoder=codec)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
