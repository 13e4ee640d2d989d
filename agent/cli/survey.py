"""`mev-agent survey`: every moment of an undisturbed block."""

from __future__ import annotations

from pathlib import Path

import click

from agent.cli.command import agent_command, work
from agent.cli.options import FILE
from agent.cli.output import Output
from agent.requests import SurveyRequest


@agent_command("survey", schema="report", examples=("mev-agent survey --case block.json.gz --report survey.json",))
@click.option("--case", type=FILE, required=True, help="An archived block.")
@click.option("--assume", type=FILE, help="Slots to take as zero where the case lacks them (JSON).")
@click.option("--report", type=FILE, help="Write the report to this file as well.")
def command(output: Output, case: Path, assume: Path | None, report: Path | None) -> int:
    """List and execute every opportunity of an archived block; send nothing."""
    survey = work("agent.session.survey", "survey")
    return output.show(survey(SurveyRequest(case=case, assume=assume, report=report), output.say))
