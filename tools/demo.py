"""The whole system in a few minutes: data, training of both networks, test, table, curve and gallery.

Draws a synthetic crowd, trains HRNet and CA-HRNet on it through ``mim train``, tests both through ``mim test`` and
writes a report. What is done is not done again, and an interrupted training goes on from its last epoch.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.config import Config
from report_page import write_report
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from synthetic_crowd import contact_sheet, make_synthetic_crowd

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.evaluation import AREAS, level_splits
from ca_hrnet_plugin.reporting.attention import draw_attention, load_model, record_gates
from ca_hrnet_plugin.reporting.gallery import draw_gallery
from ca_hrnet_plugin.reporting.protocol import Protocol, read_protocol
from ca_hrnet_plugin.reporting.results import read_result
from ca_hrnet_plugin.reporting.style import save_figure
from ca_hrnet_plugin.reporting.table import compare, format_tables
from ca_hrnet_plugin.reporting.training_curve import plot_training_curve

NETWORKS = {'HRNet': 'demo/hrnet_w16_128x96', 'CA-HRNet': 'demo/ca_hrnet_w16_128x96'}
# Few enough people, little enough in their way, for networks that learn for minutes.
CROWD = dict(
    num_train=600,
    num_val=100,
    people=(1, 3),
    crowd_index=0.2,
    occluders=0.3,
    distractors=0.5,
    clutter=0.4,
    contrast=0.8,
    truncation=0.1,
)
# MMEngine's log line of an iteration.
ITERATION = re.compile(r'Epoch\((train|test)\)\s+(?:\[(\d+)\])?\[\s*(\d+)/(\d+)\]')


class DemoNetwork:
    """One of the two networks, and where its run leaves what."""

    def __init__(self, name: str, out: Path):
        self.name = name
        self.config = config_path(NETWORKS[name])
        self.max_epochs = Config.fromfile(self.config).train_cfg.max_epochs
        self.work_dir = out / name
        self.checkpoint = self.work_dir / f'epoch_{self.max_epochs}.pth'
        self.results = self.work_dir / 'val2017.keypoints.json'

    def train(self) -> list:
        """The command that trains it, from where it was left; empty if that is done."""
        if self.checkpoint.exists():
            return []
        return ['train', 'mmpose', self.config, '--work-dir', self.work_dir, '--resume']

    def test(self) -> list:
        """The command that tests it and leaves its detections; empty if that is done."""
        if self.results.exists() and self.results.stat().st_mtime >= self.checkpoint.stat().st_mtime:
            return []
        return [
            *('test', 'mmpose', self.config, '--checkpoint', self.checkpoint, '--work-dir', self.work_dir / 'test'),
            *('--cfg-options', 'test_evaluator.outfile_prefix=val2017'),
        ]


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('work_dirs/demo'), help='folder (default: %(default)s)')
    out = parser.parse_args().out
    data = out / 'data'

    print(f'data: a synthetic crowd in {data}/coco')
    make_synthetic_crowd(data / 'coco', **CROWD)
    networks = [DemoNetwork(name, out.resolve()) for name in NETWORKS]
    print(f'train: {" and ".join(NETWORKS)}, {networks[0].max_epochs} epochs each, side by side')
    run_side_by_side({network: network.train() for network in networks}, data)
    print('test: both on the val images, with detected boxes')
    run_side_by_side({network: network.test() for network in networks}, data)
    print('report: table, curve and gallery')
    page = report(networks, data / 'coco', out / 'report')
    print(f'open {page}')


def report(networks: list[DemoNetwork], coco: Path, folder: Path) -> Path:
    """Prints the table and writes the page, of what the runs left on disk."""
    folder.mkdir(exist_ok=True)
    protocol = read_protocol(ann_file=coco / 'annotations/person_keypoints_val2017.json', image_dir=coco / 'val2017')
    levels = level_splits()
    rows = compare(
        [read_result(network.name, str(network.results), protocol, [*AREAS, *levels]) for network in networks]
    )
    print('', format_tables(rows), '', sep='\n')

    contact_sheet(coco, folder / 'data.png', columns=3, rows=2)
    save_figure(plot_training_curve({network.name: network.work_dir for network in networks}), folder / 'curve.png')
    results = {network.name: network.results for network in networks}
    save_figure(draw_gallery(protocol, results, num_images=6, kpt_thr=0.1), folder / 'gallery.png')
    save_figure(draw_attention(gates_of_largest_people(networks[-1], protocol)), folder / 'attention.png')
    return write_report(
        folder,
        'CA-HRNet: the demo',
        {
            'Data': f'a synthetic crowd, {CROWD["num_train"]} images to train on and {CROWD["num_val"]} to validate',
            'Training': f'narrow networks at 128x96, {networks[0].max_epochs} epochs from scratch, one seed',
            'Command': 'make demo',
            'Read with': 'one run each on few images: the intervals say how little follows from a difference',
        },
        {'Table 1, in percent': format_tables(rows, 'html', levels)},
        {
            'Figure 5: training': [folder / 'curve.png'],
            'Figure 6: poses in the most crowded images': [folder / 'gallery.png'],
            'Coordinate attention: gates along height and width': [folder / 'attention.png'],
            'The data': [folder / 'data.png'],
        },
    )


def gates_of_largest_people(network: DemoNetwork, protocol: Protocol, num: int = 2) -> list:
    """The gates on the largest people of the val images."""
    with redirect_stdout(None):  # MMEngine says that it loads a checkpoint
        model = load_model(network.config, network.checkpoint)
    annotations = json.loads(Path(protocol.ann_file).read_text())
    names = {image['id']: image['file_name'] for image in annotations['images']}
    people = sorted(annotations['annotations'], key=lambda person: person['area'])[-num:]
    images = [Path(protocol.image_dir, names[person['image_id']]) for person in people]
    return [record_gates(model, image, person['bbox']) for image, person in zip(images, people, strict=True)]


def run_side_by_side(commands: dict[DemoNetwork, list], data: Path) -> None:
    """Runs mim commands at the same time, shows how far they are, and ends with a log's place if one fails."""
    import mim  # noqa: F401  makes its cache folder, over which two that make it at once stumble

    commands = {network: command for network, command in commands.items() if command}
    columns = TextColumn('  {task.description:<10}'), BarColumn(), TextColumn('{task.percentage:3.0f} %')
    with Progress(*columns, TimeRemainingColumn()) as progress, ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(run_mim, command, network, data, progress, progress.add_task(network.name, total=1))
            for network, command in commands.items()
        ]
        troubles = [trouble for run in runs if (trouble := run.result())]
    if troubles:
        sys.exit('\n'.join(troubles))


