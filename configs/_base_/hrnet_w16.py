# A narrow HRNet of fewer modules, from scratch: this width has no weights, and layers start as PyTorch has them.
# Not called model, because MMEngine allows a name in one base alone.
hrnet_w16 = dict(
    backbone=dict(
        extra=dict(
            stage2=dict(num_channels=(16, 32)),
            stage3=dict(num_modules=2, num_channels=(16, 32, 64)),
            stage4=dict(num_modules=2, num_channels=(16, 32, 64, 128)),
        ),
        init_cfg=None,
    ),
    head=dict(in_channels=16),
)
