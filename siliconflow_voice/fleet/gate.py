"""A gate that processes share: this process's line, before what an agent brings from the database."""

from __future__ import annotations

from attrs import define, evolve

from siliconflow_voice.fleet.agent import Agent
from siliconflow_voice.throttle.gate import Expectation, Gate
from siliconflow_voice.throttle.limiter import Admission, Verdict

__all__ = ["SharedGate"]


@define(eq=False)
class SharedGate(Gate):
    """The line of this process before a limiter that all processes share."""

    agent: Agent

    @classmethod
    def of(cls, agent: Agent) -> SharedGate:
        """Return the gate that an agent makes rounds for."""
        gate = cls(agent.limiter, agent)
        gate._line = agent.line
        return gate

    def now(self) -> float:
        return super().now() + self.agent.offset

    @property
    def trouble(self) -> str | None:
        return self.agent.trouble

    def is_idle(self) -> bool:
        return self.agent.is_idle and super().is_idle()

    def line(self, turn: int | None = None, tokens: float = 1.0) -> Expectation:
        own = super().line(turn, tokens)
        if self.agent.is_idle:  # what it saw last may be long ago: that it was closed stands
            own = evolve(own, at_least=max(self.limiter.closed_until - self.now(), 0.0))
        # Each of the others gets as much as this process meanwhile.
        beside = sum(min(waiting, own.ahead + 1) for waiting in self.agent.beside)
        usual = self.limiter.tokens.traffic.usual_cost
        requests, now = own.ahead + 1 + beside, self.now()
        at = self.limiter.expected_at(now, requests, tokens + usual * (requests - 1))
        return evolve(own, seconds=max(at - now, own.seconds))

    def leave(self, admission: Admission, verdict: Verdict, *, retry_after: float | None = None) -> None:
        self.agent.report(admission, verdict, retry_after)

    def _give_back(self, admission: Admission) -> None:
        self.agent.report(admission, None, None)

    def _pass(self, tokens: float, *, retry: bool) -> None:
        """Let none pass without a round."""

    def _admit(self) -> None:
        self.agent.line_changed()
