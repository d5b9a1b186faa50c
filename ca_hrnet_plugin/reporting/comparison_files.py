"""Where a comparison keeps its files."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..evaluation.coco_files import read_json
from ..whole_file import whole_file

FILE = 'comparison.json'


@dataclass
class ComparisonFiles:
    """A comparison: networks, the baseline first, and the runs of each, which differ in their seed or their fold.

    Attributes:
        out (Path): The comparison's folder, which holds all files.
        networks (list[str]): The networks' names, the baseline first.
        unit (str): What the runs differ in, ``'seed'`` or ``'fold'``.
        numbers (list[int]): The seeds or folds.
        starts (dict[str, str]): The checkpoint that a network starts from, if it has one.
        settings (dict[str, str]): For each network, a digest of its config and options.
    """

    out: Path
    networks: list[str]
    unit: str
    numbers: list[int]
    starts: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, out: str | Path) -> 'ComparisonFiles':
        """Reads the description of a comparison.

        Raises:
            ValueError: The folder holds no comparison.
        """
        file = Path(out, FILE)
        hint = 'give the --out of tools/compare.py'
        if not file.is_file():
            raise ValueError(f'{out} holds no comparison ({FILE} is missing): {hint}')
        content = read_json(file, 'a comparison')
        try:
            return cls(Path(out), **content)
        except TypeError as error:
            raise ValueError(f'{file} is not of a comparison ({error}): {hint}') from error

    def write(self) -> None:
        """Writes the description."""
        content = {name: value for name, value in asdict(self).items() if name != 'out'}
        with whole_file(self.out / FILE) as unfinished:
            unfinished.write_text(json.dumps(content, indent=2))

    @property
    def runs(self) -> list[str]:
        """The names of each network's runs, such as ``'seed0'``."""
        return [f'{self.unit}{number}' for number in self.numbers]

    def config(self, network: str, run: str | None = None) -> Path:
        """The config of a network, or of one of its runs."""
        return self.out / 'configs' / (f'{network}.py' if run is None else f'{network}/{run}.py')

    def work_dir(self, network: str, run: str) -> Path:
        """The work dir of a run, or of the test of the starting checkpoint (``run='start'``)."""
        return self.out / network / run

    def metrics(self, network: str, run: str) -> Path:
        """The metrics of a test, as ``mim test --out`` writes them; the test is done when they are there."""
        return self.work_dir(network, run) / 'metrics.json'

    def poses(self, network: str, run: str) -> Path:
        """The COCO keypoint result of a test, if CocoMetric evaluates it."""
        return self.work_dir(network, run) / 'poses.keypoints.json'

    def fold_annotations(self, run: str, part: str) -> Path:
        """The annotations of a fold, for training (``'train'``) or testing (``'test'``)."""
        return self.out / f'annotations/{run}_{part}.json'

    def is_done(self, network: str, run: str) -> bool:
        """Whether a run has been trained and tested."""
        try:
            return isinstance(json.loads(self.metrics(network, run).read_bytes()), dict)
        except (OSError, ValueError):  # mim test was killed while it wrote
            return False

    def last_checkpoint(self, network: str, run: str) -> Path:
        """The newest complete checkpoint of a training, which MMEngine names in the file ``last_checkpoint``.

        Raises:
            OSError: No checkpoint has been written yet.
        """
        work_dir = self.work_dir(network, run)
        return work_dir / Path((work_dir / 'last_checkpoint').read_text().strip()).name

    def complete_runs(self) -> list[str]:
        """The runs that every network has completed."""
        return [run for run in self.runs if all(self.is_done(network, run) for network in self.networks)]
