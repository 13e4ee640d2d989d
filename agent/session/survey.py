"""`mev-agent survey`."""

from __future__ import annotations

from agent.devnet.case import load_case
from agent.devnet.mainnet import START_TOKENS
from agent.devnet.survey import survey as survey_case
from agent.ports.clock import SystemClock
from agent.requests import Answer, Say, SurveyRequest
from agent.session.assumed import read_assumed
from agent.session.files import new_run_id
from agent.session.loop import run_loop
from agent.session.repeating import repeat_surveyed
from agent.session.reporting import answer_of


def survey(request: SurveyRequest, say: Say) -> Answer:
    """Every moment of the undisturbed block, each opportunity executed at its own state, nothing sent."""
    case = load_case(request.case)
    assume = read_assumed(request.assume)
    say(f"block {case.number}: {len(case.transactions)} transactions, {len(case.accounts)} accounts known")
    clock = SystemClock()
    result = run_loop(
        survey_case(
            case,
            run=new_run_id(clock.wall_ns()),
            assume=assume,
            repeat=repeat_surveyed(request),
            clock=clock,
        )
    )
    symbols = {token.address: token.symbol for token in START_TOKENS}
    return answer_of(result, symbols=symbols, folder=None, report_path=request.report)
