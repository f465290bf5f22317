"""Everything that is done with the project besides writing it."""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
DEPENDENCIES: list[str] = [
    *PYPROJECT["project"]["dependencies"],
    *PYPROJECT["project"]["optional-dependencies"]["cli"],
    *PYPROJECT["project"]["optional-dependencies"]["fleet"],
    *PYPROJECT["project"]["optional-dependencies"]["prepare"],
]

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "typing", "docs"]
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"

# pyenv's shims answer for the active version alone: put each installed version within reach.
_PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
os.environ["PATH"] = os.pathsep.join(
    [*(str(folder) for folder in sorted(_PYENV.glob("3.1[1-9].*/bin"))), os.environ["PATH"]]
)

# What takes long is tested on one Python: the newest that is installed, where no test lacks a feature, and
# deprecations come first. Coverage costs the same on each: sys.monitoring can't tell branches before 3.14.
THOROUGH = next((python for python in reversed(PYTHONS) if shutil.which(f"python{python}")), PYTHONS[-1])
SLOW = ["tests/faults", "tests/killing", "tests/simulation"]
# What other programs or whole services take part in: on one Python as well, but for the coverage.
ONCE = ["tests/field", "tests/fuzzing", "tests/preparation", "tests/serving"]
PIP = ["python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
PYTEST = ["pytest", "--numprocesses", "auto", "--dist", "worksteal"]

# The working tree must not shadow the wheel: see tests/test_package.py.
INSTALLED = {"PYTHONSAFEPATH": "1", "SILICONFLOW_VOICE_INSTALLED": "1"}


@functools.cache
def _dist() -> Path:
    """Return an empty folder for the wheel, which is built once for all sessions."""
    folder = Path(".nox", "dist").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _install_wheel(session: nox.Session, folder: Path) -> None:
    # Not by session.install, which `nox -R` skips: the wheel of before would be tested.
    session.run(*PIP, "install", "--no-deps", "--force-reinstall", *map(str, folder.glob("*.whl")))


def _install(session: nox.Session, *groups: str, dependencies: list[str] = DEPENDENCIES) -> None:
    """Install the built wheel with its extras, and the groups' tools beside it."""
    session.install("--quiet", *dependencies, *nox.project.dependency_groups(PYPROJECT, *groups))
    if not _dist().exists():
        session.run(*PIP, "wheel", "--no-deps", "--wheel-dir", str(_dist()), ".")
    _install_wheel(session, _dist())


@nox.session
def demo(session: nox.Session) -> None:
    """Upload real recordings to the emulator, through a small quota and an overloaded service."""
    _install(session)
    session.run("python", "-P", "examples/demo.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the installed wheel, warnings being errors; on one Python the slow tests too, and coverage."""
    _install(session, "tests")
    ignored = [argument for folder in SLOW for argument in ("--ignore", folder)]
    if session.posargs:
        session.run("pytest", *session.posargs, env=INSTALLED)
    elif session.python == THOROUGH:
        session.run(*PYTEST, *ignored, "--cov", "--cov-report=term", env=INSTALLED)
        session.run(*PYTEST, *SLOW, env=INSTALLED)  # thousands of uploads, and no branch more
    else:
        ignored += [argument for folder in ONCE for argument in ("--ignore", folder)]
        session.run(*PYTEST, *ignored, "-m", "not postgresql", env=INSTALLED)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """Test with the lowest version of each dependency that pyproject.toml allows."""
    dependencies = [requirement.replace(">=", "==") for requirement in DEPENDENCIES]
    _install(session, "tests", dependencies=dependencies)
    session.run(*(session.posargs or [*PYTEST, "--ignore", "tests/simulation"]), env=INSTALLED)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("--quiet", *nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, strictly, with two checkers."""
    _install(session, "typing", "bench")
    session.install("--quiet", "nox")
    session.run("mypy")
    session.run("pyright", "--pythonpath", str(Path(session.bin) / "python"))


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    _install(session, "docs")
    session.run("sphinx-build", "-q", "-W", "-n", "-b", "html", "docs", "docs/_build/html")


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel and the sdist, and import the wheel elsewhere."""
    session.install("--quiet", "build", "twine", *PYPROJECT["project"]["dependencies"])
    dist = Path(session.create_tmp(), "dist")
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    _install_wheel(session, dist)
    with session.chdir(session.create_tmp()):
        session.run("python", "-W", "error", "-c", "import siliconflow_voice as s; print(s.__file__)")


@nox.session(reuse_venv=False)
@nox.parametrize("tools", [[], ["pytest-asyncio"], ["anyio"]], ids=["alone", "pytest-asyncio", "anyio"])
def fresh(session: nox.Session, tools: list[str]) -> None:
    """Run two tests of the page on testing as printed, with nothing but what it says installed."""
    _install(session, dependencies=PYPROJECT["project"]["dependencies"])
    session.install("--quiet", "pytest", *tools)
    page = Path("docs", "howto", "testing.md").read_text("utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```python\n")]
    examples = {
        name: next(block for block in blocks if name in block) for name in ("_is_waited_for", "_is_cut_off")
    }
    recording = Path("examples", "recordings", "patience-zh.mp3").read_bytes()
    folder = Path(session.create_tmp())
    for name, example in examples.items():
        Path(folder, f"test{name}.py").write_text(example, "utf-8")
    Path(folder, "conftest.py").write_text('pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]\n')
    Path(folder, "pytest.ini").write_text("[pytest]\n")  # or pytest would find this project's settings
    Path(folder, "narrator.mp3").write_bytes(recording)
    modes = ["strict", "auto"] if "pytest-asyncio" in tools else []
    with session.chdir(folder):
        for options in [["-o", f"asyncio_mode={mode}"] for mode in modes] or [[]]:
            session.run("pytest", "--quiet", *options, env=INSTALLED)


@nox.session
def contract(session: nox.Session) -> None:
    """Check the emulator against docs/openapi.yaml with generated requests."""
    _install(session, "contract", dependencies=PYPROJECT["project"]["dependencies"])
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "contract", *session.posargs, env=env)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against peers, side by side in one run (minutes)."""
    _install(session, "bench")
    env = {"PYTHONPATH": "benchmarks", "PYTHONSAFEPATH": "1"}
    session.run("python", "benchmarks/run.py", *session.posargs, env=env)
    session.run("python", "benchmarks/imports.py", env=env)
    session.run("python", "benchmarks/memory.py", env=env)
    session.run("python", "benchmarks/lag.py", env=env)
    session.run("python", "benchmarks/bulk.py", env=env)


@nox.session
def live(session: nox.Session) -> None:
    """Record how the real service answers, with the key in SILICONFLOW_API_KEY, and compare the emulator."""
    if not os.environ.get("SILICONFLOW_API_KEY"):
        session.skip(
            "SILICONFLOW_API_KEY is not set: set it to a key of SiliconFlow to record the real service"
        )
    _install(session, dependencies=PYPROJECT["project"]["dependencies"])
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "live", *session.posargs, env=env)


@nox.session
def soak(session: nox.Session) -> None:
    """Kill a bulk run a hundred times, and count what is missing and what is there twice (minutes)."""
    _install(session, "tests")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "killing", *session.posargs, env=env)


@nox.session
def load(session: nox.Session) -> None:
    """Call the documentation's services a hundred times at once, with a bad vendor behind them (minutes)."""
    _install(session, "tests")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "serving", *session.posargs, env=env)


