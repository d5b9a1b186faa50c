"""The whole system in minutes: drawn data, HRNet from scratch, CA-HRNet by warm start, table, poses and gates.

Draws whole people in COCO format and trains HRNet on them. HRNet and CA-HRNet then both train on from its checkpoint,
for the same number of epochs. Writes a page with the poses of both. Finished steps are not repeated; after Ctrl-C, the
same command continues from the last epoch.
"""

import argparse
import copy
import csv
import io
import json
import os
import random
import signal
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import torch
from arguments import replace_unprintable
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.runner import Runner, find_latest_checkpoint
from synthetic_crowd import make_synthetic_crowd
from tabulate import tabulate

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.evaluation import AREAS
from ca_hrnet_plugin.reporting import (
    compare,
    draw_gallery,
    draw_gates,
    format_tables,
    plot_training_curve,
    read_protocol,
    read_result,
    record_gates,
    save_figure,
    write_report,
)
from ca_hrnet_plugin.reporting.protocol import Protocol
from ca_hrnet_plugin.reporting.table import NOTHING, Row

# One or two large, whole, upright people who face the camera: what a narrow network learns in minutes.
CROWD = dict(
    num_train=2000,
    num_val=150,
    people=(1, 2),
    crowd_index=0.1,
    occluders=0.2,
    distractors=0.4,
    clutter=0.4,
    contrast=1.0,
    truncation=0.0,
    facing=60.0,
    upright=True,
    min_area=32 * 32,
)
QUICK = dict(num_train=32, num_val=8)
NETWORKS = {'HRNet': 'demo/hrnet_w16_128x96_finetune', 'CA-HRNet': 'demo/ca_hrnet_w16_128x96_finetune'}
RESULTS = 'val2017_drawn_boxes'  # the boxes are the drawn people's own


class ProgressHook(Hook):
    """Shows the progress of a training: a moving line on a terminal, otherwise a line per minute."""

    interrupted = False

    def __init__(self, name: str):
        self.name = name
        self.moves = sys.stderr.isatty()
        self.shown = 0.0

    def before_train(self, runner: Runner) -> None:
        """Records the time and the iteration of the start."""
        self.start, self.first = time.monotonic(), runner.iter

    def after_train_iter(self, runner: Runner, *_, **__) -> None:
        """Shows progress and the minutes left, if it is time for an update."""
        if self.interrupted:
            raise KeyboardInterrupt
        now, done, left = time.monotonic(), runner.iter + 1, runner.max_iters - runner.iter - 1
        if left and now - self.shown < (0.5 if self.moves else 60):
            return
        self.shown = now
        minutes = (now - self.start) / (done - self.first) * left / 60
        line = f'  {self.name}: {done / runner.max_iters:4.0%}, {minutes:.1f} minutes left'
        print(f'\r{line}' if self.moves else line, end='' if self.moves and left else '\n', file=sys.stderr, flush=True)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='folder (default: work_dirs/demo, or work_dirs/demo_quick)')
    parser.add_argument('--quick', action='store_true', help='the whole path in a minute, on too few images to learn')
    args = parser.parse_args()
    replace_unprintable()
    out = args.out or Path('work_dirs/demo_quick' if args.quick else 'work_dirs/demo')
    end_on_ctrl_c()
    try:
        page = run(out.resolve(), args.quick)
    except KeyboardInterrupt:
        sys.exit('\ninterrupted: run the same command to continue')
    except FileExistsError as error:  # the folder holds other data
        sys.exit(f'error: {error}')
    print(f'open {os.path.relpath(page)}')


def end_on_ctrl_c() -> None:
    """Makes Ctrl-C end only this process, which ends its data loader's workers.

    A terminal sends the signal to the workers too, and PyTorch would report the end of a worker as a training error.
    Python drops an exception in a destructor, such as a data loader's, so the next training step raises it again.
    """
    main_process = os.getpid()

    def end(*_) -> None:
        if os.getpid() == main_process:
            ProgressHook.interrupted = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, end)


