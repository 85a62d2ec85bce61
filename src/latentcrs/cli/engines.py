"""The options of commands whose work an engine may do."""

from __future__ import annotations

from typing import Annotated

import typer

Engine = Annotated[str, typer.Option(help="local: this process; ray: workers of Ray.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Workers of Ray; by default one for each processor or GPU.")]
