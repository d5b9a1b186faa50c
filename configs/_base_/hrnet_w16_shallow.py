# The depth of the smallest networks, of 1.3 M parameters, for hrnet_w16_coco_128x96.
# Not called model, because MMEngine allows a name in one base alone.
shallow = dict(
    stage1=dict(num_blocks=(1,), num_channels=(32,)),
    stage2=dict(num_blocks=(2, 2)),
    stage3=dict(num_modules=1, num_blocks=(2, 2, 2)),
    stage4=dict(num_modules=1, num_blocks=(2, 2, 2, 2)),
)
