"""The paper's tables and figures as one page, ours beside theirs: Markdown, and self-contained HTML."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from latentcrs.evaluate.multi_turn_tables import name_of
from latentcrs.evaluate.one_turn import VARIANTS
from latentcrs.evaluate.tables import as_markdown
from latentcrs.systems.open import report_line
from latentcrs_lab.paper.published import published, published_counts
from latentcrs_lab.systems import ASKED

_ONE_TURN = ("recall@5", "ndcg@5", "recall@20", "ndcg@20")
_HEADER = ("system", "Recall@5", "NDCG@5", "Recall@20", "NDCG@20")
ABLATION_HEADER = ("", *_HEADER[1:], "Δ Recall@5", "p", "the paper's finding")
_FINDINGS = {"holds": "holds", "not seen": "not seen", "opposite": "the opposite"}
_DIFFERENCES = """\
The paper's figures are printed as the paper has them. They cannot be compared digit by digit: its user is played by
Gemini 1.5 Pro, ours by the simulators named at each table; its text encoder is Llama 3.1 8B, ours {encoder}; its
behaviour encoder is ICLRec, ours {behaviour}; and its published code leaves the history in the ranking (the last
column of Tables 2 and 3 is ours with the history left in). All of our systems in one table see the same requests."""


def markdown_of(
    results: Mapping[str, Any], about: Mapping[str, Any], beside: str | None, pictures: Mapping[str, str]
) -> str:
    """The page.

    results: of `steps.PaperRun.run`. about: name, encoder, behaviour, command, hardware, seed, seconds. beside: the
    data set of the paper to print next to ours. pictures: the name of a figure -> where the page finds it.
    """
    parts = [f"# The paper's experiments on {about['name']}", "", _about(about), ""]
    sections = {
        "data": lambda found: _data(found, beside),
        "one-turn": lambda found: _one_turn("Table 2: one turn, full test set", found, "one-turn", beside),
        "sampled": lambda found: _one_turn(f"Table 3: one turn, {found['n']:,} requests", found, "sampled", beside),
        "multi-turn": lambda found: _talked("Table 4: multi-turn, user `attributes`", found, beside, pictures),
        "plot": lambda found: _talked("Multi-turn, user `plot`", found, None, {}),
        "role-play": lambda found: _role_play(found, beside),
        "ablation": lambda found: _ablation(found, beside),
        "sensitivity": lambda found: _sensitivity(found, pictures),
        "conditions": lambda _: _picture("Accuracy against the number of conditions told", "conditions", pictures),
        "history": lambda _: _picture("Accuracy against the length of the history", "history", pictures),
        "interactions": lambda _: _picture("Accuracy for items with few interactions", "interactions", pictures),
        "intents": lambda found: _intents(found, pictures),
    }
    for name, section in sections.items():
        if results.get(name) is not None:
            parts += [*section(results[name]), ""]
    parts += ["## Time", "", _time(about), ""]
    return "\n".join(parts)


def html_of(markdown: str, pictures: Mapping[str, Path], title: str) -> str:
    """The page as one HTML file with its pictures inside; text of the catalogue stays text."""
    from markdown_it import MarkdownIt  # comes with rich

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    for name, path in pictures.items():
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        body = body.replace(f'src="{html.escape(name)}"', f'src="data:image/png;base64,{data}"')
    return _PAGE.format(title=html.escape(title), body=body)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; font-size: .9rem; margin: 1rem 0; display: block; overflow-x: auto; }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #8884; text-align: left; white-space: nowrap; }}
td {{ font-variant-numeric: tabular-nums; }}
img {{ max-width: 100%; height: auto; background: #fff; border-radius: .4rem; }}
code {{ font-size: .9em; }}
</style></head><body>
{body}
</body></html>
"""


def _about(about: Mapping[str, Any]) -> str:
    run = f"`{about['command']}`, seed {about['seed']}, {about['hardware']}."
    words = _DIFFERENCES.format(encoder=about["encoder"], behaviour=about["behaviour"])
    return f"{run} ± is half the 95% bootstrap interval; p is of a paired randomisation test.\n\n{words}"


def _data(found: Mapping[str, float], beside: str | None) -> list[str]:
    header = ("", "users", "items", "actions", "average length", "sparsity")

    def row(name: str, counts: Mapping[str, float]) -> list[str]:
        whole = (f"{counts[key]:,.0f}" for key in ("users", "items", "actions"))
        return [name, *whole, f"{counts['length']:.2f}", f"{counts['sparsity']:.2f}%"]

    theirs = published_counts(beside)
    rows = [row("ours", found), *([row(f"paper, {beside}", theirs)] if theirs else [])]
    return ["## Table 1: the data", "", as_markdown(header, rows)]


def _mean(figures: Mapping[str, Any], metric: str, digits: int = 4) -> str:
    low, high = figures["ci95"][metric]
    return f"{figures[metric]:.{digits}f}±{f'{(high - low) / 2:.3f}'.lstrip('0')}"


