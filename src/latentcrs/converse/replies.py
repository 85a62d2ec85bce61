"""What the system says, where no language model says it: short, and true of the turn."""

from collections.abc import Sequence

from latentcrs.data.rules import Rule, spans
from latentcrs.store.session import Session, Turn

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
UNSURE = "I am not sure what you mean, so the list stands. Say what it should be like, or “something else”."
GONE = "{titles} {be} no longer available."
NOTHING_LEFT = "Nothing is left that you have not seen; “start over” forgets what was shown."


def listed(words: Sequence[str], last: str = "and") -> str:
    """ "a, b and c", each once."""
    words = list(dict.fromkeys(words))
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def phrase(rule: Rule) -> str:
    """A rule as a part of a sentence: "Comedy or Drama", "no Horror", "1990 to 1999", "price < 30"."""
    values = rule.value if isinstance(rule.value, list) else [rule.value]
    words = [value for value in values if isinstance(value, str)]
    numbers = spans([value for value in values if isinstance(value, float)])
    if rule.op in ("is", "has any", "has all"):
        return listed(words, "and" if rule.op == "has all" else "or") if words else listed(numbers, "or")
    if rule.op == "not" and rule.column == "text":
        return f"no \u201c{listed(words, 'or')}\u201d"
    if rule.op == "not":
        return f"no {listed(words, 'or')}" if words else f"not {listed(numbers, 'or')}"
    if rule.op == "contains":
        return f"\u201c{listed(words, 'or')}\u201d"
    return str(rule)


def _failing(rules: Sequence[Rule]) -> str:
    """What is said of items that fail some of these rules: "lack Comedy or Drama, or have Horror"."""
    lacking = [phrase(rule) for rule in rules if rule.op != "not"]
    having = [phrase(rule.model_copy(update={"op": "is"})) for rule in rules if rule.op == "not"]
    said = [f"lack {listed(lacking, 'or')}"] * bool(lacking) + [f"have {listed(having, 'or')}"] * bool(having)
    return ", or ".join(said)


def no_longer(turn: Turn) -> str:
    """What this turn ended, in words."""
    short = [rule.split(": ", 1)[-1] for rule in (*turn.rules, *turn.wishes)]
    plain = [(rule, rule.split(": ", 1)[-1]) for rule in turn.taken_back]
    gone = [rule if value in short else value for rule, value in plain]  # that of another column may be in force
    return f"No longer: {listed(gone)}." if gone else ""


def untold(turn: Turn) -> str:
    """What was asked for and no column says; "" where there is nothing of it."""
    said = listed([f"“{words}”" for words in turn.unknown])
    return f"This catalogue cannot tell: {said}." if said else ""


def recommending(turn: Turn, session: Session, like: Sequence[str] = ()) -> str:
    """The sentences above a list: what it is by, what was relaxed, what could not be applied. `like`: titles of what
    it is to be like.
    """
    said: list[str] = []
    if gone := no_longer(turn):
        said.append(gone)
    if turn.unknown:
        said.append(untold(turn))
    if not turn.items:
        said.append(NOTHING_LEFT)
        return " ".join(said)
    failing = _failing([heard.rule for heard in session.rules if str(heard.rule) in turn.relaxed])
    all_pass = sum(not item.fails for item in turn.items)
    if turn.nearest:
        insisted = [phrase(heard.rule) for heard in session.rules if heard.insisted]
        said.append(f"Nothing that is left has {listed(insisted)}. The nearest:")
    elif turn.relaxed and all_pass == 0:
        said.append(f"Nothing left has all of it; these {failing}.")
    elif turn.relaxed:
        count = "Only one has" if all_pass == 1 else f"Only {all_pass} have"
        said.append(f"{count} all of it; the rest {failing}.")
    elif turn.sorted_by:
        said.append(f"{turn.sorted_by[:1].upper()}{turn.sorted_by[1:]} first:")
    elif by := _by(turn, session, like):
        said.append(f"{by[:1].upper()}{by[1:]}:")
    elif session.past and not turn.request:
        said.append("From what you liked before:")
    else:
        said.append("For what you said:")
    return " ".join(said)


def _by(turn: Turn, session: Session, like: Sequence[str]) -> str:
    """What a list is by: rules, titles, wishes, words that rank."""
    # How much newer or cheaper is nothing that was said: a wish for it is in the words that were.
    wishes = [f"“{found.words}”" if found.rule.op in ("<", ">") else phrase(found.rule) for found in session.wishes]
    parts = {
        "with": [phrase(heard.rule) for heard in session.rules],
        "like": like,
        "preferably": wishes if turn.variant != "b" else [],
        "ranked by": [f"“{need}”" for need in turn.needs],
    }
    return ", ".join(f"{how} {listed(what)}" for how, what in parts.items() if what)
