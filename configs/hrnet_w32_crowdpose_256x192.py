# HRNet-W32 on CrowdPose with MMPose's protocol, also evaluated by crowd level. See docs/datasets.md.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/crowdpose/td-hm_hrnet-w32_8xb64-210e_crowdpose-256x192.py'
custom_imports = dict(imports=['ca_hrnet_plugin'], allow_failed_imports=False)

data_root = '{{$CA_HRNET_DATA:data}}/crowdpose/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = test_dataloader = dict(
    dataset=dict(data_root=data_root, bbox_file=data_root + 'annotations/det_for_crowd_test_0.1_0.5.json')
)
val_evaluator = test_evaluator = dict(
    type='CrowdCocoMetric', ann_file=data_root + 'annotations/mmpose_crowdpose_test.json'
)
