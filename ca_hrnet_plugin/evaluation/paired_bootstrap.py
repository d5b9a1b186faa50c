"""Intervals of the difference of two networks: a paired bootstrap over images, and the variance of runs or folds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import track
from scipy import stats

from .split_eval import SplitEval, summarize


class Variance(NamedTuple):
    """The variance of a difference by ``source``: ``'images'``, ``'runs'`` or ``'folds'``.

    ``freedom`` is the number of degrees of freedom of its estimate.
    """

    source: str
    value: float
    freedom: int


class Interval(NamedTuple):
    """A difference and the ends of its interval; all are NaN for a level without instances.

    Only the ends are NaN if the resamples give no interval, because some have no instance or all give the same
    difference. ``variances`` are those that the interval covers.
    """

    difference: float
    low: float
    high: float
    variances: tuple[Variance, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether the resamples give an interval."""
        return not np.isnan(self.low)


def paired_bootstrap(
    baseline: SplitEval | Sequence[SplitEval],
    other: SplitEval | Sequence[SplitEval],
    num_resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
    folds: Sequence[int] | None = None,
) -> dict[str, Interval]:
    """The difference of each figure, ``other`` minus ``baseline``, with its interval.

    - With one run each, the interval covers the choice of images, for the same two trained networks. It is the
      percentile interval of a bootstrap.
    - With several runs each, it covers images and runs. The difference is that of the means over runs; its variance is
      the variance over resampled images plus that over runs. Runs are paired in their order, and the runs of a pair
      should share what they can, such as their seed.
    - With one result each that is put together from folds, where each image is tested by the networks of its fold, it
      covers images and folds. Its variance is the larger of the variance over resampled images and that of a jackknife
      over folds, which includes images.

    The last two are intervals of Student's t, because a few runs or folds say little about the variance of all.

    A resample draws as many images as the data set has, with replacement, and the same for both results. An image that
    is drawn twice counts twice, like a copy next to it with its own id. (The only exception: if detections a and b
    of an image have exactly the same score, COCOeval orders the copies a, b, a, b, and here they are a, a, b, b.)

    Args:
        baseline (SplitEval | Sequence[SplitEval]): One or more runs, from :func:`evaluate_results`.
        other (SplitEval | Sequence[SplitEval]): As many runs, from the same annotations and splits.
        num_resamples (int): The number of resamples.
        confidence (float): How often the interval should cover the true difference.
        seed (int): The same seed gives the same intervals.
        progress (bool): Whether to show a progress bar.
        folds (Sequence[int], optional): The fold of each image, in the order of image ids.

    Returns:
        dict[str, Interval]: An interval for each figure of :func:`summarize`.

    Raises:
        ValueError: The two differ in images, instances, splits, settings of OKS or number of runs, or an argument is
            out of range.
    """
    if num_resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f'num_resamples={num_resamples}, confidence={confidence}: give one resample or more, '
            'and a confidence between 0 and 1'
        )
    baselines, others = ([runs] if isinstance(runs, SplitEval) else list(runs) for runs in (baseline, other))
    num_runs = len(baselines)
    if len(others) != num_runs:
        raise ValueError(f'{num_runs} runs cannot be paired with {len(others)}: give the same number')
    curves = [ResampledCurves(evaluation) for evaluation in (*baselines, *others)]
    if not all(curves[0].comparable_to(curve) for curve in curves):
        raise ValueError(
            'the two results were not evaluated on the same images, instances and splits, or not by the same OKS: '
            'evaluate both with one annotation file and the same arguments'
        )
    num_images = len(curves[0].params.imgIds)
    if folds is not None and (num_runs > 1 or len(folds) != num_images or len(set(folds)) < 2):
        raise ValueError(f'folds={folds!r}: give the fold of each of {num_images} images, and one result of all folds')
    names = list(curves[0].figures(np.ones(num_images)))
    rng = np.random.default_rng(seed)

    def differences(images: np.ndarray) -> np.ndarray:
        """The differences of each pair of runs, (runs, figures)."""
        figures = np.array([list(curve.figures(images).values()) for curve in curves])
        figures[figures < 0] = np.nan
        return figures[num_runs:] - figures[:num_runs]

    def draw() -> np.ndarray:
        return np.bincount(rng.integers(num_images, size=num_images), minlength=num_images).astype(float)

    observed = differences(np.ones(num_images))
    resampled = np.array(
        [differences(draw()).mean(0) for _ in track(range(num_resamples), 'paired bootstrap', disable=not progress)]
    )
    if folds is not None:
        without_fold = [differences((folds != fold).astype(float))[0] for fold in np.unique(folds)]
    intervals = {}
    for index, name in enumerate(names):
        values = resampled[:, index]
        difference = observed[:, index].mean()
        if np.isnan(difference) or np.isnan(values).any() or (num_runs == 1 and np.ptp(values) == 0):
            intervals[name] = Interval(float(difference), np.nan, np.nan)
        elif folds is not None:
            jackknifed = [figures[index] for figures in without_fold]
            intervals[name] = _over_folds(difference, values, jackknifed, confidence)
        elif num_runs > 1:
            images = Variance('images', values.var(), num_images - 1)
            intervals[name] = over_runs(observed[:, index], images, confidence)
        else:
            low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
            images = Variance('images', values.var(), num_images - 1)
            intervals[name] = Interval(*map(float, (difference, low, high)), (images,))
    return intervals


