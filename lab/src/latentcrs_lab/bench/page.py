"""The page of the suite: what every benchmark found, with its command, and pictures of how cost grows."""

from __future__ import annotations

from pathlib import Path

from latentcrs.base.files import atomic_file
from latentcrs.bench.report import markdown
from latentcrs_lab.bench.growth import Results, draw

SECTIONS = {
    "prepare": "Preparing a log",
    "train": "Training",
    "embed": "Embedding texts",
    "turn": "A turn",
    "retrieve": "Retrieval and bulk recommendation",
    "serve": "Serving",
}
INTRODUCTION = """# Benchmarks

What `latentcrs-lab bench` found, in one run on one machine: each benchmark in a process of its own, one by one.
Read ratios first: each is of two things that took turns in the same run. Every table has its command. "In all" is
what the whole command took: seconds with its preparations, and the highest memory of all of its processes together,
where what they share counts for each. The same figures as JSON lie beside this page.
"""


def write_page(results: Results, page: Path) -> None:
    """Write the page, and its pictures into the folder of its name, of the runs that there are.

    Raises:
        UserError: matplotlib is missing.
    """
    folder = page.with_suffix("")
    pictures = draw(results, folder)
    lines = [INTRODUCTION]
    for part, title in SECTIONS.items():
        of = {name: run for name, run in results.items() if run["part"] == part}
        if not of:
            continue
        lines += [f"## {title}", ""]
        if part in pictures:
            lines += [f"![{pictures[part]}]({folder.name}/{part}.png)", ""]
        for run in of.values():
            lines += ["```", run["command"], "```", "", *markdown(run["result"]["report"])]
            took = f"In all {run['seconds']:,.0f} s, at most {run['peak_mib']:,.0f} MiB; {run['date']}, LatentCRS "
            lines += [f"<sub>{took}{run['version']}, load average before: {run['busy']:.1f}.</sub>", ""]
    with atomic_file(page) as temporary:
        temporary.write_text("\n".join(lines), "utf-8")
