"""How sure the difference of two networks is: a paired bootstrap over images, and the variance over runs or folds."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import track
from scipy import stats

from .split_eval import SplitEval, summarize


class Interval(NamedTuple):
    """A difference and its interval, all NaN for a level without instances.

    The interval is NaN where resamples cannot tell it: some are without an instance, since few images have one, or all
    give the same difference.
    """

    difference: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether the resamples tell an interval."""
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
    """The interval of each figure's difference, ``other`` minus ``baseline``, which says how far images explain it.

    - Of one run each, the interval covers other images of the same kind, tested by the same two trained networks. It is
      the percentile interval of a bootstrap.
    - Of several runs of two networks, it covers images and runs: the difference is that of their means, and its
      variance is that over resampled images plus that over runs. Runs are paired, first with first, and should share
      what they can, such as their seed.
    - Of one result each that is put together from folds, each image tested by the networks of its fold, it covers
      images and folds: the variance is the larger of that over resampled images and that of a jackknife over folds,
      which has both in it.

    The last two are of Student's t: a few runs or folds say little about how much others would differ.

    A resample draws as many images as there are, with replacement, the same for both results. An image drawn twice
    counts twice, as if its copy were in the data set under an id of its own, next to it. (Were two detections of one
    image to have the very same score, COCOeval would take copy after copy; here both copies of the first come first.)

    Args:
        baseline (SplitEval | Sequence[SplitEval]): What :func:`evaluate_results` gives, of one run or several.
        other (SplitEval | Sequence[SplitEval]): As many others, of the same annotations and splits.
        num_resamples (int): How many resamples to draw.
        confidence (float): How often the interval should cover the truth.
        seed (int): Same seed, same intervals.
        progress (bool): Whether to show a progress bar.
        folds (Sequence[int], optional): The fold of each image, in the order of image ids.

    Returns:
        dict[str, Interval]: For each figure that :func:`summarize` gives, and ``'AR trend (MEASURE)'`` of each measure
        with levels: by how much the difference grows from a level to the next, the slope of a line through people, each
        with their own AR, over levels that are numbered. Resamples in which a level has no instance are left out of its
        interval.

    Raises:
        ValueError: The two differ in their images, instances, splits, settings of OKS or number of runs, or an argument
            is out of range.
    """
    if num_resamples < 1 or not 0 < confidence < 1:
        raise ValueError(
            f'num_resamples={num_resamples}, confidence={confidence}: give one resample or more, '
            'and a confidence between 0 and 1'
        )
    baselines, others = ([runs] if isinstance(runs, SplitEval) else list(runs) for runs in (baseline, other))
    num_runs = len(baselines)
    if len(others) != num_runs:
        raise ValueError(f'{num_runs} runs cannot be paired with {len(others)}: give as many of both')
    curves = [ResampledCurves(evaluation) for evaluation in (*baselines, *others)]
    if not all(curves[0].comparable_to(each) for each in curves):
        raise ValueError(
            'the two results were not evaluated on the same images, instances and splits, or not by the same OKS: '
            'evaluate both with one annotation file and the same arguments'
        )
    num_images = len(curves[0].params.imgIds)
    if folds is not None and (num_runs > 1 or len(folds) != num_images or len(set(folds)) < 2):
        raise ValueError(f'folds={folds!r}: give the fold of each of {num_images} images, and one result of all folds')
    names = list(curves[0].figures(np.ones(num_images)))
    trends = _trends(curves[0], names)
    rng = np.random.default_rng(seed)

    def differences(images: np.ndarray) -> np.ndarray:
        """Of each run, (runs, figures)."""
        figures = np.array([list(each.figures(images).values()) for each in curves])
        figures[figures < 0] = np.nan
        found = figures[num_runs:] - figures[:num_runs]
        return np.hstack([found, *(trend(found, images) for trend in trends.values())])

    def draw() -> np.ndarray:
        return np.bincount(rng.integers(num_images, size=num_images), minlength=num_images).astype(float)

    observed = differences(np.ones(num_images))
    resampled = np.array(
        [differences(draw()).mean(0) for _ in track(range(num_resamples), 'paired bootstrap', disable=not progress)]
    )
    if folds is not None:
        groups = np.unique(folds)
        without = [differences((folds != group).astype(float))[0] for group in groups]
    intervals = {}
    for index, name in enumerate([*names, *trends]):
        values = resampled[:, index]
        if name in trends:
            values = values[~np.isnan(values)]
        difference = observed[:, index].mean()
        if np.isnan(difference) or np.isnan(values).any() or not values.size or (num_runs == 1 and np.ptp(values) == 0):
            intervals[name] = Interval(float(difference), np.nan, np.nan)
        elif folds is not None:
            left_out = [each[index] for each in without]
            intervals[name] = _over_folds(difference, values, left_out, confidence)
        elif num_runs > 1:
            intervals[name] = over_runs(observed[:, index], values.var(), num_images, confidence)
        else:
            low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
            intervals[name] = Interval(*map(float, (difference, low, high)))
    return intervals