def run(out: Path, quick: bool) -> Path:
    """Runs the steps that are not finished yet, and returns the page."""
    MMLogger.get_current_instance().setLevel('ERROR')  # or it logs which variable a config read
    os.environ['CA_HRNET_DATA'] = str(out / 'data')
    crowd = CROWD | QUICK if quick else CROWD
    print(f'draw: {crowd["num_train"]} images to train on and {crowd["num_val"]} to validate')
    make_synthetic_crowd(out / 'data/coco', **crowd)

    print('train: HRNet from scratch, then HRNet and CA-HRNet from its checkpoint, for the same number of epochs')
    start = train('HRNet from scratch', load_config('demo/hrnet_w16_128x96', out / 'start', quick))
    configs = {name: load_config(config, out / name, quick) for name, config in NETWORKS.items()}
    print('test: the checkpoint as HRNet and as CA-HRNet')
    at_start = {name: test(start, config, out / f'start/{name}') for name, config in configs.items()}
    same = len({result.read_bytes() for result in at_start.values()}) == 1
    print(f'  {" and ".join(str(os.path.relpath(path)) for path in at_start.values())}:')
    if not same:
        sys.exit('error: these differ, so CA-HRNet did not start with the outputs of HRNet')
    print('  the same, byte for byte')
    checkpoints, poses = {}, {}
    for name, config in configs.items():
        checkpoints[name] = train(f'{name}, further', config, start)
        poses[name] = test(checkpoints[name], config, out / name)
    print('report: table, poses, curve and gates')
    return report(out, configs, at_start['HRNet'], poses, checkpoints['CA-HRNet'])


def load_config(name: str, work_dir: Path, quick: bool) -> Config:
    """Loads a config of the demo, which trains in bfloat16 if the processor supports it."""
    # MMEngine would format it again for each run and checkpoint, which takes a third of the quick demo's time.
    config = Config(Config.fromfile(config_path(name)).to_dict(), format_python_code=False)
    # Each visualizer needs its own name, because MMEngine keeps them by name.
    config.merge_from_dict(dict(work_dir=str(work_dir), log_level='ERROR', visualizer=dict(name=str(work_dir))))
    if quick:
        config.merge_from_dict({'train_cfg.max_epochs': 2, 'train_cfg.val_interval': 2})
    if getattr(torch.cpu, 'get_capabilities', dict)().get('avx512_bf16'):
        config.merge_from_dict({'optim_wrapper.type': 'Bfloat16OptimWrapper'})
    return config


def train(name: str, config: Config, load_from: Path | None = None) -> Path:
    """Starts or continues a training, and returns the last checkpoint."""
    last = Path(config.work_dir, f'epoch_{config.train_cfg.max_epochs}.pth')
    with redirect_stdout(None):  # pycocotools prints, and MMEngine reports a missing checkpoint
        latest = find_latest_checkpoint(config.work_dir)
        if latest is None or Path(latest).name != last.name:
            config = copy.deepcopy(config)
            config.merge_from_dict(dict(load_from=latest or (load_from and str(load_from)), resume=bool(latest)))
            runner = Runner.from_cfg(config)
            runner.register_hook(ProgressHook(name))
            runner.train()
    return last


def test(checkpoint: Path, config: Config, folder: Path) -> Path:
    """Tests a checkpoint with the drawn people's own boxes, and returns the COCO keypoint result."""
    result = folder / f'{RESULTS}.keypoints.json'
    if not result.exists() or result.stat().st_mtime < checkpoint.stat().st_mtime:
        config = copy.deepcopy(config)
        config.merge_from_dict(dict(load_from=str(checkpoint), work_dir=str(folder / 'test'), custom_hooks=[]))
        config.merge_from_dict({'visualizer.name': str(folder / 'test')})
        config.merge_from_dict({'test_evaluator.outfile_prefix': str(folder / RESULTS)})
        with redirect_stdout(None):
            Runner.from_cfg(config).test()
    return result


