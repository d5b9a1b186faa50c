# A narrow CA-HRNet at low resolution, from scratch: for two CPU cores, trials and tests.
_base_ = ['./ca_hrnet_w32_coco_256x192.py', './_base_/hrnet_w16.py']

codec = dict(_base_.codec, input_size=(96, 128), heatmap_size=(24, 32), sigma=1.5)
model = _base_.pop('hrnet_w16')
model['head']['decoder'] = codec

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
train_pipeline[-3] = val_pipeline[-2] = dict(type='TopdownAffine', input_size=codec['input_size'])
train_pipeline[-2] = dict(type='GenerateTarget', encoder=codec)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
