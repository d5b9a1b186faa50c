"""Trains and tests the networks of configs/study on folds of a data set, so that each person is tested once.

The images of train2017 and val2017 together are dealt into folds, equally many of each level of crowding. For each fold
a base network is trained on the other folds. All networks of NETWORKS start from it, for further epochs, and are tested
on the fold. A fold's number is the seed of its trainings. Bases come first, then one network after the other.

What is done is not done again, and a training that was interrupted goes on from its last epoch: kill the command at any
time, and give it again. In OUT are left
  annotations/fold0_train.json, fold0_test.json, ... and all.json, which has every image
  fold0/NETWORK/   work dir of a training: checkpoints, logs, its whole config, and results.json, what the test found

  tools/run_study.py data/coco --out work_dirs/study

With --report it trains nothing and prints what the folds that are done say together, as the difference of each network
to the first: HRNet, or the first of --networks. With --gates CA-HRNet it tests that network of each fold with other
gates in the place of its own, as tools/report_gates.py does, and prints what they say together.
"""

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tabulate import tabulate

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.checkpoints.fit import load_model
from ca_hrnet_plugin.evaluation import Interval, crowd_index, evaluate_results, paired_bootstrap
from ca_hrnet_plugin.evaluation.coco_files import read_annotations
from ca_hrnet_plugin.evaluation.split_eval import CROWD_LEVELS
from ca_hrnet_plugin.reporting.gate_report import GATES, predict_with_gates
from ca_hrnet_plugin.reporting.protocol import read_protocol
from ca_hrnet_plugin.whole_file import whole_file

BASE = 'base'
# The most telling first, should time be short.
NETWORKS = {
    'HRNet': 'hrnet_w16_128x96',
    'CA-HRNet': 'ca_hrnet_w16_128x96',
    'CA-HRNet-full-rate': 'ca_hrnet_w16_128x96_full_rate',
    'CA-HRNet-unit-gain': 'ca_hrnet_w16_128x96_unit_gain',
    'profiles': 'ca_hrnet_w16_128x96_profiles',
    'SE': 'ca_hrnet_w16_128x96_se',
    'CBAM': 'ca_hrnet_w16_128x96_cbam',
}
CONFIGS = {BASE: 'hrnet_w16_128x96_base', **NETWORKS}


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path, help='folder in the layout of COCO 2017')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/study'), help='folder (default: %(default)s)')
    parser.add_argument('--folds', type=int, default=5, help='number of folds (default: %(default)s)')
    parser.add_argument('--only', type=int, nargs='+', help='these folds alone, such as 3 4: the first is 0')
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS), help='all by default')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time; with more than one, set OMP_NUM_THREADS')
    parser.add_argument('--report', action='store_true', help='print the table of what is done')
    parser.add_argument('--cfg-options', nargs='+', default=[], help='of every training and test, as for mim train')
    parser.add_argument(
        '--gates', metavar='NETWORK', choices=NETWORKS, help='test it with other gates, and print what they say'
    )
    args = parser.parse_args()
    if args.gates and (args.report or args.cfg_options or args.networks != list(NETWORKS)):
        parser.error('--gates tests one network as it was trained: give no --report, --networks or --cfg-options')
    data, out = args.data.resolve(), args.out.resolve()
    if args.report:
        print(report({network: f'{network}/results.json' for network in args.networks}, out, args.folds))
        return
    if args.gates:
        for fold in args.only or range(args.folds):
            try:
                test_other_gates(args.gates, out / f'fold{fold}' / args.gates)
            except ValueError as error:
                sys.exit(f'fold {fold}, {args.gates}: {error}')
        print(report({gates: f'{args.gates}/gates/{gates}.json' for gates in GATES}, out, args.folds))
        return
    write_folds(data, out / 'annotations', args.folds)
    with ThreadPoolExecutor(args.jobs) as pool:
        folds = args.only or range(args.folds)
        bases = {fold: pool.submit(train_and_test, BASE, fold, data, out, args.cfg_options) for fold in folds}

        def go_on(network: str, fold: int) -> None:
            bases[fold].result()
            train_and_test(network, fold, data, out, args.cfg_options)

        try:
            for run in [pool.submit(go_on, network, fold) for network in args.networks for fold in folds]:
                run.result()
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure or Ctrl-C no further run begins


