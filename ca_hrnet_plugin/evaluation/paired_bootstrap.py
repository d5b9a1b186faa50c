"""How sure the difference between two results on the same images is: a paired bootstrap over images."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.progress import track

from .split_eval import SplitEval, summarize


class Interval(NamedTuple):
    """A difference, its bootstrap interval, and the share of resamples in which it is above 0.

    All are NaN for a level without instances. The interval and the share are NaN where resamples cannot tell: some are
    without an instance, since few images have one, or all give the same difference.
    """

    difference: float
    low: float
    high: float
    share_above: float

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
) -> dict[str, Interval]:
    """The percentile interval of each figure's difference, ``other`` minus ``baseline``, over resampled images.

    A resample draws as many images as there are, with replacement, the same for both results. An image drawn twice
    counts twice, as if its copy were in the data set under an id of its own, next to it. (Were two detections of one
    image to have the very same score, COCOeval would take copy after copy; here both copies of the first come first.)
    Given several runs of two networks, the difference is that of their means, and a resample draws runs too: as many
    pairs as there are, the first run of one network with the first of the other, which should share what they can,
    such as their seed.

    Args:
        baseline (SplitEval | Sequence[SplitEval]): What :func:`evaluate_results` gives, of one run or several.
        other (SplitEval | Sequence[SplitEval]): As many others, of the same annotations and splits.
        num_resamples (int): How many resamples to draw.
        confidence (float): How often the interval should cover the truth.
        seed (int): Same seed, same intervals.
        progress (bool): Whether to show a progress bar.

    Returns:
        dict[str, Interval]: For each figure that :func:`summarize` gives.

    Raises:
        ValueError: The two differ in their images, instances, splits or number of runs, or an argument is out of
            range.
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
            'the two results were not evaluated on the same images, instances and splits: '
            'evaluate both with one annotation file and the same arguments'
        )
    num_images = len(curves[0].params.imgIds)
    rng = np.random.default_rng(seed)

    def draw(number: int) -> np.ndarray:
        """How often each of so many is drawn."""
        return np.bincount(rng.integers(number, size=number), minlength=number).astype(float)

    def differences(images: np.ndarray, runs: np.ndarray) -> np.ndarray:
        figures = np.array([list(each.figures(images).values()) for each in curves])
        figures[figures < 0] = np.nan
        return runs @ (figures[num_runs:] - figures[:num_runs]) / num_runs

    observed = differences(np.ones(num_images), np.ones(num_runs))
    resampled = np.array(
        [
            differences(draw(num_images), draw(num_runs))
            for _ in track(range(num_resamples), 'paired bootstrap', disable=not progress)
        ]
    )
    names = curves[0].figures(np.ones(num_images))
    return {
        name: _interval(difference, values, confidence)
        for name, difference, values in zip(names, observed, resampled.T, strict=True)
    }


def _interval(difference: float, values: np.ndarray, confidence: float) -> Interval:
    if np.isnan(values).any() or np.ptp(values) == 0:
        return Interval(float(difference), np.nan, np.nan, np.nan)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(difference), float(low), float(high), float(np.mean(values > 0)))


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
        """Whether both are of the same images, splits and thresholds, and count the same instances."""
        ours, theirs = self.params, other.params
        return (
            ours.imgIds == theirs.imgIds
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
