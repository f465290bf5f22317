from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import siliconflow_voice
from siliconflow_voice import client, emulator, errors, models
from siliconflow_voice.audio import source
from siliconflow_voice.calls import events, retry

PACKAGE = Path(siliconflow_voice.__file__).parent
WORKING_TREE = Path(__file__).parents[1]
MODULES = ["siliconflow_voice"] + [
    module.name for module in pkgutil.walk_packages(siliconflow_voice.__path__, "siliconflow_voice.")
]
installed = pytest.mark.skipif(
    "SILICONFLOW_VOICE_INSTALLED" not in os.environ, reason="the package under test is the working tree's"
)

# Each may import what stands above it, and of its own row only itself.
LAYERS = [
    ["models", "signals", "threads", "version"],
    ["errors"],
    ["database", "validation"],
    ["audio", "api", "throttle"],
    ["transport"],
    ["calls"],
    ["uploads", "speech"],
    ["client"],
    ["bulk"],
    ["fleet"],
    ["cli"],
    ["__main__"],
]
LEVELS = {unit: level for level, units in enumerate(LAYERS) for unit in units}
MAY_IMPORT = {
    # Recordings are fetched below `transport`, where nothing can know the key.
    "aiohttp": {"transport", "client", "emulator", "audio.remote.web"},
    "av": {"audio.preparation.decoding", "audio.preparation.rendering"},
    "tenacity": {"calls.retry"},
    "procrastinate": {"fleet"},
    "psycopg": {"database", "fleet"},
    "python_calamine": {"bulk.workbook"},
    "sqlite3": {"bulk.store", "bulk.journal_file", "bulk.checking"},
}
OTHER_CLOCKS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "os.times",
    "signal.alarm",
    "signal.setitimer",
    "tenacity.stop_after_delay",
    "tenacity.stop_before_delay",
    "threading.Timer",
}
"""Besides all of ``time``."""
OTHER_CLOCKS_ALLOWED = {
    ("api.refusals", "datetime.datetime.now"): "Retry-After may be a date, from a server that sends no Date",
    ("bulk.resume", "time.time"): "how long ago a run ended, which was another process",
    ("bulk.store", "time.time"): "when a record was written, for another process to read",
    ("cli.stats", "time.perf_counter"): "counts from before there is a loop; decides nothing",
    ("cli.stats", "time.time"): "the report's date",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Give each module's name below the package, and its tree."""
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), ast.parse(path.read_bytes())


def imported(tree: ast.Module) -> Iterator[str]:
    """Give the full names of what a module imports, wherever in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                assert (module is not None, level) == (True, 0), "relative imports hide where they lead"
                yield from (f"{module}.{name.name}" for name in names)
            case _:
                pass


IMPORTS = {name: set(imported(tree)) for name, tree in sources()}


def units(names: set[str]) -> set[str]:
    """Give the parts of the package that are imported: its modules and packages at the top."""
    below = (
        name.removeprefix("siliconflow_voice.") for name in names if name.startswith("siliconflow_voice.")
    )
    return {name.partition(".")[0] for name in below}


def test_the_public_names_are_sorted() -> None:
    assert sorted(siliconflow_voice.__all__) == siliconflow_voice.__all__


def test_the_public_names_are_all_there_is() -> None:
    names = {
        name
        for name, value in vars(siliconflow_voice).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    names -= {"TYPE_CHECKING", "import_module"}
    assert set(siliconflow_voice.__all__) == names | set(siliconflow_voice._BULK)


def test_what_bulk_runs_need_is_imported_with_the_first_of_their_names() -> None:
    code = (
        "import sys, siliconflow_voice; before = 'sqlite3' in sys.modules;"
        "siliconflow_voice.upload_many; print(before, 'sqlite3' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", code]
    process = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603 - ours
    assert process.stdout == "False True\n"


def test_what_there_is_not_can_not_be_imported() -> None:
    with pytest.raises(AttributeError, match="module 'siliconflow_voice' has no attribute 'uploadmany'"):
        getattr(siliconflow_voice, "uploadmany")  # noqa: B009 - a checker of types knows that it is not there


@pytest.mark.parametrize("module", [errors, models, events, client, source, retry], ids=lambda m: m.__name__)
def test_what_a_module_has_for_users_is_public(module: ModuleType) -> None:
    assert set(module.__all__) <= set(siliconflow_voice.__all__)


def test_nothing_of_other_libraries_is_public() -> None:
    public = [getattr(siliconflow_voice, name) for name in siliconflow_voice.__all__]
    homes = {value.__module__.partition(".")[0] for value in public if inspect.isclass(value)}
    assert homes == {"siliconflow_voice"}


def documented() -> Iterator[tuple[str, object]]:
    """Give the public classes and functions, and the classes' public methods and properties."""
    for module in (siliconflow_voice, emulator):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isclass(value) and not inspect.isfunction(value):
                continue  # an alias of types, which has no docstring of its own
            yield name, value
            for attribute, member in vars(value).items():
                if not attribute.startswith("_") and (
                    inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
                ):
                    yield f"{name}.{attribute}", getattr(value, attribute)


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in documented()])
def test_what_is_public_is_documented(value: object) -> None:
    own = value.__doc__ if inspect.isclass(value) else inspect.getdoc(value)
    assert (own or "").strip()


