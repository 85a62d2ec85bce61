"""The rules and wishes in force as chips, and the dialog that edits one or adds one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from nicegui import ui

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Operator, Rule
from latentcrs.hear import HeardRule
from latentcrs.store.session import Session
from latentcrs.web.elements import box, button, icon, text
from latentcrs.web.labels import Labels

FIELD = "outlined dense"


@dataclass(frozen=True)
class RuleEdit:
    """What the dialog says: the rule, whether it is a wish, and the one it replaces, if any."""

    rule: Rule
    soft: bool
    old: HeardRule | None


class Chips:
    """The chips. on_drop: this rule or wish is taken back. on_edit: a rule is new or another."""

    def __init__(
        self,
        labels: Labels,
        on_drop: Callable[[HeardRule], Awaitable[None]],
        on_edit: Callable[[RuleEdit], Awaitable[None]],
    ) -> None:
        self._labels, self._on_drop, self._on_edit = labels, on_drop, on_edit
        self._row = box("chips", "ul", "Rules and wishes in force")

    def show(self, session: Session | None, relaxed: Sequence[str] = ()) -> None:
        """The rules and wishes of a session; `relaxed`: those that the last list does not wholly hold."""
        self._row.clear()
        if session is None:
            return
        off = session.variant == "b"
        with self._row:
            for place, heard in enumerate([*session.rules, *session.wishes]):
                wish = place >= len(session.rules)
                self._chip(heard, wish, str(heard.rule) in relaxed, off)
            if session.turns:
                with box("", "li"):
                    button("Rule", partial(self._edit, None, False), "chip add", "add", "Add a rule")
            if off and (session.rules or session.wishes):
                text("Mode B does not apply rules.", "hint", "li")

    def _chip(self, heard: HeardRule, wish: bool, relaxed: bool, off: bool) -> None:
        sort = "wish" if wish else "rule"
        words = self._labels.rule(str(heard.rule))
        with box(f"chip {sort}{' relaxed' * relaxed}{' off' * off}", "li"):
            told = f"Edit the {sort}: {words}{' (relaxed in the last list)' * relaxed}"
            with button("", partial(self._edit, heard, wish), "edit", name=told):
                icon("star_outline" if wish else "priority_high" if heard.insisted else "filter_alt")
                if wish:
                    text("ideally", "sort")
                text(words)
                if relaxed:
                    text("relaxed", "sort")
            button("", partial(self._on_drop, heard), "drop", "close", f"Remove the {sort}: {words}")

    def _edit(self, heard: HeardRule | None, wish: bool) -> None:
        RuleDialog(self._labels, self._on_edit, heard, wish)


class RuleDialog:
    """A small dialog: the column, an operator and a value out of the catalogue, must or ideally."""

    def __init__(
        self, labels: Labels, on_edit: Callable[[RuleEdit], Awaitable[None]], old: HeardRule | None, wish: bool
    ) -> None:
        self._labels, self._on_edit, self._old = labels, on_edit, old
        rule = old.rule if old else None
        columns = {name: labels.column(name) for name in labels.rule_columns()}
        columns = {name: words[:1].upper() + words[1:] for name, words in columns.items()}
        with ui.dialog() as self._dialog, box("dialog"):
            text("Edit the rule" if rule else "Add a rule", tag="h2")
            self._column = ui.select(columns, label="What", value=rule.column if rule else next(iter(columns)))
            self._column.on_value_change(lambda: self._choose(None))
            self._fields = box("fields")
            self._strength = ui.select(
                {False: "It must be so", True: "It would be nice"}, label="How strictly", value=wish
            )
            self._error = text("", "error", "p")
            with box("buttons"):
                button("Cancel", self._dialog.close, "quiet")
                button("Apply", self._apply, "primary")
        self._error.props["role"] = "alert"
        for field in (self._column, self._strength):
            field.props(FIELD)
        self._dialog.props["aria-label"] = "Edit the rule" if rule else "Add a rule"
        self._dialog.on("hide", self._dialog.delete, [])
        self._choose(rule)
        self._dialog.open()

    def _choose(self, rule: Rule | None) -> None:
        """Show the fields of the column that is chosen, filled with those of `rule`."""
        column = str(self._column.value)
        operators = self._labels.operators(column)
        kind = self._labels.rule_columns()[column]
        first = "contains" if kind == "text" else "has any" if "has any" in operators else "between"
        self._fields.clear()
        with self._fields:
            operator = rule.op if rule else first
            self._operator = ui.select(operators, label="How", value=operator, on_change=self._fill).props(FIELD)
            self._values = box("values")
        self._fill(rule=rule)

    def _fill(self, *_: object, rule: Rule | None = None) -> None:
        column, operator = str(self._column.value), self._operator.value
        values = [] if rule is None else rule.value if isinstance(rule.value, list) else [rule.value]
        self._numbers: list[ui.number] = []
        self._words: ui.select | ui.input | None = None
        self._values.clear()
        with self._values:
            if self._labels.rule_columns()[column] in ("number", "year"):
                low, high = self._labels.years(column)
                labels = ["From", "To"] if operator == "between" else ["Value"]
                wanted = [*values, low, high] if len(values) < 2 else [min(values), max(values)]
                for label, value in zip(labels, wanted, strict=False):
                    self._numbers.append(ui.number(label, value=float(value), format="%.10g").props(FIELD))
            elif offered := self._labels.values(column):
                chosen = [str(value) for value in values]
                known = {value.lower(): value for value in offered}
                chosen = [known.get(value.lower(), value) for value in chosen]
                self._words = ui.select(
                    [*offered, *(value for value in chosen if value not in offered)],
                    label="Value",
                    value=chosen,
                    multiple=True,
                    new_value_mode="add-unique",
                ).props(f"{FIELD} use-chips")
            else:
                self._words = ui.input("Words", value=", ".join(map(str, values))).props(FIELD)

    async def _apply(self) -> None:
        operator: Operator = self._operator.value
        try:
            rule = Rule(column=str(self._column.value), op=operator, value=self._value())
            if not self._labels.any_passes(rule):
                raise UserError(f"No {self._labels.noun} of the catalogue passes this rule.")
        except UserError as error:
            self._error.set_text(str(error))
            return
        self._dialog.close()
        await self._on_edit(RuleEdit(rule, bool(self._strength.value), self._old))

    def _value(self) -> str | float | list[str] | list[float]:
        if self._numbers:
            numbers = [float(field.value) for field in self._numbers if field.value is not None]
            return numbers if len(numbers) > 1 else numbers[0] if numbers else []
        if isinstance(self._words, ui.select):
            return [str(value) for value in self._words.value]
        assert self._words is not None
        return [part.strip() for part in str(self._words.value or "").split(",") if part.strip()]
