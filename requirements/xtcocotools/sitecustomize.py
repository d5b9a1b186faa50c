"""On PYTHONPATH while xtcocotools 1.14.3 is built, so that it builds on Python 3.13.

Its setup.py has a function ``get_version`` that calls ``exec`` and then reads the result out of ``locals()``. Python
3.13 no longer hands that on (PEP 667); within that one function it is handed on here.
"""

import builtins
import sys

_exec = builtins.exec
_left_behind = {}


def _exec_and_keep(source, *namespaces, **closure):
    if sys._getframe(1).f_code.co_name == 'get_version' and not namespaces:
        namespaces = (_left_behind,)
    elif not namespaces:
        caller = sys._getframe(1)
        namespaces = (caller.f_globals, caller.f_locals)
    return _exec(source, *namespaces, **closure)


def _locals_and_kept():
    caller = sys._getframe(1)
    return {**caller.f_locals, **_left_behind} if caller.f_code.co_name == 'get_version' else caller.f_locals


builtins.exec, builtins.locals = _exec_and_keep, _locals_and_kept
