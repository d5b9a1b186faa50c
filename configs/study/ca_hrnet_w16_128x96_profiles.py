# Gates without any input in the place of coordinate attention: what a position prior alone is good for.
_base_ = './ca_hrnet_w16_128x96.py'

attention = dict(type='ca_hrnet_plugin.models.GateProfiles', map_size=(32, 24), base_channels=16)
model = dict(backbone=dict(warm_start='none', ca_cfg=dict(attention=attention)))
