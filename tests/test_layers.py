"""Imports go down: folders import only from lower layers, and no two modules import each other."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import ca_hrnet_plugin

PACKAGE = Path(ca_hrnet_plugin.__file__).parent
LEVELS = [
    {'compat', 'config_files', 'messages', 'whole_file'},
    {'models', 'engine'},
    {'checkpoints', 'evaluation'},
    {'deploy', 'preflight', 'reporting'},
    {'__init__', '__main__'},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def imports() -> dict[Path, set[Path]]:
    """The modules of the package that each of its modules imports."""
    graph = {}
    for path in PACKAGE.rglob('*.py'):
        if '.mim' in path.relative_to(PACKAGE).parts:
            continue
        graph[path] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                folder = path.parents[node.level - 1].joinpath(*(node.module or '').split('.'))
                if folder.with_suffix('.py').is_file():
                    graph[path].add(folder.with_suffix('.py'))
                else:
                    names = [folder / f'{alias.name}.py' for alias in node.names]
                    graph[path].update(name if name.is_file() else folder / '__init__.py' for name in names)
            elif isinstance(node, ast.ImportFrom | ast.Import):
                modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                assert not any(module.startswith('ca_hrnet_plugin') for module in modules), f'{path}: relative, please'
                assert not any((PACKAGE.parent / 'tools' / f'{module}.py').exists() for module in modules), path
    return graph


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def test_imports_go_down():
    for path, imported in imports().items():
        for other in imported:
            assert part(other) == part(path) or LEVEL[part(other)] < LEVEL[part(path)], f'{path} imports {other}'


def test_no_modules_import_each_other():
    list(TopologicalSorter(imports()).static_order())
