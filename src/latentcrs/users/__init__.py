"""Simulated users: they know what they want and say it in their own words, never by its title."""

from latentcrs.users.attributes import AttributesUser
from latentcrs.users.dialogue import Dialogue, Question, SimulatedUser, SystemTurn
from latentcrs.users.fill import FillReport, fill_requests
from latentcrs.users.leak import leaks
from latentcrs.users.plot import PlotUser
from latentcrs.users.role_play import RolePlayUser

__all__ = [
    "AttributesUser", "Dialogue", "FillReport", "PlotUser", "Question", "RolePlayUser", "SimulatedUser", "SystemTurn",
    "fill_requests", "leaks",
]  # fmt: skip
