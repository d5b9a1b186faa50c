# From a stock HRNet-W32 trained on COCO to CA-HRNet in a few epochs. Another checkpoint than MMPose's own:
#   mim train mmpose configs/ca_hrnet_w32_coco_256x192_finetune.py --cfg-options load_from=my_hrnet_w32.pth
_base_ = './hrnet_w32_coco_256x192_finetune.py'

# Attention starts as identity: the first step starts from the AP of the stock network. Then every layer learns, because
# attention rescales what its block adds, and the convolutions around it have to follow.
model = dict(backbone=dict(type='CAHRNet'))
