"""Engines are imported by those who ask for them, and by nobody else."""

from __future__ import annotations

import subprocess
import sys

IMPORTS = """
import importlib, pkgutil, sys
import latentcrs, latentcrs.cli, latentcrs.scale.engine
for module in pkgutil.iter_modules(latentcrs.cli.__path__, "latentcrs.cli."):
    importlib.import_module(module.name)
{more}
sys.exit(", ".join(sorted({{"ray", "pyspark"}} & set(sys.modules))) or 0)
"""


def test_importing_latentcrs_and_its_commands_imports_no_engine() -> None:
    ran = subprocess.run([sys.executable, "-c", IMPORTS.format(more="")], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_importing_what_does_the_work_imports_no_engine() -> None:
    more = "import latentcrs.recommend.bulk, latentcrs.text, latentcrs.fit.training, latentcrs.scale.ray_workers"
    ran = subprocess.run([sys.executable, "-c", IMPORTS.format(more=more)], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_the_help_of_the_command_waits_for_no_table_engine() -> None:
    code = "import sys; sys.argv = ['latentcrs', '--help']; from latentcrs.cli.main import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "sys.exit(', '.join(sorted({'polars', 'numpy', 'torch'} & set(sys.modules))) or 0)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
