"""How a server of the devnet opens its port: on loopback, with one message where the port is taken."""

from __future__ import annotations

from aiohttp import web

from agent.errors import SetupError


async def open_port(runner: web.AppRunner, port: int = 0, *, option: str = "the port") -> int:
    """Listen on 127.0.0.1 and return the port; 0 takes a free one. SetupError, with the runner ended, if it is taken.

    `option` is the command line's word for the port, where it has one.
    """
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        await runner.cleanup()
        raise SetupError(
            f"port {port} on 127.0.0.1 cannot be opened: {error.strerror}",
            code="E_PORT_IN_USE",
            hint=f"leave {option} out to get a free one",
        ) from None
    found: int = runner.addresses[0][1]
    return found