def write_folds(data: Path, folder: Path, num_folds: int) -> None:
    """Writes the annotations of each fold and of all, whose file names start from the data's folder."""
    images, annotations = [], []
    for part in ('train2017', 'val2017'):
        dataset = read_annotations(data / f'annotations/person_keypoints_{part}.json', 17)
        images += [dict(image, file_name=f'{part}/{image["file_name"]}') for image in dataset['images']]
        annotations += dataset['annotations']
    fold_of = deal(images, annotations, num_folds)
    parts = {'all': set(fold_of)}
    for fold in range(num_folds):
        parts[f'fold{fold}_test'] = {image for image, of in fold_of.items() if of == fold}
        parts[f'fold{fold}_train'] = {image for image, of in fold_of.items() if of != fold}
    folder.mkdir(parents=True, exist_ok=True)
    for name, chosen in parts.items():
        content = dict(
            dataset,
            images=[image for image in images if image['id'] in chosen],
            annotations=[annotation for annotation in annotations if annotation['image_id'] in chosen],
        )
        with whole_file(folder / f'{name}.json') as unfinished:
            unfinished.write_text(json.dumps(content))


def deal(images: list[dict], annotations: list[dict], num_folds: int) -> dict[int, int]:
    """The fold of each image by its id: each fold has as many images of each level of crowding, give or take one."""
    people = {image['id']: [] for image in images}
    for annotation in annotations:
        people[annotation['image_id']].append(annotation)
    indices = {image: crowd_index(of_image) for image, of_image in people.items()}
    ids = sorted(people)
    random.Random(0).shuffle(ids)
    ids.sort(key=lambda image: sum(indices[image] >= edge for edge in CROWD_LEVELS.values()))
    return {image: rank % num_folds for rank, image in enumerate(ids)}


def train_and_test(network: str, fold: int, data: Path, out: Path, options: list[str]) -> None:
    """Trains and tests a network on a fold, as far as it is not done."""
    work_dir = out / f'fold{fold}' / network
    if (work_dir / 'results.json').exists():
        return
    work_dir.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    print(f'{time.strftime("%F %T")} fold {fold}, {network}: {work_dir}/train.log', flush=True)
    run_mim('train', train_command(network, fold, data, out, options), work_dir)
    run_mim('test', test_command(network, fold, data, out, options), work_dir)
    (work_dir / 'test/found.keypoints.json').replace(work_dir / 'results.json')
    print(f'{time.strftime("%F %T")} fold {fold}, {network}: {(time.monotonic() - start) / 60:.0f} min', flush=True)


def train_command(network: str, fold: int, data: Path, out: Path, options: list[str]) -> list[str]:
    """The arguments of mim train: from where it was left, or from the base."""
    work_dir = out / f'fold{fold}' / network
    base = out / f'fold{fold}' / BASE / 'last_checkpoint'
    if network == BASE or (work_dir / 'last_checkpoint').exists():
        start = ['--resume', '--cfg-options']
    else:
        start = ['--cfg-options', f'load_from={base.read_text()}']
    config = config_path(f'study/{CONFIGS[network]}')
    return [str(config), '--work-dir', str(work_dir), *start, *on_fold(fold, data, out), *options]


def test_command(network: str, fold: int, data: Path, out: Path, options: list[str]) -> list[str]:
    """The arguments of mim test."""
    work_dir = out / f'fold{fold}' / network
    config = config_path(f'study/{CONFIGS[network]}')
    checkpoint = (work_dir / 'last_checkpoint').read_text()
    found = f'test_evaluator.outfile_prefix={work_dir}/test/found'
    test = [str(config), '--checkpoint', checkpoint, '--work-dir', f'{work_dir}/test', '--cfg-options', found]
    return [*test, *on_fold(fold, data, out), *options]


def on_fold(fold: int, data: Path, out: Path) -> list[str]:
    """The options that put a config on a fold."""
    options = [f'randomness.seed={fold}']
    for loader, part in dict(train='train', val='test', test='test').items():
        ann_file = out / f'annotations/fold{fold}_{part}.json'
        dataset = f'{loader}_dataloader.dataset'
        options += [
            f'{dataset}.data_root={data}',
            f'{dataset}.ann_file={ann_file}',
            f'{dataset}.data_prefix.img={data}',
        ]
        if loader != 'train':
            options.append(f'{loader}_evaluator.ann_file={ann_file}')
    return options


