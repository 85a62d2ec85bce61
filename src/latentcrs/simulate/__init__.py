"""Simulated users: they know what they want and say it in their own words, never by its title."""

from latentcrs.simulate.attributes import AttributesUser, simulate
from latentcrs.simulate.dialogue import Dialogue, Question, Shown, SimulatedUser
from latentcrs.simulate.fill import Filled, fill_requests
from latentcrs.simulate.leak import leak_mask, leaks
from latentcrs.simulate.plot import PlotUser
from latentcrs.simulate.role_play import RolePlayUser

__all__ = [
    "AttributesUser",
    "Dialogue",
    "Filled",
    "PlotUser",
    "Question",
    "RolePlayUser",
    "Shown",
    "SimulatedUser",
    "fill_requests",
    "leak_mask",
    "leaks",
    "simulate",
]
