"""How a value that is spoken of is meant: asked for, wished, refused, taken back, or only mentioned."""

from latentcrs.hear.assembly import HARD_NOT, ValueMention
from latentcrs.hear.heads import Head, Read, mention_features
from latentcrs.hear.language import Line, denials, patterns, stem, word_set

HARD = 0.6
"""A rule filters from this probability on that it is asked for, else it is a wish. Read off the calibration of the
heads on real people's messages that they were not trained on (`latentcrs_lab.hear.train`)."""
SOFT = 0.5
"""A wish: from this probability on that it is asked for or liked."""
DENIED = 0.06
"""Where a word that denies stands near, wanting is not believed if refusing is this likely."""
INSISTING = 4


def judge(
    one: ValueMention, read: Read, language: str, half: bool, head: Head, hard: float = HARD, asked: bool = False
) -> None:
    """How a mention is meant. In a language that the encoder does not know, by the words that deny alone.
    `asked`: it answers a question.
    """
    tokens = read.line.tokens
    deny, dislike = word_set(language, "deny"), word_set(language, "dislike")
    near = [t.word for t in tokens[max(0, one.first - 6) : one.first]]
    # "no horror, ideally a comedy" denies no comedy, nor does "hated horror but loves comedies".
    ends = set(".!?;") | word_set(language, "hedge") | word_set(language, "contrast")
    no = denials(near, language)
    begins = max((n + 1 for n, word in enumerate(near) if word in ends and not no[n]), default=0)
    near, no = near[begins:], no[begins:]
    behind = [t.word for t in tokens[one.last : one.last + 2]]
    denied = any(no) or (behind[:1] in (["?"], [","]) and behind[-1] in deny)
    if one.wished:
        one.stance, one.p = "wish", 1.0
    if one.wished or (half and one.whole):
        return
    if half:
        one.stance, one.p = ("refused" if denied else "wish"), 0.5
        return
    if near[-1:] and near[-1] in word_set(language, "excess") and not asked:  # "too scary": less of it is wished
        one.stance, one.p = "refused", HARD_NOT / 2
        return
    p = head(mention_features(read, one.first, one.last, language))
    wanted = p["rule"] + p["wish"]
    right = next((word for word in reversed(near) if word not in ("a", "an", "any", "the", "from", "us", "me")), "")
    refuses = right in word_set(language, "refuse") or right in dislike or stem(right) in dislike
    insists, alone = insisted(read.line, one.first, one.last, language)
    if alone or (insists and not denied and p["mentioned"] > 0.5):
        one.stance, one.p = "rule", hard
    elif denied and (refuses or p["refused"] + p["dropped"] > DENIED) and wanted > 0.5:
        # A word denies and the head is not sure. Right in front ("no horror") it is believed; else neither is.
        one.stance, one.p = ("refused", HARD_NOT) if refuses else ("mentioned", 1 - p["refused"])
    elif wanted >= SOFT:
        filters = p["rule"] >= hard or (insists and not denied)
        one.stance, one.p = ("rule", max(p["rule"], hard)) if filters else ("wish", wanted)
    else:
        others = ("refused", "dropped", "mentioned")
        one.stance = max(others, key=lambda name: p[name])
        one.p = p[one.stance]
        if denied and refuses and one.stance != "dropped":
            one.stance, one.p = "refused", max(p["refused"], HARD_NOT)
        elif one.stance == "refused" and not denied:
            one.stance = "mentioned"
    if asked and not denied and one.stance in ("mentioned", "wish"):
        one.stance, one.p = "rule", hard
    if one.whole and one.stance != "dropped":
        one.stance = "mentioned"
    one.insisted = insists and one.stance in ("rule", "refused")


def insisted(line: Line, first: int, last: int, language: str) -> tuple[bool, bool]:
    """Whether the words first..last (behind) are said to have to be so ("must"), and as the only thing ("nothing
    but"): in their clause, up to `INSISTING` words in front and not denied, or right behind.
    """
    found = [False, False]
    for name, pattern in patterns(language, "insist"):
        for match in pattern.finditer(line.line):
            start, end = line.span(match)
            between = {token.word for token in line.tokens[end:first]}
            denied = start > 0 and line.tokens[start - 1].word in word_set(language, "deny")
            if not denied and (start == last or (0 <= first - end <= INSISTING and not between & set(".,;!?"))):
                found[name == "alone"] = True
    return any(found), found[1]
