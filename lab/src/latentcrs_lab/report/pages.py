"""Writes the laboratory's page of all figures, and fills the places for tables in README and documentation."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file
from latentcrs_lab.bench import growth
from latentcrs_lab.paper.figures import draw
from latentcrs_lab.report.run import Record
from latentcrs_lab.report.steps import FIRST, Step
from latentcrs_lab.report.tables import dated, pieces_of, whole_table

PLACE = re.compile(r"(<!-- report ([\w-]+) -->)(.*?)(<!-- /report -->)", re.DOTALL)
OPENED = re.compile(r"<!-- /?report\b[^>]*-->")
TITLES = {
    "people": "What people said", "one-turn": "One turn", "multi-turn": "Conversations, user `attributes`",
    "plot": "Conversations, user `plot`", "intents": "Do intents hear words?", "heard": "How words are heard",
    "data": "The data", "additions": "Without one of the additions", "curves": "By what is known",
    "systems": "Other systems, one turn", "systems-talk": "Other systems, conversations",
    "judged": "A language model judges, one turn", "judged-talk": "A language model judges, conversations",
    "played": "A language model plays the user", "ablation": "Ablations (Table 5)",
    "sensitivity": "Sensitivity (Figure 3)", "bench": "How long things take",
}  # fmt: skip
PICTURES = {"docs/images/intents-ml-1m.png": f"maps/{FIRST}/intents.png"} | {
    f"docs/images/web-{name}.png": f"stills/web-{name}.png" for name in ("desktop", "dark", "phone")
}
"""Pictures of the site, and where a report leaves them."""
INTRODUCTION = """# Every figure

Written by `latentcrs-lab report`: each table is what the command above it printed, on the machine and day below it.
± is half the 95% bootstrap interval, p of a paired randomisation test.
"""


def write_page(steps: Sequence[Step], records: Mapping[str, Record], page: Path) -> None:
    """Write all that was measured, its pictures into the folder of the page's name, the records beside it as JSON."""
    folder, lines = page.with_suffix(""), [INTRODUCTION]
    measured = [one for one in steps if one.name in records and one.part in TITLES]
    for dataset in dict.fromkeys(one.dataset for one in measured):
        own = {one: records[one.name] for one in measured if one.dataset == dataset}
        drawn = _drawn(own, folder / dataset)
        lines += [f"## {dataset}", ""]
        for part in dict.fromkeys(one.part for one in own):
            lines += [f"### {TITLES[part]}", ""]
            for name, path in drawn.items():
                if part in (name, _CURVE.get(name)):
                    lines += [f"![{name}]({path.relative_to(page.parent).as_posix()})", ""]
            for one, record in own.items():
                if one.part == part:
                    command = "\n".join(record["command"])
                    lines += [f"```sh\n{command}\n```", "", whole_table(record, dataset), "", dated(record), ""]
    written = {page: "\n".join(lines), page.with_suffix(".json"): json.dumps(dict(records), indent=1)}
    for path, text in written.items():
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf-8")


_CURVE = dict.fromkeys(("conditions", "history", "interactions"), "curves") | dict.fromkeys(
    ("prepare", "train", "retrieve"), "bench"
)
"""The part that a picture belongs to where that has another name."""


def _drawn(own: Mapping[Step, Record], folder: Path) -> dict[str, Path]:
    """The pictures of one data set, by name."""
    results = {one.part: record["result"] for one, record in own.items()}
    drawn = draw(results | results.get("curves", {}), folder)
    benches = {one.name.partition("bench-")[2]: record for one, record in own.items() if one.part == "bench"}
    drawn |= {name: folder / f"{name}.png" for name in growth.draw(benches, folder)}
    return drawn


def fill_pages(site: Path, records: Mapping[str, Record]) -> list[Path]:
    """Write what was measured between the markers `<!-- report NAME -->` and `<!-- /report -->` of README.md and of
    every page of docs/ and lab/ below `site`; a place whose figures are not there stays as it is. Returns the pages
    that changed.

    Raises:
        UserError: no such place, one that names no piece, or one that is not closed.
    """
    pages = [site / "README.md", *sorted(site.glob("docs/**/*.md")), *sorted(site.glob("lab/**/*.md"))]
    pieces, changed, places = pieces_of(records), [], 0
    for page in (page for page in pages if page.is_file()):
        text = page.read_text("utf-8")

        def filled(match: re.Match[str], page: Path = page) -> str:
            opening, name, before, closing = match.groups()
            if name not in pieces:
                raise UserError(f"{page}: there is no piece {name!r} of a report; choose of {', '.join(pieces)}.")
            found = pieces[name]
            if found is None:
                return match[0]
            apart = "\n\n" if before.startswith("\n") else ""  # else within a sentence
            return f"{opening}{apart}{found}{apart}{closing}"

        new, count = PLACE.subn(filled, text)
        if len(OPENED.findall(text)) != 2 * count:
            raise UserError(
                f"{page}: a place for a report begins with <!-- report NAME --> and ends with <!-- /report -->."
            )
        places += count
        if new != text:
            with atomic_file(page) as temporary:
                temporary.write_text(new, "utf-8")
            changed.append(page)
    if not places:
        raise UserError(f"No page below {site} has a place for a report: <!-- report NAME --> … <!-- /report -->.")
    return changed


def copy_pictures(out: Path, site: Path) -> list[Path]:
    """Put the pictures of a report where the site has them; returns those."""
    found = {site / there: out / here for there, here in PICTURES.items() if (out / here).is_file()}
    for there, here in found.items():
        shutil.copyfile(here, there)
    return list(found)
