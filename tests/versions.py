"""What older versions of torch and OpenCV lack, beside which the plugin runs too."""

import cv2
import pytest
import torch
from mmengine.utils import digit_version

needs_opencv_5 = pytest.mark.skipif(
    not hasattr(cv2, 'triangleRasterize'), reason='needs OpenCV 5, which draws triangles'
)


def has_torch(version: str) -> bool:
    return digit_version(torch.__version__) >= digit_version(version)


def since_torch(version: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not has_torch(version), reason=f'needs torch {version}: {what}')
