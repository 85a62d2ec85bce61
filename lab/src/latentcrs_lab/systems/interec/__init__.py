"""InteRecAgent (Huang et al., "Recommender AI Agent: Integrating Large Language Models for Interactive
Recommendations", 2023): a language model plans which tools of a recommender are used, and a critic may send it back.
"""

from latentcrs_lab.systems.interec.agent import InteRecAgent

__all__ = ["InteRecAgent"]
