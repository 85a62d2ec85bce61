"""The mapping file of what was guessed about a log and a catalogue, with comments, for a person to edit."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from latentcrs.data.check import check
from latentcrs.data.columns import KINDS
from latentcrs.data.ids import SAME
from latentcrs.data.mapping import ROLES, Mapping
from latentcrs.data.raw import RawData

ABOUT = {
    "user": "who",
    "item": "what; ids as in the catalogue",
    "rating": "how well it was liked",
    "timestamp": "when",
    "position": "the place in a person's history",
    "event": "the kind of event; weights stand under [events.weights]",
    "quantity": "how many; below 0 is a refund, where no column has kinds of events",
    "title": "what people call an item",
}


def guessed_mapping(raw: RawData, workspace: Path) -> str:
    """A mapping (TOML) that says what reading `raw`, your own files, without one guessed.

    Args:
        workspace: a folder for what lies between.
    """
    report, mapping = check(raw, workspace), raw.mapping or Mapping()
    log, items = mapping.interactions, mapping.items
    lines = [
        '# How "latentcrs data prepare own" reads these files. What is not said here is guessed; a column ""',
        "# means that none has this role. Lines behind # say what else can be told.",
        "#",
        *(f"# {line}" for note in report.notes for line in note.splitlines()),
        *(f"# As it is, it would not be taken: {line}" for line in (report.refused or "").splitlines()),
        "",
        "[interactions]",
        *_roles("interactions", log),
        _setting(
            "format", log.format, '"%d/%m/%Y %H:%M"', "how the timestamp is written, in the letters of strptime"
        ),
        _setting(
            "repeats", True if log.repeats else None, "true", "people take the same again: keep it, recommend it"
        ),
        *_text(log.separator, log.encoding, log.header),
        "",
        "[items]",
        *_roles("items", items),
        _setting("decimal", items.decimal, '","', "what stands before decimals in all numbers"),
        *_text(items.separator, items.encoding, items.header),
        "",
        f"[items.kinds]  # {', '.join(KINDS)}, or skip to leave a column out",
        *(f"{_quoted(_own_name(column))} = {_quoted(kind)}" for column, kind in report.columns.items()),
        *(f'# {_quoted(_own_name(column))} = "skip"  # {why}' for column, why in report.left_out.items()),
        "",
        "[ratings]",
        _setting("threshold", report.threshold if raw.has_ratings else None, "4", "the lowest that counts as liked"),
        '# words = { "thumbs up" = 1, "thumbs down" = 0 }  # what words for a rating are worth',
        "",
    ]
    if raw.events is not None:
        kinds = raw.events.kinds
        lines += [
            "[events.weights]  # how much an event tells of liking; what is not named here does not count",
            *(f"{_quoted(kinds[code])} = {raw.events.weights[code]:g}" for code in raw.events.counted),
            "",
            '[events.takes_away]  # earlier events of the same person and item that it undoes, or "all"',
            *(
                f"{_quoted(kinds[code])} = [{', '.join(_quoted(kinds[other]) for other in undone)}]"
                for code, undone in raw.events.undoes.items()
            ),
            "",
        ]
    same = f"[{', '.join(map(_quoted, raw.same_ids))}]" if raw.same_ids else None
    about = ", ".join(f"{name} ({words})" for name, words in SAME.items())
    lines += ["[ids]", f"same = {same}" if same else f'# same = ["number"]  # ids match: {about}']
    return "".join(f"{_printed(line)}\n" for line in lines)


def _printed(line: str) -> str:
    """`line` as TOML takes it: control characters, which no comment may have, as they are written in its strings."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", line)


def _roles(table: str, named: object) -> Iterable[str]:
    for role in ROLES[table]:
        column, about = getattr(named, role), ABOUT[role]
        yield f'# {role} = "COLUMN"  # {about}' if column is None else f"{role} = {_quoted(column)}  # {about}"


def _setting(name: str, value: object, example: str, about: str) -> str:
    return f"# {name} = {example}  # {about}" if value is None else f"{name} = {json.dumps(value)}  # {about}"


def _text(separator: str | None, encoding: str | None, header: list[str] | None) -> Iterable[str]:
    yield _setting("separator", separator, '";"', "what stands between fields of a text file")
    yield _setting("encoding", encoding, '"cp1252"', "how a text file is encoded")
    if header:
        yield f"header = [{', '.join(map(_quoted, header))}]"
    else:
        yield '# header = ["a", "b"]  # the names of its columns, where the first line has none'


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _own_name(column: str) -> str:
    """The name that a column has in the file, where it is another in a prepared catalogue."""
    return column[:-1] if column in ("item_id_", "title_", "text_") else column
