"""Starts the trainings and tests of a comparison, each a ``mim train`` or ``mim test`` of its own."""

import contextlib
import fcntl
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.config import Config

from ..reporting.comparison_files import ComparisonFiles
from .configs import trains_by_epoch

SECONDS_TO_END = 10  # for a process to end by itself
_PROGRESS = re.compile(r'(?:Epoch\(train\)\s+\[(?P<epoch>\d+)\]|Iter\(train\)\s+)\[\s*(?P<iter>\d+)/(?P<last>\d+)\]')


@dataclass
class Launch:
    """How runs are started.

    Attributes:
        train (list[str]): Further arguments of ``mim train``, such as ``['--amp']``.
        test (list[str]): Further arguments of ``mim test``.
        jobs (int): The number of runs at a time.
        gpus (int): The number of GPUs of each run.
    """

    train: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    jobs: int = 1
    gpus: int = 1


@dataclass
class Step:
    """A command of a run."""

    command: list[str]
    log: Path

    def __str__(self) -> str:
        return shlex.join(['mim', *self.command])


@dataclass
class Run:
    """The commands of a run that are left to do, one after the other."""

    network: str
    run: str
    steps: list[Step]
    num_epochs: int = 0  # 0 if training counts iterations

    def __str__(self) -> str:
        return f'{self.network}, {self.run}'


def remaining_runs(files: ComparisonFiles, launch: Launch) -> list[Run]:
    """The runs that are not complete, all networks of a seed or fold before the next."""
    lasts = {network: _last_checkpoint_and_epochs(files, network) for network in files.networks}
    return [
        _training_and_test(files, network, run, launch, *lasts[network])
        for run in files.runs
        for network in files.networks
        if not files.is_done(network, run)
    ]


def start_tests(files: ComparisonFiles, launch: Launch) -> list[Run]:
    """The tests of the checkpoints that networks start from, as far as they are not complete."""
    return [
        Run(network, 'start', [_test(files, network, 'start', start, launch)])
        for network, start in files.starts.items()
        if network in files.networks and not files.is_done(network, 'start')
    ]


def _last_checkpoint_and_epochs(files: ComparisonFiles, network: str) -> tuple[str, int]:
    """The name of the last checkpoint of a network's runs, and their number of epochs; 0 if they count iterations."""
    cfg = Config.fromfile(files.config(network))
    if trains_by_epoch(cfg):
        return f'epoch_{cfg.train_cfg.max_epochs}.pth', cfg.train_cfg.max_epochs
    return f'iter_{cfg.train_cfg.max_iters}.pth', 0


def _training_and_test(
    files: ComparisonFiles, network: str, run: str, launch: Launch, last: str, num_epochs: int
) -> Run:
    config, work_dir = files.config(network, run), files.work_dir(network, run)
    train = ['train', 'mmpose', str(config), '--resume', *launch.train]
    steps = [Step(train, work_dir / 'train.log'), _test(files, network, run, str(work_dir / last), launch)]
    with contextlib.suppress(OSError):
        if files.last_checkpoint(network, run).name == last:
            steps = steps[1:]
    return Run(network, run, steps, num_epochs)


def _test(files: ComparisonFiles, network: str, run: str, checkpoint: str, launch: Launch) -> Step:
    metrics = files.metrics(network, run)
    arguments = [str(files.config(network, run)), '--checkpoint', checkpoint, '--out', str(metrics), *launch.test]
    return Step(['test', 'mmpose', *arguments], files.work_dir(network, run) / 'test.log')


def run_all(runs: Sequence[Run], launch: Launch, out: Path, progress: 'Progress') -> dict[str, Path]:
    """Runs commands, some at a time. A failing run does not stop the others.

    Args:
        runs (Sequence[Run]): What to run.
        launch (Launch): How many at a time, and on how many GPUs.
        out (Path): The comparison's folder, which is locked meanwhile.
        progress (Progress): What shows the progress.

    Returns:
        dict[str, Path]: The log of each run that failed.

    Raises:
        ValueError: Another process is running this comparison, or there are too few GPUs.
        KeyboardInterrupt: Ctrl-C or SIGTERM; all processes have been ended.
    """
    slots = _gpus_of_jobs(launch)
    waiting, running, failed = list(runs), {}, {}
    with _locked(out) as lock, _interrupt_on_sigterm():
        try:
            while waiting or running:
                while waiting and slots:
                    run, slot = waiting.pop(0), slots.pop(0)
                    progress.started(run)
                    running[str(run)] = run, slot, _start(run.steps[0], slot, launch, lock)
                time.sleep(0.2)
                for name, (run, slot, process) in list(running.items()):
                    if process.poll() is None:
                        continue
                    step = run.steps.pop(0)
                    if process.returncode == 0 and run.steps:
                        running[name] = run, slot, _start(run.steps[0], slot, launch, lock)
                        continue
                    del running[name]
                    slots.append(slot)
                    progress.finished(run)
                    if process.returncode:
                        failed[name] = step.log
                        progress.print(f'{name} failed: {_last_line(step.log)}; its log is {step.log}')
                progress.show([run for run, _, _ in running.values()])
        finally:
            _end([process for _, _, process in running.values()])
    progress.close()
    return failed


