# CA-HRNet whose second norms learn at the rate of HRNet's: the warm start multiplies them by 4, and a step of Adam is
# as large for a large weight as for a small one.
_base_ = './ca_hrnet_w16_128x96.py'

# The longest key that a parameter's name holds is the one that counts: blocks without attention keep their rate.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'bn2': dict(lr_mult=4), 'layer1': dict(lr_mult=1), 'backbone.bn2': dict(lr_mult=1)})
)