def run_mim(arguments: list, network: DemoNetwork, data: Path, progress: Progress, task) -> str | None:
    """Runs one mim command into a log, and says what went wrong, if anything did."""
    log = network.work_dir / f'{arguments[0]}.log'
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        'CA_HRNET_DATA': str(data.resolve()),
        # A network this small gains little from a second thread: a processor for each is faster.
        'OMP_NUM_THREADS': str(max(1, (os.cpu_count() or 1) // len(NETWORKS))),
        'PYTHONWARNINGS': 'ignore',  # of pkg_resources, in each process
    }
    command = [sys.executable, '-m', 'mim', *map(str, arguments)]
    with (
        log.open('w') as file,
        subprocess.Popen(
            # There, since --cfg-options takes no path with a space.
            command,
            cwd=network.work_dir,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        for line in process.stdout:
            file.write(line)
            file.flush()
            if match := ITERATION.search(line):
                loop, epoch, iteration, num_iterations = match.groups()
                done = int(iteration) / int(num_iterations)
                if loop == 'train':
                    done = (int(epoch) - 1 + done) / network.max_epochs
                progress.update(task, completed=done)
    if process.returncode:
        trouble = f'mim {arguments[0]} of {network.name} failed: its log is {os.path.relpath(log)}'
        progress.console.print(f'{trouble}; the other goes on, for the next time', soft_wrap=True, highlight=False)
        return trouble
    progress.update(task, completed=1)
    return None


if __name__ == '__main__':
    main()
