# Fine-tunes a stock HRNet-W32, trained on COCO, as CA-HRNet for a few epochs. To start from your own checkpoint:
#   mim train mmpose configs/ca_hrnet_w32_coco_256x192_finetune.py --cfg-options load_from=my_hrnet_w32.pth
_base_ = './hrnet_w32_coco_256x192_finetune.py'

# Attention starts as identity, so training starts from the AP of the stock network. All layers train, because attention
# rescales the residual branch of its block, and the convolutions around it have to adapt.
model = dict(backbone=dict(type='CAHRNet'))
