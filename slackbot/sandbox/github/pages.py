"""temporary"""

from aiohttp import web

from slackbot.sandbox.github.world import World


class Pages:
    def __init__(self, world: World) -> None: ...
    def add_to(self, app: web.Application) -> None: ...