@nox.session
def fleet(session: nox.Session) -> None:
    """Kill the workers of a fleet, restart its database, and count what is missing or twice (minutes)."""
    _install(session, "tests")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "fleet_soak", *session.posargs, env=env)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Break what is read from outside, guided by coverage, and look for errors that are not the SDK's."""
    _install(session, "fuzz")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "fuzzing", *session.posargs, env=env)


@nox.session
@nox.parametrize("engine", ["celery", "ray"])
def engines(session: nox.Session, engine: str) -> None:
    """Run the example of another engine, and kill its workers in the middle (minutes)."""
    packages = {"celery": ["celery[redis]>=5.5"], "ray": ["ray>=2.40", "psutil"]}
    session.install("--quiet", *packages[engine])
    _install(session)
    session.run("python", "examples/engines/try_engine.py", engine)


@nox.session
def simulate(session: nox.Session) -> None:
    """Hours of quota in minutes: the table of servers, limits and latencies, and the charts of the docs."""
    _install(session, "tests")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    # A part of it is no table for the docs.
    table = [] if session.posargs else ["--table", "docs/_static/simulation.txt"]
    session.run("python", "-m", "simulation", *table, *session.posargs, env=env)
    session.run("python", "-m", "simulation", "--charts", "docs/_static", env=env)
