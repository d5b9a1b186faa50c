import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent


class BuildWithConfigs(build_py):
    """Copies configs and tools to .mim in the package, where MIM looks for them: mim search, mim run."""

    def run(self):
        super().run()
        if not self.editable_mode:  # then they are beside the package
            folder = Path(self.build_lib, 'ca_hrnet_plugin/.mim')
            for name in ('configs', 'tools'):
                shutil.copytree(
                    HERE / name, folder / name, ignore=shutil.ignore_patterns('__pycache__'), dirs_exist_ok=True
                )
            shutil.copy(HERE / 'model-index.yml', folder)


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
    package_data={'ca_hrnet_plugin': ['small_hrnet.pth', 'py.typed']},
    cmdclass={'build_py': BuildWithConfigs},
    python_requires='>=3.10,<3.14',
    # The package declares no dependencies, so installing it does not change the installed MMPose.
    extras_require={
        'mim': (HERE / 'requirements/mminstall.txt').read_text().split(),
        'hub': ['huggingface_hub>=0.25', 'safetensors'],
        'export': ['onnx', 'onnxruntime', 'onnxscript', 'openvino'],
    },
    zip_safe=False,
)
