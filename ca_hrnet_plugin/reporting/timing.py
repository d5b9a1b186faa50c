"""Times functions side by side to compare them."""

import itertools
import math
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple

from torch.utils import benchmark

MIN_SECONDS = 0.3  # per measurement, unless a call takes longer


class Timing(NamedTuple):
    """The seconds per call of a function, and their ratios to those of its baseline, for each measurement."""

    seconds: list[float]
    ratios: list[float]


def time_side_by_side(
    functions: Mapping[Hashable, Callable[[], object]],
    baselines: Mapping[Hashable, Hashable],
    rounds: int,
    on_round: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = benchmark.timer,
) -> dict[Hashable, Timing]:
    """Times each function right before or after its baseline, so that other load on the machine affects both.

    Args:
        functions (Mapping[Hashable, Callable]): What to time, by name.
        baselines (Mapping[Hashable, Hashable]): The baseline of each function. A function that is only a baseline has
            no ratios.
        rounds (int): The number of measurements of each pair. The order is reversed from round to round.
        on_round (Callable): Called after each round.
        clock (Callable): Returns seconds; by default torch's timer, which waits for a GPU.
    """

    # torch's Timer would call each function two more times before every measurement, even if a call takes seconds.
    def measure(name: Hashable, repeats: int) -> float:
        if repeats > 1:
            functions[name]()  # the first call after another network's takes a third longer in ONNX Runtime
        start = clock()
        for _ in range(repeats):
            functions[name]()
        return (clock() - start) / repeats

    repeats = {}
    for name, function in functions.items():
        function()  # compiles, and fills caches
        repeats[name] = max(1, math.ceil(MIN_SECONDS / measure(name, 1)))
    timings = {name: Timing([], []) for name in functions}
    for order in itertools.islice(itertools.cycle([1, -1]), rounds):
        for pair in list(baselines.items())[::order]:
            seconds = {name: measure(name, repeats[name]) for name in pair[::order]}
            for name in pair:
                timings[name].seconds.append(seconds[name])
            name, baseline = pair
            timings[name].ratios.append(seconds[name] / seconds[baseline])
        on_round()
    return timings
