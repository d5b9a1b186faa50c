import pytest

from ca_hrnet_plugin.preflight import check_config

PARTS = dict(all=list(range(17)), face=[0, 1, 2])


def problems(config):
    return [line for line in check_config(config).problems if 'is no figure' in line]


@pytest.mark.parametrize('figure', ['coco/AP', 'coco/AP (M)', 'coco/AR .75', 'coco/AP (crowd easy)', 'auto', None])
def test_a_figure_of_the_evaluator_may_choose_the_best_checkpoint(config, coco, figure):
    config.val_evaluator.type = 'CrowdCocoMetric'
    config.default_hooks.checkpoint.save_best = figure
    assert check_config(config).problems == []


@pytest.mark.parametrize('figure', ['PCK', 'AP', 'crowdpose/AP', 'coco/mAP', 'coco/AP (crowd easy)', 'coco/AP (foo)'])
def test_a_figure_that_no_evaluator_gives_is_a_problem(config, coco, figure):
    """MMEngine would raise a KeyError after the first validation."""
    config.val_evaluator.type = 'CocoMetric'
    config.default_hooks.checkpoint.save_best = figure
    (line,) = problems(config)
    assert f'default_hooks.checkpoint.save_best={figure!r}' in line and "'coco/AP'" in line


@pytest.mark.parametrize(
    ('metric', 'figures'),
    [
        (dict(type='PCKAccuracy', norm_item=['bbox', 'torso']), {'PCK', 'tPCK'}),
        (dict(type='AUC', prefix='hand'), {'hand/AUC'}),
        (dict(type='NME', norm_mode='keypoint_distance'), {'NME'}),
        (dict(type='EPE'), {'EPE'}),
        (dict(type='KeypointPartitionMetric', metric=dict(type='EPE'), partitions=PARTS), {'all/EPE', 'face/EPE'}),
        (dict(type='CocoMetric', iou_type='keypoints_crowd', prefix='crowdpose'), {'crowdpose/AP(E)'}),
        (dict(type='CocoWholeBodyMetric'), {'coco-wholebody/AP'}),
        (dict(type='MpiiPCKAccuracy'), {'PCK', 'Wrist PCK', 'PCK@0.1'}),
        (dict(type='JhmdbPCKAccuracy', norm_item=['bbox', 'torso']), {'PCK', 'tPCK', 'Elb tPCK'}),
    ],
)
def test_each_metric_of_mmpose_gives_its_figures(config, metric, figures):
    config.val_evaluator = [config.val_evaluator, metric]
    names = ['PCK', 'PCKh', 'tPCK', 'AUC', 'hand/AUC', 'NME', 'EPE', 'all/EPE', 'face/EPE', 'crowdpose/AP(E)']
    names += ['coco-wholebody/AP', 'Wrist PCK', 'PCK@0.1', 'Elb tPCK']
    config.default_hooks.checkpoint.save_best = names
    assert len(problems(config)) == len(names) - len(figures)
    assert not [name for name in figures if f'={name!r}' in str(problems(config))]


def test_hooks_and_schedules_monitor_figures_too(config):
    config.custom_hooks = [
        dict(type='EarlyStoppingHook', monitor='coco/AP'),
        dict(type='EarlyStoppingHook', monitor='AP'),
        dict(type='CheckpointHook', save_best='PCK'),
    ]
    config.param_scheduler = [dict(type='LinearLR'), dict(type='ReduceOnPlateauLR')]
    early, best, schedule = problems(config)
    assert "custom_hooks.1.monitor='AP'" in early and "custom_hooks.2.save_best='PCK'" in best
    assert "param_scheduler.monitor='loss'" in schedule
    config.val_cfg = None
    assert problems(config) == []


@pytest.mark.parametrize(
    ('metric', 'figure', 'rule', 'right'),
    [
        (dict(type='EPE'), 'EPE', 'greater', 'less'),
        (dict(type='NME', norm_mode='keypoint_distance'), 'auto', None, 'less'),
        (dict(type='PCKAccuracy'), 'auto', None, 'greater'),
        (dict(type='PCKAccuracy'), ['PCK'], ['less'], 'greater'),
    ],
)
def test_a_rule_that_keeps_the_worst_checkpoint_or_cannot_be_inferred_is_a_problem(
    config, coco, metric, figure, rule, right
):
    config.val_evaluator = metric
    config.default_hooks.checkpoint.update(save_best=figure, rule=rule)
    (line,) = check_config(config).problems
    assert line.startswith('default_hooks.checkpoint ') and line.endswith(f": give rule='{right}'")
    config.default_hooks.checkpoint.rule = right
    assert check_config(config).problems == []
    config.val_evaluator = dict(type='AUC')
    config.default_hooks.checkpoint.update(save_best='AUC', rule=None)
    assert check_config(config).problems == [], 'MMEngine infers it'


def test_a_schedule_takes_a_higher_ap_for_better(config, coco):
    config.param_scheduler = [dict(type='ReduceOnPlateauLR', monitor='coco/AP')]
    (line,) = check_config(config).problems
    assert line == "param_scheduler has rule='less' for 'coco/AP': give rule='greater'"
    config.param_scheduler[0].rule = 'greater'
    assert check_config(config).problems == []


@pytest.mark.parametrize(('part', 'purpose'), [('val', 'train'), ('test', 'test')])
def test_metrics_with_the_same_figures_are_a_problem(config, coco, part, purpose):
    """MMEngine would raise a ValueError after the first validation, or at the end of a test."""
    metric = config[f'{part}_evaluator']
    config[f'{part}_evaluator'] = [metric, dict(metric, nms_mode='none')]
    (line,) = check_config(config, purpose).problems
    assert f"'coco/AP' is a figure of two metrics of {part}_evaluator" in line
    config[f'{part}_evaluator'][1].prefix = 'without nms'
    assert check_config(config, purpose).problems == []


def test_evaluators_whose_figures_are_unknown_are_not_judged(config, coco):
    config.default_hooks.checkpoint.save_best = 'posetrack18/Total AP'
    for evaluator in (dict(type='PoseTrack18Metric', ann_file=str(coco.val)), [], dict(type='MPJPE')):
        config.val_evaluator = evaluator
        assert not problems(config)
