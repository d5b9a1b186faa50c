"""Which features a version of torch has: the plugin also runs with older versions."""

import pytest
import torch
from mmengine.utils import digit_version


def has_torch(version: str) -> bool:
    return digit_version(torch.__version__) >= digit_version(version)


def since_torch(version: str, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not has_torch(version), reason=f'needs torch {version}: {what}')
