"""Everything that is done with the project besides writing it."""

from __future__ import annotations

import os
from pathlib import Path

import nox

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)
DOCS_PYTHON = PYTHONS[0]

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "typing", "docs"]
nox.options.error_on_missing_interpreters = False
nox.options.default_venv_backend = "virtualenv"

# pyenv's shims answer for the active version alone: put each installed version within reach.
_PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
os.environ["PATH"] = os.pathsep.join(
    [*(str(folder) for folder in sorted(_PYENV.glob("3.1[1-9].*/bin"))), os.environ["PATH"]]
)


def _install(session: nox.Session, *groups: str) -> None:
    """Install the built wheel with its extras, and the groups' tools beside it."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups)
    session.install("--quiet", ".[cli]", *requirements)


@nox.session
def demo(session: nox.Session) -> None:
    """Upload real recordings to the emulator, through a small quota and an overloaded service."""
    session.install("--quiet", ".")
    session.run("python", "-P", "examples/demo.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Test the installed wheel, warnings being errors, every branch being met."""
    _install(session, "tests")
    # The working tree must not shadow the wheel: see tests/test_package.py.
    env = {"PYTHONSAFEPATH": "1", "SILICONFLOW_VOICE_INSTALLED": "1"}
    if session.posargs:
        session.run("pytest", *session.posargs, env=env)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "--ignore", "tests/simulation", env=env)
    session.run("coverage", "report")
    # Thousands of uploads: untraced, they take a fifth of the time.
    session.run("pytest", "tests/simulation", env=env)


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
    session.install("--quiet", "build", "twine")
    dist = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    session.install("--quiet", "--force-reinstall", *map(str, dist.glob("*.whl")))
    with session.chdir(session.create_tmp()):
        session.run("python", "-W", "error", "-c", "import siliconflow_voice as s; print(s.__file__)")


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
def soak(session: nox.Session) -> None:
    """Kill a bulk run a hundred times, and count what is missing and what is there twice (minutes)."""
    _install(session, "tests")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    session.run("python", "-m", "killing", *session.posargs, env=env)


@nox.session
def simulate(session: nox.Session) -> None:
    """Hours of quota in minutes: the table of servers, limits and latencies, and the charts of the docs."""
    _install(session, "tests")
    env = {"PYTHONPATH": "tests", "PYTHONSAFEPATH": "1"}
    # A part of it is no table for the docs.
    table = [] if session.posargs else ["--table", "docs/_static/simulation.txt"]
    session.run("python", "-m", "simulation", *table, *session.posargs, env=env)
    session.run("python", "-m", "simulation", "--charts", "docs/_static", env=env)
