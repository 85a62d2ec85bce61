"""The prompts, as Jinja2 files. What people and catalogues say is put into them as data, on one line each."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment(package: str) -> Environment:
    # Not HTML: nothing is escaped, but a value cannot close the block that it stands in.
    return Environment(
        loader=PackageLoader(package, "prompts"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_as_data,
        autoescape=False,
    )


def _as_data(value: Any) -> Any:
    """One line, without a line of equals signs: what a prompt's data must not be able to close."""
    return " ".join(value.split()).replace("===", "=") if isinstance(value, str) else value


def prompt(name: str, package: str = "latentcrs.llm", **values: Any) -> str:
    """The prompt `name`.j2 with `values` filled in, out of the folder `prompts` of `package`."""
    return _environment(package).get_template(f"{name}.j2").render(**values)
