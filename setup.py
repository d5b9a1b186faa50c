import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

setup(
    name='ca-hrnet-plugin',
    version=re.search(r"__version__ = '(.+)'", (HERE / 'ca_hrnet_plugin/__init__.py').read_text())[1],
    description='Coordinate attention in HRNet, as a plugin for MMPose',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    keywords='human pose estimation, HRNet, coordinate attention, MMPose, OpenMMLab, COCO keypoints',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    packages=find_packages(include=['ca_hrnet_plugin', 'ca_hrnet_plugin.*']),
    # .mim holds links to configs/, tools/ and model-index.yml. A wheel contains the files, for mim search and mim run;
    # an editable install follows the links.
    package_data={
        'ca_hrnet_plugin': [
            '.mim/configs/**/*.py',
            '.mim/configs/metafile.yml',
            '.mim/model-index.yml',
            '.mim/tools/**/*.py',
        ]
    },
    python_requires='>=3.10,<3.14',
    # The package declares no dependencies, so installing it does not change the installed MMPose.
    extras_require={
        'mim': (HERE / 'requirements/mminstall.txt').read_text().split(),
        'export': ['onnx', 'onnxruntime', 'onnxscript', 'openvino'],
    },
    zip_safe=False,
)
