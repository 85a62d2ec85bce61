"""Simulated users: they know what they want and say it in their own words, never by its title."""

from latentcrs.simulate.attributes import AttributesUser, simulate
from latentcrs.simulate.fill import Filled, fill_requests
from latentcrs.simulate.leak import leak_mask, leaks

__all__ = ["AttributesUser", "Filled", "fill_requests", "leak_mask", "leaks", "simulate"]
