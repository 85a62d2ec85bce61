"""Multi-turn results as tables: on the terminal, and as Markdown for documents."""

from latentcrs.evaluate.multi_turn import TIERS, Group, MultiTurnResult
from latentcrs.evaluate.tables import NAMES, as_markdown, print_rows, title_of
from latentcrs.systems.open import report_line, system_names

HEADER = ("system", "S@1", "S@3", "S@5", "AT", "AT ok")
_GROUP_HEADER = ("system", "users", "n", "S@1", "S@3", "S@5", "AT")


def name_of(system: str) -> str:
    """What a system is called in a table; a reference under hard rules is "... + rules"."""
    base = system.removesuffix("-f")
    if system in NAMES or system in system_names():
        return title_of(system)
    return f"{NAMES[base]} + rules" if base in NAMES else system


def with_interval(group: Group, metric: str) -> str:
    """A mean and half its 95% interval: "0.912±.007"."""
    low, high = group.ci95[metric]
    digits = 2 if metric == "at" else 3
    return f"{group.means[metric]:.{digits}f}±{f'{(high - low) / 2:.{digits}f}'.lstrip('0')}"


def rows_of(result: MultiTurnResult) -> list[list[str]]:
    """One row per system, as in Table 4 of the paper with what it leaves out."""
    return [
        [
            name_of(name),
            *(with_interval(talks.all, metric) for metric in talks.all.means),
            f"{talks.all.turns_of_successes:.2f}",
        ]
        for name, talks in result.systems.items()
    ]


def group_rows_of(result: MultiTurnResult) -> list[list[str]]:
    """One row per system and group: every persona, and every tier of popularity of the target."""
    rows = []
    for name, talks in result.systems.items():
        groups = [
            *talks.personas.items(),
            *((f"{tier} items", talks.tiers[tier]) for tier in TIERS if tier in talks.tiers),
        ]
        for label, group in groups:
            figures = (f"{group.means[metric]:.{2 if metric == 'at' else 3}f}" for metric in group.means)
            rows.append([name_of(name), label, f"{group.n:,}", *figures])
    return rows


def notes_of(result: MultiTurnResult) -> list[str]:
    """What a reader must know beside the tables."""
    leaks = max((talks.leaks for talks in result.systems.values()), default=0)
    lines = [
        f"{result.dataset}, {result.split} split, {result.n:,} conversations with the simulated user {result.user}, "
        "up to 5 turns of 5 items. S@K: shown within K turns; AT: turns, a failure counted as 6; AT ok: those of the "
        "successes alone; ± is half the 95% bootstrap interval.",
        f"Sentences of the user that would have given the item away, and were said otherwise: at most {leaks:,}.",
        "A turn, many conversations side by side and the user left out: "
        + ", ".join(f"{name_of(name)} {talks.milliseconds:.1f} ms" for name, talks in result.systems.items())
        + ".",
    ]
    lines += [
        f"{name_of(name)}: {talks.tokens[0]:,.0f} tokens in and {talks.tokens[1]:,.0f} out per turn."
        for name, talks in result.systems.items()
        if any(talks.tokens)
    ]
    lines += [f"{name_of(name)}: {report_line(report)}." for name, report in result.about.get("reports", {}).items()]
    for found in result.comparisons:
        lines.append(
            f"{name_of(found['ours'])} against {name_of(found['theirs'])}: {found['metric'].upper()} "
            f"{found['difference']:+.3f} (paired randomisation test, p = {found['p']:.4f})."
        )
    return lines


def print_result(result: MultiTurnResult) -> None:
    """The tables on the terminal."""
    where = f"Multi-turn on {result.dataset} ({result.split}), user {result.user}"
    print_rows(where, HEADER, rows_of(result), notes_of(result))
    print_rows("By persona, and by how popular the target is", _GROUP_HEADER, group_rows_of(result))


def markdown_of(result: MultiTurnResult) -> str:
    """The tables and their notes as Markdown."""
    parts = [as_markdown(HEADER, rows_of(result)), "", as_markdown(_GROUP_HEADER, group_rows_of(result), names=2), ""]
    return "\n".join([*parts, *notes_of(result)])
