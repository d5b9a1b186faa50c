"""What HRNet takes on trust about its stages, checked, so that a slip in a config ends in a line that names it."""

from collections.abc import Mapping, Sequence

from mmpose.models.backbones.hrnet import HRNet

STAGE_KEYS = ('num_modules', 'num_branches', 'block', 'num_blocks', 'num_channels')


def check_stages(extra: Mapping[str, Mapping]) -> None:
    """Checks ``extra`` of a backbone config.

    Raises:
        ValueError: A stage or one of its keys is missing, its block is unknown, a number of something is not a positive
            integer, or it has not as many branches as its number says, each with its blocks and channels.
    """
    for number in range(1, 5):
        name = f'stage{number}'
        if not isinstance(extra, Mapping) or not isinstance(extra.get(name), Mapping):
            raise ValueError(f'extra of CAHRNet has no {name}: give a dict of stage1 to stage4')
        stage = extra[name]
        for key in STAGE_KEYS:
            if key not in stage:
                raise ValueError(f'{name} of CAHRNet has no {key}: give {", ".join(STAGE_KEYS)}')
        if stage['block'] not in HRNet.blocks_dict:  # another plugin may have added blocks
            raise ValueError(f'block={stage["block"]!r} in {name} of CAHRNet: give one of {tuple(HRNet.blocks_dict)}')
        if stage['num_branches'] != number:
            raise ValueError(f'num_branches={stage["num_branches"]!r} in {name} of CAHRNet: give {number}')
        if not _are_counts([stage['num_modules']]):
            raise ValueError(f'num_modules={stage["num_modules"]!r} in {name} of CAHRNet: give a positive integer')
        for key in ('num_blocks', 'num_channels'):
            if not _are_counts(stage[key]) or len(stage[key]) != number:
                raise ValueError(
                    f'{key}={stage[key]!r} in {name} of CAHRNet: give {number}, one a branch, each a positive integer'
                )


def _are_counts(values) -> bool:
    return isinstance(values, Sequence) and all(type(value) is int and value > 0 for value in values)