def report(out: Path, configs: dict[str, Config], start: Path, poses: dict[str, Path], checkpoint: Path) -> Path:
    """Prints the table and writes the page, from the files of the runs."""
    coco = out / 'data/coco'
    protocol = read_protocol(ann_file=coco / 'annotations/person_keypoints_val2017.json', image_dir=coco / 'val2017')
    epochs = configs['HRNet'].train_cfg.max_epochs
    results = [read_result(f'{name} + {epochs}', str(path), protocol, AREAS) for name, path in poses.items()]
    rows = [Row(read_result('start', str(start), protocol, AREAS)), *compare(results)]
    print('', format_tables(rows), '', sep='\n')

    images = json.loads(Path(protocol.ann_file).read_text())['images']
    chosen = random.Random(0).sample(images, 6)
    others = [image for image in images if image not in chosen]
    crowded = sorted(others, key=lambda image: -image['crowdIndex'])[:6]
    pictures = out / 'report/pictures'
    named = {f'{name}, drawn boxes': path for name, path in poses.items()}
    for image in (*chosen, *crowded):
        figure = draw_gallery(protocol, named, [image['id']], kpt_thr=0, score_thr=0, truth=False, width=3.6)
        save_figure(figure, pictures / f'{image["id"]}.jpg', dpi=150)
    work_dirs = {'HRNet from scratch': out / 'start'} | {f'{name}, further': out / name for name in poses}
    save_figure(plot_training_curve(work_dirs), pictures / 'curve.png', dpi=150)
    gates = gates_of_largest_people(checkpoint, protocol)
    save_figure(draw_gates(gates), pictures / 'gates.jpg', dpi=150)
    return write_report(
        out / 'report',
        'CA-HRNet: the demo',
        {
            'Poses on random val images': [
                'HRNet on the left, CA-HRNet on the right, with all people. Images and boxes are drawn. The number at '
                'the feet is OKS: 1 is a perfect pose, and COCO counts 0.5 or more. A fixed seed chose the images.',
                *(pictures / f'{image["id"]}.jpg' for image in chosen),
            ],
            'Poses on the most crowded val images': [pictures / f'{image["id"]}.jpg' for image in crowded],
            'What this run can show, and what it cannot': [
                'One HRNet was trained from scratch. HRNet and CA-HRNet then trained on from its checkpoint for '
                f'{epochs} epochs, CA-HRNet by warm start. Loaded into either network, the checkpoint gave the same '
                'result file, byte for byte. So the first row stands for both.',
                'The run shows that the whole pipeline works, and that CA-HRNet starts from a trained HRNet. It does '
                'not show which network is better: each was trained once, and another seed changes AP too. Intervals '
                'cover only the choice of val images. People and boxes are drawn: photographs are harder.',
            ],
            'Table 1, in percent': [_transposed(rows)],
            'Training': [pictures / 'curve.png'],
            'Coordinate attention: gates along height and width': [pictures / 'gates.jpg'],
        },
    )


def _transposed(rows: list[Row]) -> str:
    """The table with a line for each figure, to fit the screen of a phone."""
    grid = list(csv.reader(io.StringIO(format_tables(rows, 'csv'))))
    lines = [[cell or NOTHING for cell in line] for line in zip(*grid, strict=True)]
    lines[0][0] = ''
    return tabulate(lines[1:], lines[0], 'html', disable_numparse=True)


def gates_of_largest_people(checkpoint: Path, protocol: Protocol, num_people: int = 2) -> list:
    """The gates on the largest people of the val images."""
    with redirect_stdout(None):  # MMEngine prints that it loads a checkpoint
        model = load_model(config_path(NETWORKS['CA-HRNet']), checkpoint)
    annotations = json.loads(Path(protocol.ann_file).read_text())
    names = {image['id']: image['file_name'] for image in annotations['images']}
    people = sorted(annotations['annotations'], key=lambda person: person['area'])[-num_people:]
    images = [Path(protocol.image_dir, names[person['image_id']]) for person in people]
    return [record_gates(model, image, person['bbox']) for image, person in zip(images, people, strict=True)]


if __name__ == '__main__':
    main()
