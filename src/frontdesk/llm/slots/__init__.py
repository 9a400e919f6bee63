"""Schema-driven slot filling: what a message says about a tool's parameters, without a model."""

from frontdesk.llm.slots.check import Problem, missing, next_question, question_for, validate
from frontdesk.llm.slots.extract import Earlier, answers, extract
from frontdesk.llm.slots.lexicon import is_cancel, is_question, points_there, refers_back, says_done, yes_or_no

__all__ = [
    "Earlier", "Problem", "answers", "extract", "is_cancel", "is_question", "missing", "next_question", "points_there",
    "question_for", "refers_back", "says_done", "validate", "yes_or_no",
]  # fmt: skip