def _gpus_of_jobs(launch: Launch) -> list[str | None]:
    """The visible GPUs of each job, or None if all jobs see the same devices."""
    if launch.jobs == 1 or not torch.cuda.is_available():
        return [None] * launch.jobs
    visible = os.environ.get('CUDA_VISIBLE_DEVICES')
    devices = visible.split(',') if visible else [str(index) for index in range(torch.cuda.device_count())]
    if len(devices) < launch.jobs * launch.gpus:
        raise ValueError(
            f'{launch.jobs} jobs of {launch.gpus} GPUs need {launch.jobs * launch.gpus}, and {len(devices)} are '
            'visible: give fewer --jobs or --gpus'
        )
    return [','.join(devices[job * launch.gpus : (job + 1) * launch.gpus]) for job in range(launch.jobs)]


def _start(step: Step, gpus: str | None, launch: Launch, lock: int) -> subprocess.Popen:
    environment = dict(os.environ)
    environment.setdefault('PYTHONWARNINGS', 'ignore')
    if launch.jobs > 1:
        environment.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // launch.jobs)))
    if gpus is not None:
        environment['CUDA_VISIBLE_DEVICES'] = gpus
    step.log.parent.mkdir(parents=True, exist_ok=True)
    with step.log.open('ab') as log:
        log.write(f'$ {step}\n'.encode())
        log.flush()
        # In a session of its own, so that Ctrl-C does not reach it before this process, which ends it.
        return subprocess.Popen(
            [sys.executable, '-m', 'mim', *step.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=[lock],  # the comparison stays locked if only this process is killed
        )


def _end(processes: Sequence[subprocess.Popen]) -> None:
    """Ends processes with all that they started."""
    for stop in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, stop)
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_END)


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[int]:
    """Locks a folder while this process, or one that it started, is running."""
    with (out / '.lock').open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f'another process is running the comparison in {out}: wait for it, end it, or give another --out'
            ) from error
        yield lock.fileno()


@contextlib.contextmanager
def _interrupt_on_sigterm() -> Iterator[None]:
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors='replace').splitlines() if line.strip()]
    # MIM ends with a traceback of its own, after that of the command.
    errors = [line for line in lines if re.match(r'\w[\w.]*(Error|Exception|Interrupt)\b', line)]
    ours = [line for line in errors if 'CalledProcessError' not in line]
    return (ours or errors or lines or ['no output'])[-1][:300]


class Progress:
    """Shows how much is done: a moving line on a terminal, otherwise a line per minute.

    Args:
        title (str): What is done.
        num_runs (int): The number of runs.
    """

    def __init__(self, title: str, num_runs: int):
        self.title, self.num_runs = title, num_runs
        self.moves = sys.stderr.isatty()
        self.start = time.monotonic()
        self.shown, self.num_finished, self.before = 0.0, 0, {}

    def started(self, run: Run) -> None:
        """Remembers what an earlier command has done of a run."""
        self.before[str(run)] = fraction_done(run)

    def finished(self, run: Run) -> None:
        """Counts the part of a run that was left to do when it started."""
        self.num_finished += 1 - self.before[str(run)]

    def show(self, running: Sequence[Run]) -> None:
        """Shows what is done and the time left, if it is time for an update."""
        now = time.monotonic()
        if now - self.shown < (1 if self.moves else 60):
            return
        self.shown = now
        fractions = {str(run): fraction_done(run) for run in running}
        done = self.num_finished + sum(fraction - self.before[name] for name, fraction in fractions.items())
        total = self.num_runs - sum(self.before.values())
        left = f', {_duration((now - self.start) * (total - done) / done)} left' if done > 0.01 else ''
        if not running:
            return
        current = '; '.join(f'{name} {fraction:.0%}' for name, fraction in fractions.items())
        self.print(f'{self.title}: {done / total:.0%}{left} ({current})', '' if self.moves else '\n')

    def print(self, line: str, end: str = '\n') -> None:
        """Prints a line over the moving one."""
        print(f'\r\033[K{line}' if self.moves else line, end=end, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Prints the last line."""
        self.print(f'{self.title}: done in {_duration(time.monotonic() - self.start)}')


def fraction_done(run: Run) -> float:
    """How much of a run's training is done, by its log."""
    if run.steps[0].command[0] == 'test':
        return 0.99 if run.num_epochs else 0.0
    with contextlib.suppress(OSError):
        places = list(_PROGRESS.finditer(run.steps[0].log.read_text(errors='replace')[-20000:]))
        if places:
            place = {name: int(number) for name, number in places[-1].groupdict().items() if number}
            fraction = place['iter'] / place['last']
            return (place['epoch'] - 1 + fraction) / run.num_epochs if 'epoch' in place else fraction
    return 0.0


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f'{round(seconds)} s'
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60} min'
