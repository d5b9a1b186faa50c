"""What HRNet takes on trust about its stages, checked, so that a slip in a config ends in a line that names it."""

from collections.abc import Mapping

from mmpose.models.backbones.hrnet import HRNet

STAGE_KEYS = ('num_modules', 'num_branches', 'block', 'num_blocks', 'num_channels')


def check_stages(extra: Mapping[str, Mapping]) -> None:
    """Checks ``extra`` of a backbone config.

    Raises:
        ValueError: A stage or one of its keys is missing, its block is unknown, or it has not as many branches as its
            number says, each with its blocks and channels.
    """
    for number in range(1, 5):
        name = f'stage{number}'
        if name not in extra:
            raise ValueError(f'extra of CAHRNet has no {name}: give stage1 to stage4')
        stage = extra[name]
        for key in STAGE_KEYS:
            if key not in stage:
                raise ValueError(f'{name} of CAHRNet has no {key}: give {", ".join(STAGE_KEYS)}')
        if stage['block'] not in HRNet.blocks_dict:  # another plugin may have added blocks
            raise ValueError(f'block={stage["block"]!r} in {name} of CAHRNet: give one of {tuple(HRNet.blocks_dict)}')
        if stage['num_branches'] != number:
            raise ValueError(f'num_branches={stage["num_branches"]!r} in {name} of CAHRNet: give {number}')
        for key in ('num_blocks', 'num_channels'):
            if len(stage[key]) != number:
                raise ValueError(f'{key}={stage[key]!r} in {name} of CAHRNet: give {number}, one a branch')
