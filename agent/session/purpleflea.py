"""`mev-agent run` where venue = "purpleflea": an account on an order book, simulated on this machine or real."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config.secrets import resolve
from agent.core.accounts.marks import Rate
from agent.core.desk.settings import DeskSettings
from agent.core.instruments import FOREIGN_DIGITS, Instrument
from agent.core.risk.check_view import AccountLimits
from agent.core.risk.profiles import PROFILES
from agent.core.signals.admission import ProducerBudget
from agent.devnet.purpleflea_run import VenueWorld, run_purpleflea_world
from agent.engine.guarded import VENUE_AGE_MS, GuardedVenue, GuardPlan
from agent.engine.venue_result import VenueResult
from agent.engine.venue_run import VenueAccess, VenueRun, run_venue
from agent.errors import ConfigError, Halted, SetupError
from agent.guard import latch
from agent.journal.settings import DEVNET, JournalSettings
from agent.observe.venue_report import venue_report, venue_table
from agent.ports.clock import SystemClock
from agent.ports.real_network import RealNetwork
from agent.requests import Answer, RunRequest, Say
from agent.session.files import new_run_id, write_json
from agent.session.latency import FILE_NAME as LATENCY_FILE
from agent.session.loop import run_fast_loop
from agent.session.purpleflea_rest import prepare
from agent.settings import PurpleFleaSettings, Settings
from agent.strategies.market_making.maker import MakerSettings, MarketMaker
from agent.strategies.order_book import OrderBookStrategy
from agent.venues.purpleflea.credentials import Credentials
from agent.venues.purpleflea.latency import Stages
from agent.venues.purpleflea.setup import options_of, paths_of

DEFAULT_SECONDS = 20.0
_QUOTE_DIGITS = 6
_MARGIN_PPM = 100_000


def run(request: RunRequest, settings: Settings, say: Say) -> Answer:
    """Trade until the time is over or it is stopped."""
    run_id = new_run_id(SystemClock().wall_ns())
    runs = Path(settings.observe.runs_dir)
    folder = request.out if request.out is not None else runs / run_id
    if settings.mode == "devnet" and not _is_loopback(settings.purpleflea.ws_url):
        return _run_world(request, settings, run_id, folder, say)
    return _run_account(request, settings, run_id, folder, say)


def _run_world(request: RunRequest, settings: Settings, run_id: str, folder: Path, say: Say) -> Answer:
    """At a simulated venue of this process, with a claim from its faucet and a connection that is cut on purpose."""
    account = settings.purpleflea
    say(f"mev-agent  DEVNET  simulated venue, throw-away account  run {run_id}")
    world = VenueWorld(
        run=run_id,
        folder=folder,
        desk=desk_settings(account),
        options=options_of(account, settings.last_guard),
        auth=account.auth,
        strategies=strategies(account),
        seconds=request.seconds or DEFAULT_SECONDS,
        signal_keys=signal_keys(account),
        seed=request.seed,
        beat_deadline_ms=settings.guard.heartbeat_ms,
    )
    result, stages, books, _ = run_fast_loop(run_purpleflea_world(world, SystemClock(), say))
    return _answer(request, settings, result, stages, folder, world="venue", differences=books.differences)


def _run_account(request: RunRequest, settings: Settings, run_id: str, folder: Path, say: Say) -> Answer:
    """At a venue that is not ours: on loopback in devnet mode, anywhere in live mode, watched only in shadow mode."""
    account = settings.purpleflea
    if account.api_key is None or account.guard_key is None or account.key_id is None:
        raise ConfigError(
            "an account needs purpleflea.api_key, purpleflea.guard_key and purpleflea.key_id",
            hint="no order goes out without a guard, and the guard needs a key of its own",
            where="purpleflea",
        )
    # What an account was left with (a halt, the day's loss, its highest value, orders, the number of its run) is carried
    # on from run to run; a devnet's account is thrown away.
    lasting = folder if request.out is not None or settings.mode == "devnet" else account_folder(settings)
    key = resolve(account.api_key, key="purpleflea.api_key")
    guard_key = resolve(account.guard_key, key="purpleflea.guard_key")
    host = urlsplit(account.ws_url).hostname
    say(f"mev-agent  {settings.mode.upper()}  {', '.join(account.symbols)} at {host}  run {run_id}")
    desk = desk_settings(account, may_trade=settings.mode != "shadow")
    if lasting != folder:
        say(f"  journal  {lasting}")
    asked = VenueRun(
        run=run_id,
        folder=lasting,
        world="venue",
        mode=settings.mode,
        desk=desk,
        access=VenueAccess(
            ws_url=account.ws_url,
            credentials=Credentials(key, account.auth),
            options=options_of(account, settings.last_guard),
            connect_within_s=account.connect_within_ms / 1_000,
            signal_keys=signal_keys(account),
        ),
        guard=GuardPlan(
            beat_deadline_ms=settings.guard.heartbeat_ms,
            # A halt of an account that is worth something outlives its run; a devnet's ends with it.
            folder=(folder if settings.mode == "devnet" else Path(settings.observe.runs_dir)) / "guard",
            max_orders_per_s=desk.profile.orders_per_s,
            max_venue_age_ms=VENUE_AGE_MS,
            venue=GuardedVenue(
                url=account.rest_url,
                guard_key=guard_key,
                agent_key_ids=(account.key_id,),
                agent_keys=(key,),
                symbols=account.symbols,
                quote_currency=account.currency,
                auth_header="X-API-Key" if account.auth == "x-api-key" else "Authorization",
                auth_prefix="" if account.auth == "x-api-key" else "Bearer ",
                paths=paths_of(account),
            ),
        ),
        strategies=strategies(account),
        seconds=request.seconds,
        journal=JournalSettings() if settings.mode == "live" else DEVNET,
    )

    async def traded() -> tuple[VenueResult, Stages]:
        network = RealNetwork()
        try:
            if not latch.is_set(asked.guard.folder):  # else the halt is what there is to say
                may_claim = settings.mode != "shadow"
                await prepare(account, asked.access.credentials, network, SystemClock(), say, may_claim=may_claim)
            return await run_venue(asked, network=network, clock=SystemClock(), say=say)
        finally:
            await network.close()

    result, stages = run_fast_loop(traded())
    return _answer(request, settings, result, stages, folder, world="venue", differences=None)


def account_folder(settings: Settings) -> Path:
    """Where the journal of an account lies that outlives its runs: one for each host and mode."""
    host = urlsplit(settings.purpleflea.rest_url).hostname or "venue"
    return Path(settings.observe.runs_dir) / "accounts" / f"{host}-{settings.mode}"


def desk_settings(account: PurpleFleaSettings, *, may_trade: bool = True) -> DeskSettings:
    """What the core is told. In shadow no symbol may be traded, so each order is refused with that reason."""
    return DeskSettings(
        symbols=account.symbols if may_trade else (),
        currency=account.currency,
        profile=PROFILES[account.profile],
        account=AccountLimits(
            max_order_lots=account.max_order_lots,
            max_open_orders=account.max_open,
            margin_ppm=_MARGIN_PPM,
        ),
        made_symbols=account.symbols if account.strategy == "market_making" else (),
        rates={rate.currency: Rate(rate.account_atoms_per_unit, int(10**FOREIGN_DIGITS)) for rate in account.rates},
        budgets={
            producer.name: ProducerBudget(
                signals_per_s=producer.signals_per_s, notional_atoms_per_day=producer.notional_atoms_per_day
            )
            for producer in account.producers
        },
    )


def signal_keys(account: PurpleFleaSettings) -> dict[str, bytes | None]:
    """Each producer's key, None for one that is known by its user alone."""
    return {
        producer.name: None
        if producer.key is None
        else resolve(producer.key, key=f"purpleflea.producers.{producer.name}.key").encode()
        for producer in account.producers
    }


