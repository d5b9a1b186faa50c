"""Imports go down: folders import only from lower layers."""

import ast
from pathlib import Path

import ca_hrnet_plugin

PACKAGE = Path(ca_hrnet_plugin.__file__).parent
LEVELS = [
    {'compat', 'config_files', 'messages', 'whole_file'},
    {'models', 'engine'},
    {'checkpoints', 'evaluation'},
    {'deploy', 'preflight', 'reporting'},
    {'comparison'},
    {'__init__', '__main__'},
]
LEVEL = {part: level for level, parts in enumerate(LEVELS) for part in parts}


def test_imports_go_down():
    for path in PACKAGE.rglob('*.py'):
        parts = path.relative_to(PACKAGE).parts
        if parts[0] == '.mim':
            continue
        part = parts[0].removesuffix('.py')
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level == len(parts):  # relative to the package
                for name in [node.module] if node.module else [alias.name for alias in node.names]:
                    other = name.partition('.')[0]
                    assert other == part or LEVEL[other] < LEVEL[part], f'{path} imports {other}'
