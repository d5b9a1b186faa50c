import contextlib
import copy
import io
import json

import numpy as np
import pytest
from coco_stats import coco_stats
from random_people import make_annotations, make_detections
from scipy import stats
from xtcocotools.coco import COCO

from ca_hrnet_plugin.evaluation import AREAS, SplitEval, evaluate_results, level_splits, paired_bootstrap
from ca_hrnet_plugin.evaluation.paired_bootstrap import ResampledCurves, Variance, over_runs


def copies(dataset, detections, multiplicities):
    """The data set with a number of copies of each image, next to each other and with their own ids."""
    images, annotations, more_detections = [], [], []
    for image, times in zip(dataset['images'], multiplicities, strict=True):
        for _ in range(times):
            image_id = len(images) + 1
            images.append(dict(image, id=image_id))
            annotations += [
                dict(ann, image_id=image_id, id=len(annotations) + index)
                for index, ann in enumerate(
                    (ann for ann in dataset['annotations'] if ann['image_id'] == image['id']), start=1
                )
            ]
            more_detections += [dict(det, image_id=image_id) for det in detections if det['image_id'] == image['id']]
    return dict(dataset, images=images, annotations=annotations), more_detections


def let_scores_tie_across_images(detections, rng):
    for image_id in {detection['image_id'] for detection in detections}:
        of_image = [detection for detection in detections if detection['image_id'] == image_id]
        for detection, score in zip(of_image, rng.choice(50, len(of_image), replace=False), strict=True):
            detection['score'] = score / 50


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    """Two results on the same images, the second a little worse, evaluated."""
    rng, ann_file = np.random.default_rng(7), tmp_path_factory.mktemp('pair') / 'gt.json'
    dataset = make_annotations(120, 3, rng)
    ann_file.write_text(json.dumps(dataset))
    return [evaluate_results(ann_file, make_detections(dataset, noise, 2, rng), AREAS) for noise in (0.06, 0.10)]


@pytest.mark.parametrize('ties', [False, True])
def test_an_image_drawn_again_counts_as_a_copy_of_it_does_in_coco_eval(write_json, ties):
    rng = np.random.default_rng(0)
    dataset = make_annotations(60, 3, rng)
    detections = make_detections(dataset, 0.08, 2, rng)
    if ties:
        let_scores_tie_across_images(detections, rng)
    drawn = np.bincount(rng.integers(60, size=60), minlength=60)
    assert 0 in drawn and drawn.max() > 2

    evaluation = evaluate_results(write_json('gt.json', dataset), detections)
    for multiplicities in (drawn, np.ones(60, int)):
        resampled = ResampledCurves(evaluation).figures(multiplicities.astype(float))
        copied, more_detections = copies(dataset, detections, multiplicities)
        ann_file = write_json('copies.json', copied)
        assert list(resampled.values())[:10] == pytest.approx(coco_stats(ann_file, more_detections), abs=1e-12)
        physical = evaluate_results(ann_file, more_detections).figures()
        assert resampled == pytest.approx({name: physical[name] for name in resampled}, abs=1e-12)


def test_the_interval_covers_the_true_difference_as_often_as_it_says(write_json):
    # A population of images stands for the truth; data sets are drawn from it, and each gives an interval.
    num_population, num_datasets, num_images = 600, 150, 60
    rng = np.random.default_rng(11)
    dataset = make_annotations(num_population, 1.5, rng)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(write_json('gt.json', dataset))
    everybody = level_splits(dict(all=0), {}, {})
    population = []
    for noise in (0.06, 0.07):
        with contextlib.redirect_stdout(io.StringIO()):
            detections = coco.loadRes(make_detections(dataset, noise, 0.5, rng))
        evaluation = SplitEval(coco, detections, everybody)
        evaluation.params.iouThrs = np.array([0.5, 0.75])
        population.append(evaluation.run())
    truth = np.subtract(*(evaluation.figures()['AP (crowd all)'] for evaluation in population[::-1]))

    def drawn(evaluation, images):
        dataset = copy.copy(evaluation)
        dataset.params = copy.copy(evaluation.params)
        dataset.params.imgIds = list(range(len(images)))
        dataset.evalImgs = [evaluation.evalImgs[image] for image in images]
        return dataset

    num_covered = 0
    for dataset_seed in range(num_datasets):
        images = rng.integers(num_population, size=num_images)
        pair = (drawn(evaluation, images) for evaluation in population)
        interval = paired_bootstrap(*pair, num_resamples=100, seed=dataset_seed)['AP (crowd all)']
        num_covered += interval.low <= truth <= interval.high

    # Intervals a quarter too narrow, as without repeated images, would cover 0.86. Standard error: 0.018.
    assert 0.9 <= num_covered / num_datasets <= 0.985


def test_the_difference_is_that_of_the_figures_and_a_seed_repeats_it(pair):
    baseline, other = (evaluation.figures() for evaluation in pair)

    first, same, another = (paired_bootstrap(*pair, num_resamples=20, seed=seed) for seed in (1, 1, 2))
    assert first['AP'].high < 0, 'the second is worse'
    for name in first.keys() & other.keys():
        assert first[name].difference == pytest.approx(other[name] - baseline[name], abs=1e-12)
    assert first['AP'] == same['AP'] != another['AP']