@pytest.mark.parametrize("name", sorted(IMPORTS))
def test_a_module_says_in_its_first_line_what_it_is_for(name: str) -> None:
    path = PACKAGE.joinpath(*name.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_bytes())
    first, *_ = (ast.get_docstring(tree) or "").splitlines() or [""]
    assert first.endswith((".", "::"))


ALONE = """
import json, os, sys, traceback
import siliconflow_voice  # as Python does before any module of it; and what takes long, once for all
import cyclopts, rich.live, rich.table

for module in sys.argv[1:]:
    if os.fork():
        os.wait()
        continue
    try:
        __import__(module)
        met = ""
    except BaseException:
        met = traceback.format_exc()
    os.write(1, json.dumps([module, met]).encode() + b"\\n")
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a new interpreter for each module takes too long")
def test_a_module_can_be_imported_alone_and_without_a_warning() -> None:
    command = [sys.executable, "-W", "error", "-c", ALONE, *MODULES]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - ours
    assert (process.returncode, process.stderr) == (0, "")
    assert dict(json.loads(line) for line in process.stdout.splitlines()) == dict.fromkeys(MODULES, "")


@pytest.mark.parametrize("name", sorted(name for name in IMPORTS if name and not name.startswith("emulator")))
def test_imports_go_down_only(name: str) -> None:
    unit = name.partition(".")[0]
    lower = {other for other in LEVELS if LEVELS[other] < LEVELS[unit]} | {unit}
    lower |= {"emulator"} if unit == "cli" else set()
    assert units(IMPORTS[name]) - lower == set()


def test_the_emulator_imports_nothing_of_the_package_but_models_and_signals() -> None:
    found = set[str]().union(*(units(IMPORTS[name]) for name in IMPORTS if name.startswith("emulator")))
    assert found <= {"emulator", "models", "signals"}


def test_no_module_imports_the_package_itself() -> None:
    importers = {name for name, names in IMPORTS.items() if "siliconflow_voice" in names}
    assert importers == set()


def test_each_part_has_its_layer() -> None:
    assert set(LEVELS) == {name.partition(".")[0] for name in IMPORTS if name} - {"emulator"}


@pytest.mark.parametrize("library", MAY_IMPORT)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    importers = {
        name for name, names in IMPORTS.items() if any(other.split(".")[0] == library for other in names)
    }
    at_home = {
        place: {name for name in importers if f"{name}.".startswith(f"{place}.")}
        for place in MAY_IMPORT[library]
    }
    assert (importers, all(at_home.values())) == (set[str]().union(*at_home.values()), True)


def read_clocks(tree: ast.Module) -> set[str]:
    """Return the full names of the clocks, sleeps and timers, other than the loop's, in a module."""
    names = {
        alias.asname or alias.name: alias.name if module is None else f"{module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        for module in [node.module if isinstance(node, ast.ImportFrom) else None]
    }
    mentioned = set(names.values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            mentioned.add(".".join([names.get(first, first), *rest]))
    return {name for name in mentioned if name.startswith("time.") or name in OTHER_CLOCKS}


@pytest.mark.parametrize(
    ("code", "clocks"),
    [
        ("import time\ntime.monotonic()", {"time.monotonic"}),
        ("import time as t\nfield(factory=t.perf_counter)", {"time.perf_counter"}),
        ("from time import sleep as rest\nrest(1)", {"time.sleep"}),
        ("def late():\n    import time\n    return time.time_ns() / 1e9", {"time.time_ns"}),
        ("from datetime import UTC, datetime\ndatetime.now(UTC)", {"datetime.datetime.now"}),
        ("import datetime\ndatetime.date.today()", {"datetime.date.today"}),
        ("from tenacity import stop_after_delay", {"tenacity.stop_after_delay"}),
        ("from threading import Timer", {"threading.Timer"}),
        ("import asyncio\nasyncio.get_running_loop().time()\nrecord.time", set()),
        ("from datetime import datetime\ndatetime.fromtimestamp(at)", set()),
    ],
)
def test_a_clock_is_found_however_it_is_written(code: str, clocks: set[str]) -> None:
    assert read_clocks(ast.parse(code)) == clocks


def test_the_only_clock_is_the_loops() -> None:
    read = {(name, clock) for name, tree in sources() for clock in read_clocks(tree)}
    assert read == set(OTHER_CLOCKS_ALLOWED)


def test_it_says_that_it_is_typed() -> None:
    assert PACKAGE.joinpath("py.typed").is_file()


@installed
def test_the_package_under_test_is_the_installed_one() -> None:
    assert not PACKAGE.is_relative_to(WORKING_TREE / "siliconflow_voice")


@installed
def test_the_version_is_that_of_the_distribution() -> None:
    assert siliconflow_voice.__version__ == importlib.metadata.version("siliconflow-voice")
