"""From the configuration to the objects of the venue."""

from __future__ import annotations

from agent.settings import LastGuardSettings, PurpleFleaSettings
from agent.venues.purpleflea.last_guard import OrderCaps
from agent.venues.purpleflea.options import Options


def options_of(settings: PurpleFleaSettings, last_guard: LastGuardSettings) -> Options:
    """What of the protocol is configured."""
    return Options(
        symbols=settings.symbols,
        depth=settings.book_depth,
        orders_per_s=settings.orders_per_s,
        cancels_per_s=settings.cancels_per_s,
        max_open=settings.max_open,
        stp=settings.self_trade,
        cod_grace_ms=settings.cod_grace_ms if settings.cancel_on_disconnect else None,
        book_silence_ms=settings.book_silence_ms,
        late_ms=settings.late_ms,
        malformed_per_minute=settings.malformed_per_minute,
        caps=OrderCaps(
            max_orders_per_s=last_guard.max_orders_per_s,
            max_order_notional=last_guard.max_order_notional,
            band_ppm=last_guard.band_ppm,
        ),
    )


def paths_of(settings: PurpleFleaSettings) -> dict[str, str]:
    """The paths that differ from the contract's."""
    return {one.name: one.path for one in settings.paths}