def strategies(account: PurpleFleaSettings) -> tuple[tuple[str, OrderBookStrategy], ...]:
    """A market maker for each symbol, or nothing."""
    if account.strategy == "none":
        return ()
    made: list[tuple[str, OrderBookStrategy]] = []
    for symbol in account.symbols:
        name = f"maker-{symbol}"
        maker = MarketMaker(
            MakerSettings(
                name=name,
                symbol=symbol,
                quote_lots=account.quote_lots,
                max_position_lots=account.max_position_lots,
                gamma=1e-5,
                xi=1e-5,
                fill_rate=1.0,
                k=0.05,
                min_half_spread_ticks=account.min_half_spread_ticks,
                requote_ticks=10,
                max_sigma_ticks=20_000.0,
                max_vpin_ppm=1_000_000,
                vpin_bucket_lots=20,
                vpin_buckets=5,
            )
        )
        made.append((name, maker))
    return tuple(made)


def _answer(
    request: RunRequest,
    settings: Settings,
    result: VenueResult,
    stages: Stages,
    folder: Path,
    *,
    world: str,
    differences: Sequence[str] | None,
) -> Answer:
    currency = settings.purpleflea.currency
    times: dict[str, Any] = stages.document()
    document = venue_report(
        result,
        world=world,
        mode=settings.mode,
        currency=currency,
        digits=_digits(result.instruments.values(), currency),
        stages=times["stages"],
        differences=differences,
    )
    write_json(folder / "report.json", document)
    write_json(folder / LATENCY_FILE, times)
    if request.report is not None:
        write_json(request.report, document)
    warnings = [f"the books differ: {line}" for line in differences or ()]
    if result.is_cancelled:
        warnings.append("stopped before its end")
    if result.problem:
        warnings.append(result.problem)
    exit_code = Halted.exit_code if result.is_halted else SetupError.exit_code if result.problem else 0
    if differences and not exit_code:
        exit_code = 1
    return Answer(
        data=document["data"],
        text=f"{venue_table(document)}\nreport   {folder / 'report.json'}",
        mode=settings.mode,
        schema=document["schema"],
        exit_code=exit_code,
        warnings=tuple(warnings),
    )


def _digits(instruments: Any, currency: str) -> int:
    for instrument in instruments:
        assert isinstance(instrument, Instrument)
        if instrument.quote == currency:
            return instrument.quote_digits
    return _QUOTE_DIGITS


def _is_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
