"""What the system says, where no language model says it: short, and true of the turn."""

from __future__ import annotations

from collections.abc import Sequence

from latentcrs.converse.session import Session, Turn
from latentcrs.data.rules import Rule

GREETING = "Hello! Tell me what you are looking for: {example}."
THANKS = "You're welcome. Say what you are looking for whenever you want more."
SMALL_TALK = "I only know this catalogue, but I know it well. What are you looking for?"
HELP = (
    "Say what you want in your own words, for instance {example}. Each sentence adds to the ones before; "
    "“drop the …” takes something back, “something else” shows more, “start over” forgets all of it."
)
EMPTY = "Say something, for instance {example}."
START_OVER = "All forgotten. What are you looking for?"
INSTRUCTION = "I can only recommend from this catalogue, by what you like and ask for."
FOREIGN = "I understand English best, so this is a guess."
NOTHING_LEFT = "Nothing is left that you have not seen; “start over” forgets what was shown."


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a, b and c"."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def phrase(rule: Rule) -> str:
    """A rule as a part of a sentence: "Comedy or Drama", "no Horror", "1990 to 1999", "price < 30"."""
    values = [str(value) for value in (rule.value if isinstance(rule.value, list) else [rule.value])]
    if rule.op in ("is", "has any", "has all") and isinstance(rule.value, (str, list)):
        return listed(values, "and" if rule.op == "has all" else "or")
    if rule.op == "not":
        years = [int(value) for value in rule.value] if isinstance(rule.value, list) and len(values) > 2 else []
        return f"not {min(years)} to {max(years)}" if years else f"no {listed(values, 'or')}"
    if rule.op == "contains":
        return f"\u201c{listed(values, 'or')}\u201d"
    return str(rule)


def recommending(turn: Turn, session: Session) -> str:
    """The sentences above a list: what it is by, what was relaxed, what could not be applied."""
    said: list[str] = []
    if turn.taken_back:
        said.append(f"No longer asked for: {listed(turn.taken_back)}.")
    if turn.unknown:
        said.append(f"This catalogue cannot tell: {listed([f'“{words}”' for words in turn.unknown])}.")
    if not turn.items:
        said.append(NOTHING_LEFT)
        return " ".join(said)
    lacking = [phrase(heard.rule) for heard in session.rules if str(heard.rule) in turn.relaxed]
    all_pass = sum(not item.fails for item in turn.items)
    if turn.nearest:
        insisted = [phrase(heard.rule) for heard in session.rules if heard.insisted]
        said.append(f"Nothing here has {listed(insisted)}. The nearest:")
    elif turn.relaxed and all_pass == 0:
        said.append(f"Nothing left has all of it; these lack {listed(lacking, 'or')}.")
    elif turn.relaxed:
        count = "Only one has" if all_pass == 1 else f"Only {all_pass} have"
        said.append(f"{count} all of it; the rest lack {listed(lacking, 'or')}.")
    elif turn.rules:
        said.append(f"With {listed([phrase(heard.rule) for heard in session.rules])}:")
    elif session.past and not turn.request:
        said.append("From what you liked before:")
    else:
        said.append("For what you said:")
    return " ".join(said)
