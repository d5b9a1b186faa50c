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
    packages=find_packages(include=['ca_hrnet_plugin', 'ca_hrnet_plugin.*']),
    # What .mim holds is links to configs/, tools/ and model-index.yml: a wheel carries the files, for mim search and
    # mim run; an editable install follows.
    package_data={
        'ca_hrnet_plugin': [
            '.mim/configs/**/*.py',
            '.mim/configs/metafile.yml',
            '.mim/model-index.yml',
            '.mim/tools/**/*.py',
        ]
    },
    python_requires='>=3.10,<3.14',
    # Nothing outright: the plugin goes beside an MMPose that is there, and changes no version of it.
    extras_require={
        'mim': (HERE / 'requirements/mminstall.txt').read_text().split(),
        'check': ['pydantic>=2.8'],
        'export': ['onnx', 'onnxruntime', 'onnxscript', 'openvino'],
    },
    zip_safe=False,
)
