"""On PYTHONPATH while xtcocotools 1.14.3 is built, so that it builds on Python 3.13.

Its setup.py has a function ``get_version`` that calls ``exec`` and then reads the result from ``locals()``. Python 3.13
no longer keeps it there (PEP 667). This module keeps it, for that function only.
"""

import builtins
import sys

_exec = builtins.exec
_left_behind = {}


def _locals_of(frame):
    # As the real locals() returns them: the module's own dict, or a copy for a function.
    return frame.f_locals if isinstance(frame.f_locals, dict) else dict(frame.f_locals)


def _exec_and_keep(source, *namespaces, **closure):
    if not namespaces:
        caller = sys._getframe(1)
        in_get_version = caller.f_code.co_name == 'get_version'
        namespaces = (_left_behind,) if in_get_version else (caller.f_globals, _locals_of(caller))
    return _exec(source, *namespaces, **closure)


def _locals_and_kept():
    caller = sys._getframe(1)
    in_get_version = caller.f_code.co_name == 'get_version'
    return {**_locals_of(caller), **_left_behind} if in_get_version else _locals_of(caller)


builtins.exec, builtins.locals = _exec_and_keep, _locals_and_kept
