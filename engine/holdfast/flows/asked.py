"""Which tasks a flow asks for, and whether it hears of each: found before it runs.

A task whose result nobody takes, or a method for the result of a task that does not exist, is
nearly always a name that is written in two ways. Such a flow would wait for ever, and say nothing.

The class's source says what it asks for: each call of `perform` whose task is a name in quotation
marks or a module's function. Whatever else is asked for, such as `self.perform(self.job)` or by a
protocol, is not seen here, and nothing is said about it; nor is it without a source.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from types import CodeType, FunctionType
from typing import Any, Final

from holdfast.flows.activities import kinds as activity_kinds
from holdfast.flows.tasks import kinds as task_kinds
from holdfast.flows.tasks import method_name, name_of

_ENDINGS: Final = ("_done", "_failed")
_MISSING: Final = object()


def results_not_taken(cls: type) -> Iterator[str]:
    """Say for each task that a flow of `cls` asks for, and of which it does not hear, what to do.

    It hears of it by a method `TASK_done`; a class that wants no result has None under that name.
    """
    for task in sorted(_asked_for(cls)):
        method = f"{method_name(task)}_done"
        if getattr(cls, method, _MISSING) is not _MISSING:
            continue
        handlers = [name for name in dir(cls) if name.endswith("_done")]
        near = get_close_matches(method, handlers, 1)
        written = f" (it has {near[0]})" if near else ""
        yield (
            f"it performs the task {task!r}, and has no method {method}(self, result){written};"
            f" if it wants no result, say so: {method} = None"
        )


def tasks_not_known(cls: type, elsewhere: frozenset[str]) -> Iterator[str]:
    """Say which tasks of `cls` no function here does.

    Args:
        cls: a registered flow, once everything is registered that it needs.
        elsewhere: tasks that need not be known here.
    """
    for task in sorted(_asked_for(cls) - {*task_kinds(), *elsewhere}):
        yield f"it performs the task {task!r}, and no function here is registered as that"


def methods_not_called(cls: type, elsewhere: frozenset[str]) -> Iterator[str]:
    """Say which methods of `cls` are for the result of a task that there is not; as above."""
    methods = {method_name(task) for task in {*task_kinds(), *elsewhere} | _asked_for(cls)}
    called = _called(cls)
    for name, asked, ending in _for_results(cls):
        if asked in methods or name in called or not _takes_one(cls, name):
            continue
        if any(name.startswith(f"{method_name(kind)}_") for kind in activity_kinds()):
            continue
        near = get_close_matches(asked, methods, 1)
        meant = f" (there is {near[0]}{ending})" if near else ""
        yield (
            f"nothing calls its method {name}: no task is called {asked.replace('_', '-')!r}"
            f" here{meant}"
        )


@cache
def _for_results(cls: type) -> tuple[tuple[str, str, str], ...]:
    """Return its names that look like methods for results, each with its task's part and ending."""
    found = ((name, *_split(name)) for name in dir(cls))
    return tuple(each for each in found if each[1])


def _split(name: str) -> tuple[str, str]:
    """Return the task's part and the ending of a method's name; "" if it is not for a task."""
    for ending in _ENDINGS:
        if name.endswith(ending) and not name.startswith("_"):
            return name.removesuffix(ending), ending
    return "", ""


def _takes_one(cls: type, name: str) -> bool:
    """Whether it is a method with one argument, as those are that take a result or a reason."""
    method = inspect.getattr_static(cls, name)
    if not isinstance(method, FunctionType):
        return False
    return method.__code__.co_argcount == 2 and not method.__code__.co_kwonlyargcount


def _asked_for(cls: type) -> set[str]:
    """Return the names of the tasks that the methods of `cls` ask for, as far as can be seen."""
    # Which functions are registered may change; what the source says does not.
    found = {_name(method, given) for method, given in _given(cls)}
    return {name for name in found if name is not None}


@cache
def _given(cls: type) -> tuple[tuple[FunctionType, ast.expr], ...]:
    """Return what the methods of `cls` give to `perform`: each engine that starts asks for it."""
    return tuple(
        (method, given)
        for method in _methods(cls)
        # To read the source takes longer than all the rest.
        if any("perform" in code.co_names for code in _nested(method.__code__))
        for given in _performed(method)
    )


def _performed(method: FunctionType) -> Iterator[ast.expr]:
    """Yield what is given to each call of `perform`."""
    try:
        lines = inspect.getsource(method)
        tree = ast.parse(f"if True:\n{lines}" if lines[:1].isspace() else lines)
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "perform":
            yield from node.args[:1]
            yield from (each.value for each in node.keywords if each.arg == "task")


def _name(method: FunctionType, given: ast.expr) -> str | None:
    """Return the name of a task that is written out, or whose function is registered by now."""
    value: Any = None
    if isinstance(given, ast.Constant):
        value = given.value
    elif isinstance(given, ast.Name):
        value = method.__globals__.get(given.id)
    try:
        return name_of(value) if isinstance(value, str) or callable(value) else None
    except ValueError:
        return None


@cache
def _called(cls: type) -> frozenset[str]:
    """Return all names that the methods of `cls` use."""
    codes = (code for method in _methods(cls) for code in _nested(method.__code__))
    return frozenset(name for code in codes for name in code.co_names)


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _nested(each)


def _methods(cls: type) -> Iterator[FunctionType]:
    """Yield the methods that can be called: an overridden one only if it is, by `super`."""
    hidden: set[str] = set()
    for each in cls.__mro__:
        if each.__module__ == "holdfast.flows.base" or each is object:
            continue
        for name, value in vars(each).items():
            if name in hidden:
                continue
            methods = list(_functions(value))
            yield from methods
            codes = [code for method in methods for code in _nested(method.__code__)]
            if not any("super" in code.co_names for code in codes):
                hidden.add(name)


def _functions(value: Any) -> Iterator[FunctionType]:
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        value = value.fget
    inner = inspect.unwrap(value) if callable(value) else value
    if isinstance(inner, FunctionType):
        yield inner
