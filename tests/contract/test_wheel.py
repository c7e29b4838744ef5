"""The wheel holds everything that the service needs at run time."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_installed_wheel_makes_a_catalog_and_answers_for_itself(tmp_path: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--quiet", "--no-input")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    site = tmp_path / "site"
    run(*pip, "install", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    inside = {"PYTHONPATH": str(site), "CITEWELL_HOME": str(tmp_path / "home")}
    where = run(sys.executable, "-c", "import api; print(api.__file__)", cwd=tmp_path, **inside)
    assert where.startswith(str(site))
    # Migrations, prompts and fitted numbers are data files: each is read here.
    key = run(sys.executable, "-m", "api.cli.main", "keys", "create", "wheel", cwd=tmp_path, **inside)
    assert key.startswith("cw-")
    reads = "from generation import abstain, prompt; abstain.Calibration.shipped(); prompt.seed()"
    run(sys.executable, "-c", reads, cwd=tmp_path, **inside)
    assert "serve" in run(sys.executable, "-m", "api.cli.main", "--help", cwd=tmp_path, **inside)