def _paper_rows(table: str, beside: str | None, digits: int) -> list[list[str]]:
    return [
        [f"*paper: {name}*", *(f"{value:.{digits}f}" for value in row)]
        for name, row in published(table, beside).items()
    ]


def _one_turn(title: str, found: Mapping[str, Any], table: str, beside: str | None) -> list[str]:
    header = (*_HEADER, "Recall@5, history left in")
    rows = []
    for name, figures in found["systems"].items():
        left_in = figures["history_left_in"].get("recall@5")
        shown = "–" if left_in is None else f"{left_in:.4f}"
        label = _label(name, found["about"])
        rows.append([label, *(_mean(figures, metric) for metric in _ONE_TURN), shown])
    rows += [[*row, ""] for row in _paper_rows(table, beside, 4)]
    lines = [f"## {title}", "", as_markdown(header, rows), ""]
    for metric in ("recall@5", "ndcg@20"):
        test = found["comparisons"][metric]
        other = name_of(test["best_other"])
        lines.append(f"- LatentCRS_B against {other}, {metric}: {test['difference']:+.4f} (p = {test['p']:.4f}).")
    for name, (ours, theirs) in VARIANTS.items():
        for metric in ("recall@5", "ndcg@20") if name in found["variants"] else ():
            test = found["variants"][name][metric]
            both = f"{name_of(ours)} against {name_of(theirs)}"
            lines.append(f"- {both}, {metric}: {test['difference']:+.4f} (p = {test['p']:.4f}).")
    return [*lines, *_reports(found["about"])]


def _label(system: str, about: Mapping[str, Any]) -> str:
    """A system's name, with its language model where its answers are that one's."""
    return f"{name_of(system)} ({about['language_model']})" if system in ASKED else _bold(system)


def _reports(about: Mapping[str, Any]) -> list[str]:
    """What the systems that ask a language model say of their calls."""
    return [f"- {name_of(name)}: {report_line(report)}." for name, report in about.get("reports", {}).items()]


def _bold(system: str) -> str:
    name = name_of(system)
    return f"**{name}**" if system in ("latentcrs-b", "latentcrs-f", "latentcrs-v") else name


def _talked(title: str, found: Mapping[str, Any], beside: str | None, pictures: Mapping[str, str]) -> list[str]:
    header = ("system", "S@1", "S@3", "S@5", "AT (a failure is 6)", "AT of successes", "ms per turn")
    rows = []
    for name, talks in found["systems"].items():
        group = {**talks["all"]["means"], "ci95": talks["all"]["ci95"]}
        means = [_mean(group, metric, 3) for metric in ("s@1", "s@3", "s@5", "at")]
        rows.append(
            [_label(name, found["about"]), *means, _turns_of_successes(talks), f"{talks['milliseconds']:.1f}"]
        )
    rows += [[row[0], "", *row[1:], *[""] * (5 - len(row[1:]))] for row in _paper_rows("multi-turn", beside, 3)]
    leaks = max(talks["leaks"] for talks in found["systems"].values())
    lines = [f"## {title}", "", as_markdown(header, rows), ""]
    lines.append(
        f"{found['n']:,} conversations, up to 5 turns of 5 items. Sentences that would have given the item away and "
        f"were said otherwise: at most {leaks:,} for one system."
    )
    lines.append("")
    for test in found["comparisons"]:
        if test["metric"] == "s@5":
            lines.append(
                f"- {name_of(test['ours'])} against {name_of(test['theirs'])}, S@5: {test['difference']:+.3f} "
                f"(p = {test['p']:.4f})."
            )
    lines += _reports(found["about"])
    if "multi-turn" in pictures:
        lines += ["", f"![Share of users shown their item by each turn]({pictures['multi-turn']})"]
    return [*lines, "", *_groups(found)]


def _groups(found: Mapping[str, Any]) -> list[str]:
    """S@5 by persona and by popularity of the target."""
    systems = found["systems"]
    kinds = [("persona", "personas"), ("target", "tiers")]
    lines = []
    for label, key in kinds:
        names = list(dict.fromkeys(name for talks in systems.values() for name in talks[key]))
        if not names:
            continue
        first = next(iter(systems.values()))[key]
        header = (f"S@5 by {label}", *(f"{name} ({first[name]['n']:,})" for name in names))
        rows = [
            [
                _bold(name),
                *(f"{talks[key][each]['means']['s@5']:.3f}" if each in talks[key] else "–" for each in names),
            ]
            for name, talks in systems.items()
        ]
        lines += [as_markdown(header, rows), ""]
    return lines


def _turns_of_successes(talks: Mapping[str, Any]) -> str:
    """The mean, where there was a success."""
    return f"{talks['all']['turns_of_successes']:.2f}" if talks["shown_by"][-1] else "–"