@pytest.mark.parametrize(('num_runs', 'deviation_of_runs'), [(3, 0), (3, 4), (5, 1)])
def test_the_interval_over_runs_and_images_covers_the_truth_as_often(num_runs, deviation_of_runs):
    # Each image and each run has its own difference, and only some of both are drawn. The truth is 0.
    rng, num_images = np.random.default_rng(0), 100
    num_covered, num_trials = 0, 2000
    for _ in range(num_trials):
        images = 10 * rng.normal(size=num_images)  # of deviation 1 in their mean
        runs = deviation_of_runs * rng.normal(size=num_runs)
        interval = over_runs(runs + images.mean(), Variance('images', images.var(ddof=1) / num_images, num_images - 1))
        num_covered += interval.low <= 0 <= interval.high

    # Percentiles of resampled runs cover 0.75 to 0.85 where runs vary more than images.
    assert 0.94 <= num_covered / num_trials <= 0.98


def test_several_runs_are_compared_by_their_means(pair):
    alone = paired_bootstrap(*pair, num_resamples=100)['AP']
    agreeing = paired_bootstrap([pair[0]] * 3, [pair[1]] * 3, num_resamples=100)['AP']
    assert agreeing[:3] == pytest.approx(alone[:3], abs=0.2 * abs(alone.difference))
    disagreeing = paired_bootstrap(pair, pair[::-1], num_resamples=100)['AP']
    assert disagreeing.difference == pytest.approx(0, abs=1e-12)
    # With two runs, t has one degree of freedom, and its factor is 12.7.
    assert disagreeing.high == pytest.approx(stats.t.ppf(0.975, 1) * abs(alone.difference), rel=0.1)
    with pytest.raises(ValueError, match='1 runs cannot be paired with 2'):
        paired_bootstrap(pair[0], pair)


def test_folds_that_disagree_widen_the_interval(write_json):
    rng = np.random.default_rng(3)
    dataset = make_annotations(120, 3, rng)
    better, worse = (make_detections(dataset, noise, 0, rng) for noise in (0.06, 0.10))
    folds = [image['id'] % 4 for image in dataset['images']]

    def half_width(better_in, **options):
        baseline = [detection for detection in worse if detection['image_id'] % 4 in better_in]
        baseline += [detection for detection in better if detection['image_id'] % 4 not in better_in]
        other = [detection for detection in better if detection['image_id'] % 4 in better_in]
        other += [detection for detection in worse if detection['image_id'] % 4 not in better_in]
        pair = [evaluate_results(write_json('gt.json', dataset), results, AREAS) for results in (baseline, other)]
        interval = paired_bootstrap(*pair, num_resamples=100, **options)['AR']
        return interval.difference, interval.high - interval.difference

    gain, over_images = half_width([0, 1, 2, 3])
    assert half_width([0, 1, 2, 3], folds=folds)[1] < 3 * over_images
    mixed_gain, over_folds = half_width([0, 1], folds=folds)
    # Two folds have the gain and two as much loss: t with 3 degrees of freedom over the error of a mean of four.
    assert mixed_gain == pytest.approx(0, abs=gain / 5)
    assert over_folds == pytest.approx(stats.t.ppf(0.975, 3) * gain / 3**0.5, rel=0.2)
    with pytest.raises(ValueError, match='the fold of each of 120 images'):
        half_width([0], folds=[0, 1])


def test_a_difference_without_spread_or_with_few_images_has_no_interval(pair, write_json):
    same = paired_bootstrap(pair[0], pair[0], num_resamples=20)['AP']
    dataset = make_annotations(20, 1, np.random.default_rng(9))
    dataset['annotations'] = [person for person in dataset['annotations'] if person['image_id'] <= 2]
    ann_file = write_json('few.json', dataset)
    results = [make_detections(dataset, noise, 1, np.random.default_rng(9)) for noise in (0, 1)]
    few = [evaluate_results(ann_file, detections, AREAS) for detections in results]
    two_images = paired_bootstrap(*few, num_resamples=100)['AP']
    assert same.difference == 0 > two_images.difference
    assert not same.is_known
    assert not two_images.is_known


@pytest.mark.parametrize('options', [dict(), dict(splits=level_splits()), dict(sigmas=[0.05] * 17)])
def test_results_evaluated_differently_are_refused_in_one_line(write_json, options):
    dataset = make_annotations(10, 2, np.random.default_rng(10))
    detections = make_detections(dataset, 0.1, 1, np.random.default_rng(10))
    first = evaluate_results(write_json('gt.json', dataset), detections)
    if not options:
        dataset['images'].append(dict(id=99, width=640, height=480))
    second = evaluate_results(write_json('other.json', dataset), detections, **options)
    with pytest.raises(ValueError, match='same images, instances and splits') as error:
        paired_bootstrap(first, second)
    assert '\n' not in str(error.value)