def test_other_gates(network: str, work_dir: Path) -> None:
    """Writes what a network finds with each kind of gates, if it is trained and that is not done."""
    folder = work_dir / 'gates'
    if folder.exists() or not (work_dir / 'results.json').exists():
        return
    print(f'other gates in {work_dir}', file=sys.stderr)
    config = work_dir / f'{NETWORKS[network]}.py'
    with contextlib.redirect_stdout(sys.stderr):  # the table alone is the output
        model = load_model(config, (work_dir / 'last_checkpoint').read_text())
        found, _ = predict_with_gates(model, read_protocol(config))
    unfinished = work_dir / 'gates.unfinished'
    unfinished.mkdir(exist_ok=True)
    for gates, result in found.items():
        (unfinished / f'{gates}.json').write_text(json.dumps(result))
    unfinished.rename(folder)


def report(results: dict[str, str], out: Path, num_folds: int) -> str:
    """The table of the folds that are done, put together.

    Args:
        results (dict[str, str]): What to compare with the first: the result file of each within the folder of a fold.
        out (Path): The study's folder.
        num_folds (int): How many folds it has.
    """
    files = {name: [out / f'fold{fold}' / file for fold in range(num_folds)] for name, file in results.items()}
    done = [fold for fold in range(num_folds) if all(of_folds[fold].exists() for of_folds in files.values())]
    if not done:
        sys.exit(f'no fold in {out} is done for each of {", ".join(results)}')
    datasets = [json.loads((out / f'annotations/fold{fold}_test.json').read_text()) for fold in done]
    together = {part: [one for dataset in datasets for one in dataset[part]] for part in ('images', 'annotations')}
    fold_of = {image['id']: fold for fold, dataset in zip(done, datasets, strict=True) for image in dataset['images']}
    with whole_file(out / 'annotations/done.json') as unfinished:
        unfinished.write_text(json.dumps(datasets[0] | together))
    evaluations = {
        network: evaluate_results(
            out / 'annotations/done.json',
            [pose for fold in done for pose in json.loads(of_folds[fold].read_text())],
        )
        for network, of_folds in files.items()
    }
    first, *others = files
    figures = {network: evaluation.figures() for network, evaluation in evaluations.items()}
    folds = [fold_of[image] for image in evaluations[first].params.imgIds]
    intervals = {
        network: paired_bootstrap(
            evaluations[first], evaluations[network], folds=folds if len(done) > 1 else None, progress=True
        )
        for network in others
    }
    rows = []
    for name, figure in figures[first].items():
        if not name.startswith('instances'):
            level = name[name.find('(') :]
            row = [name, f'{figures[first].get(f"instances {level}", "")}', f'{100 * figure:.1f}']
            rows.append(
                [*row, *(difference(found[name], figures[network][name]) for network, found in intervals.items())]
            )
    for name in [name for name in next(iter(intervals.values()), {}) if name not in figures[first]]:
        rows.append([name, '', '', *(difference(found[name]) for found in intervals.values())])
    covered = 'images and folds' if len(done) > 1 else 'images'
    title = f'{len(together["images"])} images of folds {done}; intervals of 95 % over {covered}'
    return f'{title}\n\n{tabulate(rows, ["", "instances", *files], "github", disable_numparse=True)}'


def difference(interval: Interval, figure: float | None = None) -> str:
    """A cell, in percent."""
    change, low, high = (f'{100 * value:+.1f}' for value in interval)
    covered = f' [{low}, {high}]' if interval.is_known else ''
    return f'{"" if figure is None else f"{100 * figure:.1f}, "}{change}{covered}'


def run_mim(command: str, arguments: list[str], work_dir: Path) -> None:
    """Runs mim train or test into a log in the work dir."""
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore', 'CUBLAS_WORKSPACE_CONFIG': ':4096:8'}
    log = work_dir / f'{command}.log'
    with log.open('a') as file:
        arguments = [sys.executable, '-m', 'mim', command, 'mmpose', *arguments]
        if subprocess.run(arguments, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode:
            sys.exit(f'mim {command} failed: its log is {log}')


if __name__ == '__main__':
    main()
