"""Files: uploads by the app (address, bytes, completion) and by persons, and reading them back.

Called by `methods_files.py`, `people.py` and the routes of `server.py`; contents live in `store.py`.
https://docs.slack.dev/messaging/working-with-files
"""

from __future__ import annotations

import mimetypes
import secrets
from pathlib import PurePosixPath

from slackbot.sandbox.slack.faults import PersonRefusedError, SlackError
from slackbot.sandbox.slack.store import Document
from slackbot.sandbox.slack.workspace import Workspace

MAX_PERSON_UPLOAD_BYTES = 25 * 1024 * 1024
MAX_APP_UPLOAD_BYTES = 100 * 1024 * 1024
_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""Types a browser shows without running anything (SVG is not among them)."""


class Files:
    """All files of the workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._store = workspace.store

    def announce(self, filename: str, length: int, *, alt_txt: str | None, snippet_type: str | None) -> Document:
        """A file that is going to be uploaded by the app; it is not readable before its completion."""
        if length <= 0:
            raise SlackError("invalid_arguments", ["[ERROR] length must be more than 0"])
        if length > MAX_APP_UPLOAD_BYTES:
            raise SlackError("file_upload_size_restricted")
        file = self._new(filename, self._workspace.app.bot_user_id, length)
        file["upload_token"] = secrets.token_urlsafe(18)
        if alt_txt:
            file["alt_txt"] = alt_txt
        if snippet_type:
            file["mode"], file["filetype"] = "snippet", snippet_type
        self._store.put("file", file["id"], file)
        return file

    def receive(self, upload_token: str, content: bytes) -> int:
        """The bytes that came to an upload address; returns their number."""
        waiting = (file for file in self._store.all("file") if file.get("upload_token") == upload_token)
        file = next(waiting, None)
        if file is None:
            raise SlackError("file_not_found")
        if len(content) != file["size"]:
            raise SlackError("file_upload_size_mismatch")
        self._store.put_content(file["id"], content)
        return len(content)

    def complete(self, file_id: str, title: str | None) -> Document:
        file = self._store.get("file", file_id)
        if file is None or file["is_complete"] or self._store.content(file_id) is None:
            raise SlackError("file_not_found")
        file.pop("upload_token", None)
        file["is_complete"] = True
        file["title"] = title or file["name"]
        self._store.put("file", file_id, file)
        return file

    def upload_as_person(self, user_id: str, filename: str, content: bytes) -> str:
        """Keeps a person's file; a message shares it later. Returns its id."""
        if not content:
            raise PersonRefusedError(f"{filename} is empty, and Slack takes no empty files.")
        if len(content) > MAX_PERSON_UPLOAD_BYTES:
            raise PersonRefusedError(f"{filename} has more than 25 MB. Attach a smaller file.")
        file = self._new(filename, user_id, len(content))
        file["is_complete"] = True
        with self._store.transaction():
            self._store.put("file", file["id"], file)
            self._store.put_content(file["id"], content)
        return str(file["id"])

    def _new(self, filename: str, user_id: str, size: int) -> Document:
        name = PurePosixPath(filename.replace("\\", "/")).name.replace("\x00", "")[:255] or "file"
        mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
        extension = PurePosixPath(name).suffix.lstrip(".").lower()
        return {
            "id": "F0" + secrets.token_hex(5).upper(),
            "created": int(self._workspace.clock()),
            "timestamp": int(self._workspace.clock()),
            "name": name,
            "title": name,
            "mimetype": mimetype,
            "filetype": extension or "binary",
            "pretty_type": extension.upper() or "Binary",
            "user": user_id,
            "user_team": self._workspace.app.team_id,
            "editable": False,
            "size": size,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": False,
            "public_url_shared": False,
            "shares": {},
            "channels": [],
            "is_complete": False,
        }

    def get(self, file_id: str) -> Document:
        file = self._store.get("file", file_id)
        if file is None or not file["is_complete"]:
            raise SlackError("file_not_found")
        return file

    def content(self, file_id: str) -> bytes:
        content = self._store.content(self.get(file_id)["id"])
        if content is None:
            raise SlackError("file_not_found")
        return content

    def note_share(self, file_id: str, channel: Document, message: Document) -> None:
        """Remembers in which message a file was shared."""
        file = self.get(file_id)
        kind = "private" if channel["is_private"] else "public"
        share = {"ts": message["ts"], "channel_name": channel.get("name", ""), "team_id": self._workspace.app.team_id}
        if "thread_ts" in message:
            share["thread_ts"] = message["thread_ts"]
        file["shares"].setdefault(kind, {}).setdefault(channel["id"], []).append(share)
        if channel["id"] not in file["channels"]:
            file["channels"].append(channel["id"])
        file["is_public"] = file["is_public"] or kind == "public"
        self._store.put("file", file_id, file)

    def may_see(self, file: Document, user_id: str) -> bool:
        """A file is seen where it was shared, and by who brought it."""
        if file["user"] == user_id:
            return True
        channels = (self._workspace.find_channel(channel_id) for channel_id in file["channels"])
        return any(channel is not None and self._workspace.may_see(channel, user_id) for channel in channels)

    def delete(self, file_id: str) -> None:
        """Removes a file; messages that shared it show a tombstone."""
        file = self.get(file_id)
        with self._store.transaction():
            self._store.remove("file", file["id"])
            self._store.remove_content(file["id"])

    @staticmethod
    def headers(file: Document) -> dict[str, str]:
        """Response headers under which a browser shows images and stores everything else."""
        is_image = file["mimetype"] in _IMAGES
        headers = {
            "Content-Type": file["mimetype"] if is_image else "application/octet-stream",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, no-store",
        }
        if not is_image:
            headers["Content-Disposition"] = "attachment"
        return headers