def over_runs(differences: np.ndarray, images: Variance | None = None, confidence: float = 0.95) -> Interval:
    """The interval of the mean difference of several runs.

    Args:
        differences (np.ndarray): The difference of each pair of runs, (runs,), at least two.
        images (Variance, optional): The variance of their mean over images, for an interval over runs and images.
        confidence (float): How often the interval should cover the true difference.
    """
    freedom = len(differences) - 1
    runs = Variance('runs', np.var(differences, ddof=1) / len(differences), freedom)
    return _student(np.mean(differences), (runs, images) if images else (runs,), confidence)


def _over_folds(difference: float, values: np.ndarray, jackknifed: Sequence[float], confidence: float) -> Interval:
    """The interval from the differences of resampled images, and from those without each fold."""
    folds = Variance('folds', (len(jackknifed) - 1) * np.var(jackknifed), len(jackknifed) - 1)
    images = Variance('images', values.var(), values.size)
    # The variance over folds includes images. The variance over images is for folds that agree by chance.
    return _student(difference, (max(folds, images, key=lambda variance: variance.value),), confidence)


def _student(difference: float, variances: tuple[Variance, ...], confidence: float) -> Interval:
    """Student's interval of a difference.

    It adds the squares of the half widths that each variance would give by itself. Welch and Satterthwaite's interval,
    which has one t for the sum, covers too little where few runs vary more than images.
    """
    half = sum(stats.t.ppf((1 + confidence) / 2, freedom) ** 2 * value for _, value, freedom in variances) ** 0.5
    return Interval(*map(float, (difference, difference - half, difference + half)), variances)


class ResampledCurves:
    """COCOeval's accumulation with images counted any number of times, from one evaluation.

    COCOeval matches detections within an image, so a resample changes neither matches nor the order of scores, only the
    weight of each image's detections. Precision peaks at true positives, and recall only changes there. So the curve is
    computed only at true positives, from sums of the false positives between them.

    Args:
        evaluation (SplitEval): A finished evaluation.
    """

    def __init__(self, evaluation: SplitEval):
        self.params = evaluation.params
        self.oks = evaluation.params.iouType, evaluation.use_area, tuple(evaluation.sigmas)
        eval_images = evaluation.eval_images
        self.num_gts = np.zeros(eval_images.shape)  # per image, without ignored instances
        self.curves = {}
        for category, split in np.ndindex(eval_images.shape[:2]):
            images, evaluated = [], []
            for image, result in enumerate(eval_images[category, split]):
                if result is not None:
                    self.num_gts[category, split, image] = np.count_nonzero(result['gtIgnore'] == 0)
                    images.append(np.full(len(result['dtIds']), image))
                    evaluated.append(result)
            if evaluated:
                self.curves[category, split] = self._curves(np.concatenate(images), evaluated)

    def figures(self, weights: np.ndarray) -> dict[str, float]:
        """The figures if each image counts ``weights`` times: whole numbers, (images,)."""
        num_categories, num_splits, _ = self.num_gts.shape
        num_gts = self.num_gts @ weights
        recall = np.full((len(self.params.iouThrs), num_categories, num_splits, 1), -1.0)
        precision = np.full((len(self.params.iouThrs), len(self.params.recThrs), num_categories, num_splits, 1), -1.0)
        for (category, split), curves in self.curves.items():
            if num_gts[category, split] == 0:
                continue
            for threshold, (images, true_positives, starts) in enumerate(curves):
                at = threshold, slice(None), category, split, 0
                if not len(starts):
                    recall[threshold, category, split] = precision[at] = 0
                    continue
                num_true = weights[true_positives].cumsum()
                num_detections = np.add.reduceat(weights[images], starts).cumsum()
                # The same operations as in COCOeval.accumulate, for the same last digit.
                recalls = num_true / num_gts[category, split]
                precisions = num_true / (num_detections + np.spacing(1))
                highest_from_here = np.maximum.accumulate(precisions[::-1])[::-1]
                recall[threshold, category, split] = recalls[-1]
                precision[at] = np.append(highest_from_here, 0)[np.searchsorted(recalls, self.params.recThrs)]
        return summarize(self.params, precision, recall)

    def comparable_to(self, other: 'ResampledCurves') -> bool:
        """Whether both have the same images, splits, OKS, thresholds and counted instances."""
        ours, theirs = self.params, other.params
        return (
            ours.imgIds == theirs.imgIds
            and self.oks == other.oks
            and ours.areaRng == theirs.areaRng
            and np.array_equal(ours.iouThrs, theirs.iouThrs)
            and np.array_equal(self.num_gts, other.num_gts)
        )

    @staticmethod
    def _curves(images: np.ndarray, evaluated: list[dict]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each OKS threshold: the images of the counted detections, from the highest score to the last true
        positive; the images of the true positives; and the start of each stretch that ends in a true positive.
        """
        scores = np.concatenate([result['dtScores'] for result in evaluated])
        order = np.argsort(-scores, kind='mergesort')  # as COCOeval sorts: equal scores stay in order
        images = images[order]
        matched = np.concatenate([result['dtMatches'] >= 0 for result in evaluated], axis=1)[:, order]
        counts = np.concatenate([result['dtIgnore'] == 0 for result in evaluated], axis=1)[:, order]
        curves = []
        for is_matched, is_counted in zip(matched, counts, strict=True):
            hits = np.flatnonzero(is_matched[is_counted])
            counted_images = images[is_counted]
            starts = np.append(0, hits[:-1] + 1) if len(hits) else hits
            curves.append((counted_images[: hits[-1] + 1] if len(hits) else hits, counted_images[hits], starts))
        return curves
