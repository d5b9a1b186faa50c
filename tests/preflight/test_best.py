import pytest

from ca_hrnet_plugin.preflight import check_config


@pytest.mark.parametrize('figure', ['coco/AP', 'coco/AP (M)', 'coco/AR .75', 'auto', None])
def test_a_figure_of_the_evaluator_may_choose_the_best_checkpoint(config, coco, figure):
    config.default_hooks.checkpoint.save_best = figure
    assert check_config(config).problems == []


@pytest.mark.parametrize('figure', ['PCK', 'AP', 'crowdpose/AP', 'coco/mAP'])
def test_a_figure_that_no_evaluator_gives_is_a_problem(config, coco, figure):
    """MMEngine would raise a KeyError after the first validation."""
    config.default_hooks.checkpoint.save_best = figure
    (line,) = check_config(config).problems
    assert f'save_best={figure!r}' in line and "'coco/AP'" in line


def test_evaluators_whose_figures_are_unknown_are_not_judged(config, coco):
    config.default_hooks.checkpoint.save_best = 'posetrack18/Total AP'
    for evaluator in (dict(type='PoseTrack18Metric', ann_file=str(coco.val)), [], dict(type='EPE')):
        config.val_evaluator = evaluator
        assert not [line for line in check_config(config).problems if 'save_best' in line]