def over_runs(differences: np.ndarray, image_variance: float, num_images: int, confidence: float = 0.95) -> Interval:
    """The interval of the mean of several runs' differences, over runs and images.

    Args:
        differences (np.ndarray): The difference of each pair of runs, (runs,), two or more.
        image_variance (float): Of their mean, over images.
        num_images (int): From how many images that variance is.
        confidence (float): How often the interval should cover the truth.
    """
    run_variance = np.var(differences, ddof=1) / len(differences)
    return _student(
        np.mean(differences), {len(differences) - 1: run_variance, num_images - 1: image_variance}, confidence
    )


def _over_folds(difference: float, values: np.ndarray, without: Sequence[float], confidence: float) -> Interval:
    """By resampled images, and by what the difference is without each fold."""
    fold_variance = (len(without) - 1) * np.var(without)
    # The first has images in it: the second is there for when folds agree by chance.
    if fold_variance >= values.var():
        return _student(difference, {len(without) - 1: fold_variance}, confidence)
    return _student(difference, {values.size: values.var()}, confidence)


def _student(difference: float, variances: Mapping[int, float], confidence: float) -> Interval:
    """Student's interval of a difference, of variances by the degrees of freedom that they were estimated with.

    The squares of what each alone would give are added. Where the few runs vary more than images, the interval of Welch
    and Satterthwaite, which has one t for the sum, covers too little.
    """
    half = sum(stats.t.ppf((1 + confidence) / 2, freedom) ** 2 * variance for freedom, variance in variances.items())
    return Interval(*map(float, (difference, difference - half**0.5, difference + half**0.5)))


def _trends(curves: 'ResampledCurves', names: list[str]) -> dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Of each measure with levels, what gives the slope of AR over them, (runs, 1), of figures and images."""
    splits = curves.params.areaRng

    def slope_over(levels: list[int]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        columns = [names.index(f'AR ({splits[level].measure} {splits[level].name})') for level in levels]

        def slope(figures: np.ndarray, images: np.ndarray) -> np.ndarray:
            people = curves.num_gts.sum(0)[levels] @ images
            x = np.arange(len(levels)) - people @ np.arange(len(levels)) / max(1, people.sum())
            with np.errstate(invalid='ignore'):
                return np.nansum(figures[:, columns] * people * x, axis=1, keepdims=True) / (people @ x**2)

        return slope

    measures = dict.fromkeys(split.measure for split in splits if split.measure != 'area')
    return {
        f'AR trend ({measure})': slope_over([i for i, split in enumerate(splits) if split.measure == measure])
        for measure in measures
    }


class ResampledCurves:
    """COCOeval's accumulation for any multiplicities of the images, from one evaluation.

    COCOeval matches detections within an image, so a resample changes neither matches nor the order of scores: it
    only weighs the detections of each image. Precision peaks at true positives and recall changes there alone, so the
    curve is needed at true positives only, and the false positives between them as sums.

    Args:
        evaluation (SplitEval): It has run.
    """

    def __init__(self, evaluation: SplitEval):
        self.params = evaluation.params
        self.oks = evaluation.params.iouType, evaluation.use_area, tuple(evaluation.sigmas)
        eval_images = evaluation.eval_images
        self.num_gts = np.zeros(eval_images.shape)  # of each image, those ignored left out
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
        """The figures where each image counts ``weights`` times, (images,), whole numbers."""
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
                # The very operations of COCOeval.accumulate, for the same last digit.
                recalls = num_true / num_gts[category, split]
                precisions = num_true / (num_detections + np.spacing(1))
                highest_from_here = np.maximum.accumulate(precisions[::-1])[::-1]
                recall[threshold, category, split] = recalls[-1]
                precision[at] = np.append(highest_from_here, 0)[np.searchsorted(recalls, self.params.recThrs)]
        return summarize(self.params, precision, recall)

    def comparable_to(self, other: 'ResampledCurves') -> bool:
        """Whether both are of the same images, splits, OKS and thresholds, and count the same instances."""
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
        """For each OKS threshold: the images of the detections that count, from the highest score to the last true
        positive, those of the true positives, and where after each true positive the next stretch starts.
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
