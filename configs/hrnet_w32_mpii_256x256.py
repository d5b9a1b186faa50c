# HRNet-W32 on MPII with MMPose's protocol. See docs/datasets.md.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/mpii/td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py'
custom_imports = dict(imports=['ca_hrnet_plugin'], allow_failed_imports=False)

data_root = '{{$CA_HRNET_DATA:data}}/mpii/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = test_dataloader = dict(
    dataset=dict(data_root=data_root, headbox_file=data_root + 'annotations/mpii_gt_val.mat')
)
