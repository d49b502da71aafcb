"""`clipseek serve`: run the service."""

from typing import TYPE_CHECKING, Any

import click

from clipseek.api.formats import counted
from clipseek.cli.options import server_options, server_settings
from clipseek.config.distribution import check_whole_install
from clipseek.config.settings import Settings
from clipseek.machine import logs
from clipseek.machine.talk import say

if TYPE_CHECKING:
    from clipseek.api.documents import Component


@click.command()
@click.option("--page", "with_page", is_flag=True, help="Serve the page as well, and open it in a browser.")
@server_options
def serve(with_page: bool, **options: Any) -> None:
    """Start the service and run it until Ctrl-C or SIGTERM.

    It listens on this machine only, unless --bind says otherwise. To serve a network, it needs a token (clipseek token
    add NAME) and should have TLS ($CLIPSEEK_TLS_CERT, $CLIPSEEK_TLS_KEY). The page is on http://127.0.0.1:8501
    ($CLIPSEEK_PAGE_PORT), or on a free port if that is taken. The page serves this machine only, and may do what
    $CLIPSEEK_TOKEN allows.

    \b
      clipseek serve --page
      clipseek serve --model multilingual --port 45680
    """
    check_whole_install("serve")
    from clipseek.service.page import Page, show_page
    from clipseek.service.run import serve as run_server

    settings = server_settings(options)
    logs.start(settings.log_level, settings.log_format, "server", replace=True)
    say("Starting ...", style="dim")
    with Page(settings, settings.local_host) as page:

        def when_ready(components: "list[Component]") -> bool:
            if with_page:
                page.start()
                show_page(page)
            show_ready(settings, components)
            say("Ctrl-C stops it.", style="dim")
            return True

        run_server(settings, when_ready, page.ask_to_end)
    say("Stopped.")


def show_ready(settings: Settings, components: "list[Component]") -> None:
    """Print on stderr where the service listens, which model it runs and what its store holds."""
    facts = {component.name: component.facts for component in components}
    encoder, store = facts.get("image_encoder", {}), facts.get("indexer", {})
    scheme = "grpcs" if settings.tls_cert else "grpc"
    videos, frames = (counted(store.get(f"{noun}s", "?"), noun) for noun in ("video", "frame"))
    say(f"ClipSeek listens on {scheme}://{settings.bind}:{settings.port}", style="bold green")
    say(f"  model  {encoder.get('model', '?')} on {encoder.get('device', '?')}: {encoder.get('reason', '')}")
    say(f"  store  {settings.home} ({videos}, {frames})")
    for warning in dict.fromkeys(warning for component in components for warning in component.warnings):
        say(f"  note   {warning}", style="yellow")
