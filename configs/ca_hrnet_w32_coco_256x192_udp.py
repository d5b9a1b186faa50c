# CA-HRNet-W32 on COCO with unbiased data processing (UDP, Huang et al., CVPR 2020).
_base_ = './ca_hrnet_w32_coco_256x192.py'

codec = dict(_base_.codec, type='UDPHeatmap')
model = dict(head=dict(decoder=codec), test_cfg=dict(shift_heatmap=False))

train_pipeline, val_pipeline = _base_.train_pipeline, _base_.val_pipeline
train_pipeline[-3] = val_pipeline[-2] = dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True)
train_pipeline[-2] = dict(type='GenerateTarget', encoder=codec)
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