def _role_play(found: Mapping[str, Any], beside: str | None) -> list[str]:
    model = found["attributes"]["about"]["language_model"]
    parts = [
        f"## With a language model ({model})",
        "",
        "A model as small as the embedded one proves the path, not the quality.",
        "",
    ]
    parts += _talked("Variant V, and other systems that ask the model", found["attributes"], None, {})
    parts += _talked("User `llm` (role-play)", found["llm"], None, {})
    parts += ["## Table 6: tokens and milliseconds per turn", ""]
    rows = []
    for label, talks in (("", found["attributes"]), (", rules heard by the model", found["rules by the model"])):
        for name, each in talks["systems"].items():
            tokens = (f"{value:,.1f}" for value in each["tokens"])
            shown = _label(name, talks["about"]).strip("*")
            rows.append([f"{shown}{label}", *tokens, f"{each['milliseconds']:,.1f}"])
    rows += [[*row, ""] for row in _paper_rows("tokens", beside, 2)]
    return [*parts, as_markdown(("system", "input tokens", "output tokens", "ms"), rows)]


def ablation_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """The rows of one preset's ablations (`AblationResult.as_json`) under `ABLATION_HEADER`."""
    rows = []
    for row in result["rows"]:
        test = f"{row['difference']['recall@5']:+.4f}" if row.get("difference") else ""
        p = f"{row['p']['recall@5']:.4f}" if row.get("p") else ""
        held = (row.get("paper_finding") or {}).get("recall@5", "")
        means = (_mean(row["test"], metric) for metric in _ONE_TURN)
        rows.append([row["name"], *means, test, p, _FINDINGS.get(held, "")])
    return rows


def _ablation(found: Mapping[str, Any], beside: str | None) -> list[str]:
    lines = ["## Table 5: ablations, variant B", ""]
    for preset, result in found.items():
        lines += [f"### Preset `{preset}`", "", as_markdown(ABLATION_HEADER, ablation_rows(result)), ""]
        lines += [f"- *{row['name']}*: {row['about']}." for row in result["rows"][1:]]
        lines.append("")
    lines += [
        "The paper finds each of its four ablations worse than the full model. *Holds*: significantly worse here too "
        "(p < 0.05, no correction for the number of rows). *Not seen*: no significant difference.",
        "",
    ]
    rows = _paper_rows("ablation", beside, 4)
    return [*lines, *([as_markdown(_HEADER, rows)] if rows else [])]


def _sensitivity(found: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    lines = _picture("Figure 3: sensitivity to K, α^M, α^E and λ", "sensitivity", pictures)
    settings = ", ".join(f"`{setting}`" for setting in found["settings"])
    lines += ["", f"Preset `{found['preset']}` with {settings}, one parameter changed at a time, one seed.", ""]
    rows = []
    for name, points in found["curves"].items():
        for point in points:
            own = " (the preset's)" if point["value"] == found["centre"][name] else ""
            rows.append([_PARAMETERS[name], f"{point['value']:g}{own}", *_with_interval(point["test"])])
        if len(points) > 1 and len({point["test"]["recall@5"] for point in points}) == 1:
            lines += [
                f"{_PARAMETERS[name]} changes nothing here: only the third stage has it, and the third stage lowers "
                "validation at every value, so that the model is the one from before it.",
                "",
            ]
    return [*lines, as_markdown(["parameter", "value", "Recall@5", "NDCG@20"], rows)]


_PARAMETERS = {"K": "K", "alpha_m": "α^M", "alpha_e": "α^E", "kl": "λ"}


def _with_interval(figures: Mapping[str, Any]) -> list[str]:
    """Recall@5 and NDCG@20 with their 95% intervals."""
    found = []
    for metric in ("recall@5", "ndcg@20"):
        low, high = figures["ci95"][metric]
        found.append(f"{figures[metric]:.4f} ({low:.3f}–{high:.3f})")
    return found


def _picture(title: str, name: str, pictures: Mapping[str, str]) -> list[str]:
    return [f"## {title}", "", f"![{title}]({pictures[name]})"] if name in pictures else []


def _intents(found: Mapping[str, Any], pictures: Mapping[str, str]) -> list[str]:
    lines = ["## Intents", ""]
    if "intents" in pictures:
        lines += [f"![Map of the intents]({pictures['intents']})", ""]
    held = found["agreement"]
    words = ""
    if held:
        words = (
            f" Of an intent's best items {held['share']:.0%} share their commonest value of {found['column']}, "
            f"{held['shuffled']:.0%} where items are shuffled."
        )
    return [*lines, f"{len(found['intents']):,} intents; `latentcrs intents` shows each.{words}"]


def _time(about: Mapping[str, Any]) -> str:
    steps: Sequence[tuple[str, float]] = list(about["seconds"].items())
    rows = [[name, f"{seconds:,.0f}"] for name, seconds in steps]
    rows.append(["all", f"{sum(seconds for _, seconds in steps):,.0f}"])
    return as_markdown(("step", "seconds"), rows) + "\n\nA step that was resumed counts only what was left of it."
