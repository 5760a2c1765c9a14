"""Importing the modules in which an operator's own flows are defined."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from holdfast.operating.printable import quoted
from holdfast.operating.refused import Refused


def ship() -> None:
    """Register the flows and tasks that ship with Holdfast."""
    import holdfast.flows.shipped.command
    import holdfast.flows.shipped.hooking
    import holdfast.flows.shipped.measuring
    import holdfast.flows.shipped.private
    import holdfast.flows.shipped.provision
    import holdfast.flows.shipped.provision_file
    import holdfast.flows.shipped.receive
    import holdfast.flows.shipped.receiving
    import holdfast.flows.shipped.send_file
    import holdfast.flows.shipped.sending
    import holdfast.flows.shipped.ssh
    import holdfast.flows.shipped.tahoe
    import holdfast.flows.shipped.verifying
    import holdfast.flows.shipped.writing  # noqa: F401 - registers as the others do


def load(sources: Sequence[str]) -> Sequence[str]:
    """Import modules that register flows; return the kinds that did not ship with Holdfast.

    Args:
        sources: names of modules, or paths of files that end with .py.

    Raises:
        Refused: one cannot be imported, or registers no flow, or the names of a flow's tasks and of
            its methods do not go together.
    """
    from holdfast.flows.base import flow_class, kinds, problems

    # The first flow to register a name has it, and these come first.
    ship()
    for source in dict.fromkeys(sources):
        _check(source, _import(source))
    own = [kind for kind in kinds() if not flow_class(kind).__module__.startswith("holdfast.")]
    for kind in own:
        for problem in problems(kind):
            raise Refused(f"--flows: {problem}")
    return own


def _import(source: str) -> ModuleType:
    try:
        return _from_file(Path(source)) if source.endswith(".py") else _by_name(source)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the module raised, which is reported
        said = f": {error}" if str(error) else ""
        raise Refused(f"--flows {source}: {type(error).__name__}{said}{_place(error)}") from None


def _from_file(path: Path) -> ModuleType:
    path = path.absolute()
    if not path.is_file():
        raise Refused(f"--flows: there is no file {path}")
    name = path.stem
    if name in sys.modules:
        raise Refused(f"--flows {path}: a module called {quoted(name)} is imported already")
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Refused(f"--flows {path}: not a Python file")
    _find_in(path.parent)
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _by_name(name: str) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise Refused(f"--flows: {quoted(name)} is neither a module's name nor a .py file")
    _find_in(Path.cwd())
    return import_module(name)


def _find_in(folder: Path) -> None:
    """Let modules in `folder` be imported, unless other modules have their names."""
    if os.fspath(folder) not in sys.path:
        sys.path.append(os.fspath(folder))


def _place(error: Exception) -> str:
    """Return where in a module's file the error was raised."""
    if isinstance(error, SyntaxError):
        return ""  # the error's own text says where
    ours = Path(__file__).name
    frames = [frame for frame in extract_tb(error.__traceback__) if frame.name == "<module>"]
    frames = [frame for frame in frames if Path(frame.filename).name != ours]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _check(source: str, module: ModuleType) -> None:
    from holdfast.flows.base import Flow, kinds

    known = kinds()
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Flow):
            kind = getattr(value, "kind", None)
            if kind in known:
                return
    raise Refused(f"--flows {source}: no flow is registered there; see @holdfast.flow")
